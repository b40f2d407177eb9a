/**
 * The bytes of a log segment: records of all attempts one after the other, each a line of JSON followed by
 * what the job printed, byte for byte, and a newline. So `grep -a` finds things, and binary output stays as it
 * is.
 *
 *   {"segment":7,"format":1,"salt":123}
 *   {"attempt":"r1/build/n1#1","stream":"stdout","offset":0,"at":…,"cycle":3,"bytes":6,"crc":…}
 *   hello⏎
 *   ⏎
 *
 * `cycle` counts the flushes of a segment: a crash can damage the records of the last cycle only. A gap says how
 * many bytes are missing at its offset and has no bytes itself. The CRC begins with the segment's salt, which
 * no job knows: a job that prints the text of a record cannot make one.
 */
import { crc32 } from 'node:zlib';
import * as z from 'zod';

export const streams = ['stdout', 'stderr'] as const;
export type LogStream = (typeof streams)[number];

/** Where each stream of an attempt goes on: the number of bytes that came, gaps included. */
export type StreamOffsets = { readonly [stream in LogStream]: number };

export const formatNewest = 1;

export type SegmentHead = { readonly segment: number; readonly format: number; readonly salt: number };

/** What a record says, without its content. */
export type LogRecord = {
  readonly attempt: string;
  readonly stream: LogStream;
  readonly offset: number;
  /** When it came, in milliseconds since 1970 by the coordinator's clock. */
  readonly at: number;
  readonly cycle: number;
  /** Of the content, which follows. */
  readonly bytes: number;
  /** Instead of content: how many bytes are missing, by a bound here or at the source. */
  readonly gap?: number | undefined;
};

export type ReadRecord = LogRecord & {
  /** Where the content begins, and where the next record does. */
  readonly contentStart: number;
  readonly end: number;
};

/** A bound on the line of JSON, with the longest attempt id. */
export const recordHeadBytesMax = 1_024;

const recordOpening = '{"attempt":';
const crcOpening = ',"crc":';
const newline = 0x0a;

const headSchema = z.object({
  segment: z.int().positive(),
  format: z.int().positive(),
  salt: z.int().nonnegative(),
});

const recordSchema = z.object({
  attempt: z.string(),
  stream: z.enum(streams),
  offset: z.int().nonnegative(),
  at: z.number(),
  cycle: z.int().positive(),
  bytes: z.int().nonnegative(),
  gap: z.int().positive().optional(),
});

export const encodeHead = (segment: number, salt: number): string =>
  `${JSON.stringify({ segment, format: formatNewest, salt } satisfies SegmentHead)}\n`;

/** The head of a segment and where its first record begins. */
export function decodeHead(bytes: Buffer): { readonly head: SegmentHead; readonly end: number } | undefined {
  const end = bytes.subarray(0, recordHeadBytesMax).indexOf(newline);
  const parsed = headSchema.safeParse(parseJson(bytes.toString('utf8', 0, Math.max(end, 0))));
  return parsed.success ? { head: parsed.data, end: end + 1 } : undefined;
}

/** The parts of a record, to be written one after the other. */
export function encodeRecord(record: LogRecord, content: readonly Uint8Array[], salt: number): Uint8Array[] {
  const { attempt, stream, offset, at, cycle, bytes, gap } = record;
  const said = gap === undefined ? { attempt, stream, offset, at, cycle, bytes } : { ...record, gap };
  const body = JSON.stringify(said).slice(0, -1);
  let crc = crc32(body, salt);
  for (const part of content) crc = crc32(part, crc);
  return [Buffer.from(`${body}${crcOpening}${crc}}\n`), ...content, Buffer.of(newline)];
}

/** The record that begins at an offset, or undefined when none does that is as it was written. */
export function decodeRecord(bytes: Buffer, offset: number, salt: number): ReadRecord | undefined {
  if (!startsRecord(bytes, offset)) return undefined;
  const headEnd = bytes.subarray(offset, offset + recordHeadBytesMax).indexOf(newline);
  if (headEnd === -1) return undefined;
  const line = bytes.toString('utf8', offset, offset + headEnd);
  const cut = line.lastIndexOf(crcOpening);
  const body = line.slice(0, Math.max(cut, 0));
  const parsed = recordSchema.safeParse(parseJson(`${body}}`));
  if (!parsed.success) return undefined;
  const record: LogRecord = parsed.data;
  const contentStart = offset + headEnd + 1;
  const end = contentStart + record.bytes + 1;
  if (end > bytes.length || bytes[end - 1] !== newline) return undefined;
  const crc = crc32(bytes.subarray(contentStart, end - 1), crc32(body, salt));
  if (line !== `${body}${crcOpening}${crc}}`) return undefined;
  return { ...record, contentStart, end };
}

/** Cheap, because a search for records tries many places. */
function startsRecord(bytes: Buffer, offset: number): boolean {
  return bytes.toString('latin1', offset, offset + recordOpening.length) === recordOpening;
}

/** The next record at or after an offset, wherever it begins; for segments with damage in them. */
export function findRecord(
  bytes: Buffer,
  offset: number,
  salt: number,
): { start: number; record: ReadRecord } | undefined {
  for (let start = bytes.indexOf(recordOpening, offset); start !== -1; ) {
    const record = decodeRecord(bytes, start, salt);
    if (record !== undefined) return { start, record };
    start = bytes.indexOf(recordOpening, start + 1);
  }
  return undefined;
}

/** The offset in its stream with which the next record goes on. */
export const streamEnd = ({ offset, bytes, gap }: LogRecord): number => offset + bytes + (gap ?? 0);

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
