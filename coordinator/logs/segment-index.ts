/**
 * Which records of a segment are of which attempt. The active segment's index is in memory and can hold no more
 * than the segment; that of a sealed one is a file beside it, of which only fingerprints of the attempts stay
 * in memory: four bytes for each, so that hundreds of thousands of finished attempts cost little.
 *
 * The file: a line about itself, a line with the fingerprints, then one line for each attempt.
 */
import { crc32 } from 'node:zlib';
import * as z from 'zod';
import { type LogRecord, type LogStream, type StreamOffsets, streamEnd, streams } from './log-records.ts';

/** What one segment knows of one attempt. */
export type AttemptEntry = {
  /** Where its records begin in the file, ascending. */
  readonly places: readonly number[];
  /** Where each stream went on after the last of them; 0 for a stream without records here. */
  readonly ends: StreamOffsets;
  /** Content in them, without gaps. */
  readonly bytes: StreamOffsets;
};

type Growing = { readonly places: number[]; readonly ends: Mutable; readonly bytes: Mutable };
type Mutable = { [stream in LogStream]: number };

export class SegmentIndex {
  readonly #entries = new Map<string, Growing>();
  #oldestAt: number | undefined;
  #newestAt = 0;

  add(record: LogRecord, place: number): void {
    let entry = this.#entries.get(record.attempt);
    if (entry === undefined) {
      entry = { places: [], ends: { stdout: 0, stderr: 0 }, bytes: { stdout: 0, stderr: 0 } };
      this.#entries.set(record.attempt, entry);
    }
    entry.places.push(place);
    entry.ends[record.stream] = streamEnd(record);
    entry.bytes[record.stream] += record.bytes;
    this.#oldestAt ??= record.at;
    this.#newestAt = record.at;
  }

  get(attempt: string): AttemptEntry | undefined {
    return this.#entries.get(attempt);
  }

  /** Of the first record; undefined without records. */
  get oldestAt(): number | undefined {
    return this.#oldestAt;
  }

  get newestAt(): number {
    return this.#newestAt;
  }

  fingerprints(): Uint32Array {
    return Uint32Array.from([...this.#entries.keys()], fingerprintOf).sort();
  }

  /** As a file, for a segment of that many bytes. */
  encode(segmentBytes: number): string {
    const lines = [Buffer.from(this.fingerprints().buffer).toString('base64')];
    for (const [attempt, { places, ends, bytes }] of this.#entries) {
      const steps = places.map((place, index) => place - (places[index - 1] ?? 0));
      lines.push(`${entryOpening(attempt)}${JSON.stringify({ steps, ends, bytes }).slice(1)}`);
    }
    const text = `${lines.join('\n')}\n`;
    const head: IndexHead = {
      format: formatNewest,
      segmentBytes,
      newestAt: this.#newestAt,
      crc: crc32(text),
    };
    return `${JSON.stringify(head)}\n${text}`;
  }
}

const formatNewest = 1;

const indexHeadSchema = z.object({
  format: z.literal(formatNewest),
  segmentBytes: z.int(),
  newestAt: z.number(),
  crc: z.int(),
});

type IndexHead = z.infer<typeof indexHeadSchema>;

const offsetsSchema = z.object({ stdout: z.int(), stderr: z.int() });
const entrySchema = z.object({ steps: z.array(z.int()), ends: offsetsSchema, bytes: offsetsSchema });

/** What stays in memory of a sealed segment's index. */
export type IndexSummary = { readonly newestAt: number; readonly fingerprints: Uint32Array };

/** Undefined for a file that is not the index of a segment with that many bytes: it can be made anew. */
export function decodeSummary(file: Buffer, segmentBytes: number): IndexSummary | undefined {
  const headEnd = file.indexOf('\n');
  const parsed = indexHeadSchema.safeParse(parseJson(file.toString('utf8', 0, Math.max(headEnd, 0))));
  if (!parsed.success) return undefined;
  const { newestAt, crc, segmentBytes: indexed } = parsed.data;
  const rest = file.subarray(headEnd + 1);
  if (indexed !== segmentBytes || crc32(rest) !== crc) return undefined;
  const packed = Buffer.from(rest.toString('latin1', 0, rest.indexOf('\n')), 'base64');
  // A copy of its own, because the bytes of a pooled buffer need not be aligned.
  const fingerprints = new Uint32Array(new Uint8Array(packed).buffer);
  return { newestAt, fingerprints };
}

/** The entry of one attempt, found by its text: the rest of the file is not parsed. */
export function decodeEntry(file: Buffer, attempt: string): AttemptEntry | undefined {
  const opening = `\n${entryOpening(attempt)}`;
  const start = file.indexOf(opening);
  if (start === -1) return undefined;
  const end = file.indexOf('\n', start + 1);
  const parsed = entrySchema.safeParse(parseJson(file.toString('utf8', start + 1, end)));
  if (!parsed.success) return undefined;
  const { steps, ends, bytes } = parsed.data;
  const places: number[] = [];
  let place = 0;
  for (const step of steps) {
    place += step;
    places.push(place);
  }
  return { places, ends, bytes };
}

const entryOpening = (attempt: string): string => `{"attempt":${JSON.stringify(attempt)},`;

export const fingerprintOf = (attempt: string): number => crc32(attempt);

/** False says that an attempt is not there; true says that it is worth looking. */
export function mayContain(sorted: Uint32Array, fingerprint: number): boolean {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? 0) < fingerprint) low = middle + 1;
    else high = middle;
  }
  return sorted[low] === fingerprint;
}

/** Later segments know better where a stream goes on, unless they have none of it. */
export function latestEnds(newestFirst: readonly AttemptEntry[]): StreamOffsets {
  const ends: Mutable = { stdout: 0, stderr: 0 };
  for (const stream of streams)
    ends[stream] = newestFirst.find((entry) => entry.ends[stream] > 0)?.ends[stream] ?? 0;
  return ends;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
