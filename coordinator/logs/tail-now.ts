/**
 * The end of what an attempt printed, at once: a decision that tells it to another job cannot wait. It takes what is
 * on disk and what is on its way there, both streams in the order in which they came; what is damaged is left out.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { isMissing } from '../../shared/disk/durable-file.ts';
import { type EntryFinder, recordBytesMax } from './log-reader.ts';
import { decodeHead, decodeRecord, recordHeadBytesMax } from './log-records.ts';
import type { Segment } from './segment-files.ts';

export function tailNow(
  attempt: string,
  finder: EntryFinder,
  segments: readonly Segment[],
  pending: Iterable<Uint8Array>,
  bytes: number,
): string {
  const parts: Uint8Array[] = [...pending];
  let length = parts.reduce((sum, part) => sum + part.length, 0);
  for (const segment of segments.toReversed()) {
    if (length >= bytes) break;
    const older = contentBefore(segment, finder.findNow(segment, attempt)?.places ?? [], bytes - length);
    length += older.reduce((sum, part) => sum + part.length, 0);
    parts.unshift(...older);
  }
  return textOf(Buffer.concat(parts).subarray(-bytes));
}

/** A character that the cut went through is left out. */
function textOf(bytes: Buffer): string {
  let start = 0;
  while (start < Math.min(3, bytes.length) && ((bytes[start] ?? 0) & 0xc0) === 0x80) start += 1;
  return bytes.toString('utf8', start);
}

/** The last records at these places of a segment, oldest first, with at least so many bytes if it has them. */
function contentBefore(segment: Segment, places: readonly number[], wanted: number): readonly Uint8Array[] {
  if (places.length === 0) return [];
  const file = openIfThere(segment.kind === 'active' ? segment.file.path : segment.file);
  if (file === undefined) return [];
  try {
    const salt =
      segment.kind === 'active' ? segment.salt : decodeHead(readAt(file, 0, recordHeadBytesMax))?.head.salt;
    const parts: Uint8Array[] = [];
    let left = wanted;
    for (const place of places.toReversed()) {
      if (left <= 0 || salt === undefined) break;
      const bytes = readAt(file, place, recordBytesMax);
      const record = decodeRecord(bytes, 0, salt);
      if (record === undefined || record.gap !== undefined) continue;
      const content = bytes.subarray(record.contentStart, record.end - 1);
      left -= content.length;
      parts.unshift(content);
    }
    return parts;
  } finally {
    closeSync(file);
  }
}

function readAt(file: number, position: number, length: number): Buffer {
  const buffer = Buffer.allocUnsafe(length);
  return buffer.subarray(0, readSync(file, buffer, 0, length, position));
}

function openIfThere(file: string): number | undefined {
  try {
    return openSync(file, 'r');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
