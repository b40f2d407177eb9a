/**
 * Reads what one attempt printed, in the order in which it came, from the segments that have records of it. A
 * reader is a place in that order: it can be asked again when more has come.
 */
import { readFileSync } from 'node:fs';
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { isMissing } from '../../shared/disk/durable-file.ts';
import { limits } from '../../shared/limits.ts';
import {
  decodeHead,
  decodeRecord,
  type LogStream,
  type ReadRecord,
  recordHeadBytesMax,
  streamEnd,
  streams,
} from './log-records.ts';
import { indexFile, type SealedSegment, type Segment } from './segment-files.ts';
import { type AttemptEntry, decodeEntry, fingerprintOf, mayContain } from './segment-index.ts';

export type LogPiece =
  | {
      readonly kind: 'text';
      readonly stream: LogStream;
      readonly offset: number;
      readonly at: number;
      readonly bytes: Buffer;
    }
  /**
   * Bytes that are not there. `cut`: a bound here or at the source was exceeded. `lost`: retention deleted
   * them, or the disk damaged them.
   */
  | {
      readonly kind: 'gap';
      readonly stream: LogStream;
      readonly offset: number;
      readonly bytes: number;
      readonly why: 'cut' | 'lost';
    };

export type LogSelection = {
  /** Without it both, interleaved. */
  readonly stream?: LogStream | undefined;
  /** Where to begin in each stream; 0 where it is not said. */
  readonly from?: { readonly [stream in LogStream]?: number | undefined } | undefined;
};

const windowBytes = 256 * 1024;
export const recordBytesMax = recordHeadBytesMax + limits.logRecordBytesMax + 1;

/** Finds entries of attempts; keeps the last few index files, because readers ask for neighbours. */
export class EntryFinder {
  /** Least recently used first. */
  readonly #indexes = new Map<number, Buffer>();

  async find(segment: Segment, attempt: string): Promise<AttemptEntry | undefined> {
    if (segment.kind === 'active') return segment.index.get(attempt);
    if (!mayContain(segment.fingerprints, fingerprintOf(attempt))) return undefined;
    return decodeEntry(await this.#index(segment), attempt);
  }

  /** The same while nobody can wait. */
  findNow(segment: Segment, attempt: string): AttemptEntry | undefined {
    if (segment.kind === 'active') return segment.index.get(attempt);
    if (!mayContain(segment.fingerprints, fingerprintOf(attempt))) return undefined;
    const kept = this.#indexes.get(segment.number);
    return decodeEntry(kept ?? readNowIfThere(indexFile(segment.file)), attempt);
  }

  async #index(segment: SealedSegment): Promise<Buffer> {
    const index = this.#indexes.get(segment.number) ?? (await readIfThere(indexFile(segment.file)));
    this.#indexes.delete(segment.number);
    this.#indexes.set(segment.number, index);
    const [oldest] = this.#indexes.keys();
    if (this.#indexes.size > limits.logIndexesInMemoryMax && oldest !== undefined)
      this.#indexes.delete(oldest);
    return index;
  }
}

export class LogReader {
  readonly #attempt: string;
  readonly #finder: EntryFinder;
  readonly #wanted: readonly LogStream[];
  /** Of each stream, the offset of the byte that comes next. */
  readonly #next: { [stream in LogStream]: number };
  /** The next record: so many records of that segment were read. */
  #place = { segment: 0, records: 0 };

  constructor(attempt: string, finder: EntryFinder, { stream, from }: LogSelection) {
    this.#attempt = attempt;
    this.#finder = finder;
    this.#wanted = stream === undefined ? streams : [stream];
    this.#next = { stdout: from?.stdout ?? 0, stderr: from?.stderr ?? 0 };
  }

  /** What is there and was not read yet. `segments` are all, oldest first. */
  async *readOn(segments: readonly Segment[]): AsyncGenerator<LogPiece> {
    for (const segment of segments) {
      if (segment.number < this.#place.segment) continue;
      const entry = await this.#finder.find(segment, this.#attempt);
      if (entry === undefined) continue;
      if (segment.number > this.#place.segment) this.#place = { segment: segment.number, records: 0 };
      if (this.#place.records === entry.places.length) continue;
      yield* this.#readEntry(segment, entry);
    }
  }

  async *#readEntry(segment: Segment, entry: AttemptEntry): AsyncGenerator<LogPiece> {
    // An active segment's entry grows: what is added from now on is for the next call.
    const places = entry.places.slice(this.#place.records);
    const ends = { ...entry.ends };
    for await (const { record, content } of readRecords(segment, places))
      yield* this.#pieces(record, content);
    this.#place = { segment: segment.number, records: this.#place.records + places.length };
    for (const stream of this.#wanted) yield* this.#gapUpTo(stream, ends[stream]);
  }

  *#pieces(record: ReadRecord, content: Buffer): Generator<LogPiece> {
    const { stream, at, gap } = record;
    const end = streamEnd(record);
    const next = this.#next[stream];
    if (!this.#wanted.includes(stream) || end <= next) return;
    if (record.offset > next) yield* this.#gapUpTo(stream, record.offset);
    const offset = this.#next[stream];
    this.#next[stream] = end;
    if (gap === undefined)
      yield { kind: 'text', stream, offset, at, bytes: content.subarray(offset - record.offset) };
    else yield { kind: 'gap', stream, offset, bytes: end - offset, why: 'cut' };
  }

  *#gapUpTo(stream: LogStream, end: number): Generator<LogPiece> {
    const offset = this.#next[stream];
    if (end <= offset) return;
    this.#next[stream] = end;
    yield { kind: 'gap', stream, offset, bytes: end - offset, why: 'lost' };
  }
}

/** The last pieces of an attempt with at least so many bytes of text, if it has them; the first one is trimmed. */
export async function readTail(
  attempt: string,
  finder: EntryFinder,
  segments: readonly Segment[],
  options: { readonly bytes: number; readonly stream?: LogStream | undefined },
): Promise<readonly LogPiece[]> {
  const newestFirst: LogPiece[] = [];
  let wanted = options.bytes;
  for (const segment of segments.toReversed()) {
    const entry = wanted > 0 ? await finder.find(segment, attempt) : undefined;
    for (const place of entry?.places.toReversed() ?? []) {
      if (wanted <= 0) break;
      for await (const { record, content } of readRecords(segment, [place])) {
        const { stream, offset, at, gap } = record;
        if (options.stream !== undefined && options.stream !== stream) continue;
        const skipped = Math.max(content.length - wanted, 0);
        wanted -= content.length;
        if (gap !== undefined) newestFirst.push({ kind: 'gap', stream, offset, bytes: gap, why: 'cut' });
        else
          newestFirst.push({
            kind: 'text',
            stream,
            offset: offset + skipped,
            at,
            bytes: content.subarray(skipped),
          });
      }
    }
  }
  return newestFirst.reverse();
}

type WithContent = { readonly record: ReadRecord; readonly content: Buffer };

/** Records that are damaged, or whose file retention has deleted, are left out. */
async function* readRecords(segment: Segment, places: readonly number[]): AsyncGenerator<WithContent> {
  const handle = await openIfThere(segment.kind === 'active' ? segment.file.path : segment.file);
  if (handle === undefined) return;
  try {
    const salt = segment.kind === 'active' ? segment.salt : await readSalt(handle);
    if (salt === undefined) return;
    const end = (places.at(-1) ?? 0) + recordBytesMax;
    let window: Buffer = Buffer.alloc(0);
    let start = 0;
    for (const place of places) {
      // The window may end inside a record; then it moves there, where the whole record fits.
      let record = decodeRecord(window, place - start, salt);
      if (record === undefined) {
        window = await readBytes(handle, place, Math.min(windowBytes, end - place));
        start = place;
        record = decodeRecord(window, 0, salt);
      }
      if (record !== undefined)
        yield { record, content: window.subarray(record.contentStart, record.end - 1) };
    }
  } finally {
    await handle.close();
  }
}

async function readSalt(handle: FileHandle): Promise<number | undefined> {
  return decodeHead(await readBytes(handle, 0, recordHeadBytesMax))?.head.salt;
}

async function readBytes(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(length), 0, length, position);
  return buffer.subarray(0, bytesRead);
}

async function openIfThere(file: string): Promise<FileHandle | undefined> {
  try {
    return await open(file, 'r');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function readNowIfThere(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    if (isMissing(error)) return Buffer.alloc(0);
    throw error;
  }
}

async function readIfThere(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    if (isMissing(error)) return Buffer.alloc(0);
    throw error;
  }
}
