/**
 * Reads one segment, plain or archived, from a seq on: every line checked against the one before it, in pages
 * of bounded size. Read-only and without shared state, so that it works beside the process that appends.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { pipeline } from 'node:stream';
import { createZstdDecompress } from 'node:zlib';
import { assert } from '../../shared/assert.ts';
import { errnoOf } from '../../shared/disk/durable-file.ts';
import { LockstepError, messageOf } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import { claimedSeq, decodeHeader, decodeRecord, formatNewest, openLine } from './chain.ts';
import { type ArchivedSegment, damagedAt, type Segment, unknownFormat } from './segment-folder.ts';

export type RawPage = {
  readonly events: readonly unknown[];
  /** The same as they stand in the file, without newlines. */
  readonly lines: readonly string[];
  /** Of the last event. */
  readonly seq: number;
  readonly at: number;
  readonly hash: string;
};

export type SegmentRange = {
  readonly from: number;
  /** Must be there: the reader throws `damaged` if the segment ends before it. */
  readonly to: number;
  /** The hash of event `from - 1`, which the header must name when `from` is the segment's first. */
  readonly previous?: string | undefined;
};

const chunkBytes = 256 * 1024;
/** Below this distance, reading on is cheaper than another step of the search. */
const searchStopBytes = 64 * 1024;
const newline = 0x0a;

/** Rejects with ENOENT, before the first page, when the file is gone. */
export async function* readSegment(segment: Segment, range: SegmentRange): AsyncGenerator<RawPage> {
  assert(segment.first <= range.from && range.from <= range.to, 'a range within the segment');
  const handle = await open(segment.file, 'r');
  try {
    const beginning = { offset: 0, seq: segment.first - 1 };
    const start = segment.kind === 'plain' ? await findLine(handle, beginning, range.from - 1) : beginning;
    const cursor = new SegmentCursor(segment, range, start);
    for await (const chunk of chunksOf(handle, segment, start.offset)) {
      yield* cursor.take(chunk);
      if (cursor.isDone) return;
    }
    throw cursor.damaged('the segment ends before it');
  } catch (error) {
    throw explainArchiveError(error, segment);
  } finally {
    await handle.close();
  }
}

/** The hash of a plain segment's last line, and its seq. Throws `damaged` when it does not end with a line. */
export async function readLastLine(
  segment: Segment,
): Promise<{ readonly seq: number; readonly hash: string }> {
  const handle = await open(segment.file, 'r');
  try {
    const { size } = await handle.stat();
    const start = await findLine(handle, { offset: 0, seq: segment.first - 1 }, Number.MAX_SAFE_INTEGER);
    let { seq } = start;
    let line = '';
    let rest = Buffer.alloc(0);
    for await (const chunk of chunksOf(handle, segment, start.offset)) {
      const bytes = Buffer.concat([rest, chunk]);
      let position = 0;
      for (let end = bytes.indexOf(newline); end !== -1; end = bytes.indexOf(newline, position)) {
        line = bytes.toString('utf8', position, end);
        position = end + 1;
        seq += 1;
      }
      rest = bytes.subarray(position);
    }
    const hash = openLine(line)?.hash;
    if (rest.length > 0 || hash === undefined)
      throw damagedAt(segment, size, seq, 'it does not end with a whole line');
    return { seq: seq - 1, hash };
  } finally {
    await handle.close();
  }
}

/** The lines of a compressed file, whose own checksum is all that is checked. */
export async function* readLines(segment: ArchivedSegment): AsyncGenerator<string> {
  const handle = await open(segment.file, 'r');
  try {
    let rest: Buffer = Buffer.alloc(0);
    for await (const chunk of chunksOf(handle, segment, 0)) {
      const bytes = Buffer.concat([rest, chunk]);
      let position = 0;
      for (let end = bytes.indexOf(newline); end !== -1; end = bytes.indexOf(newline, position)) {
        yield bytes.toString('utf8', position, end);
        position = end + 1;
      }
      rest = bytes.subarray(position);
    }
  } catch (error) {
    throw explainArchiveError(error, segment);
  } finally {
    await handle.close();
  }
}

/** Where a line begins, and the seq of its event; the header counts as the event before the first. */
type LineStart = { readonly offset: number; readonly seq: number };

/** Progress through one segment. Lines before `from - 1` are counted and not looked at. */
class SegmentCursor {
  readonly #segment: Segment;
  readonly #range: SegmentRange;
  #offset: number;
  /** Of the line that comes next. */
  #seq: number;
  #chain = '';
  #rest: Buffer = Buffer.alloc(0);
  #events: unknown[] = [];
  #lines: string[] = [];
  #pageBytes = 0;
  #at = 0;

  constructor(segment: Segment, range: SegmentRange, start: LineStart) {
    this.#segment = segment;
    this.#range = range;
    this.#offset = start.offset;
    this.#seq = start.seq;
  }

  get isDone(): boolean {
    return this.#seq > this.#range.to;
  }

  *take(chunk: Buffer): Generator<RawPage> {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let position = 0;
    while (!this.isDone) {
      const end = bytes.indexOf(newline, position);
      if (end === -1) break;
      if (this.#seq >= this.#range.from - 1) this.#takeLine(bytes.toString('utf8', position, end));
      this.#seq += 1;
      this.#pageBytes += end + 1 - position;
      this.#offset += end + 1 - position;
      position = end + 1;
      if (
        this.#events.length >= limits.journalPageEventsMax ||
        this.#pageBytes >= limits.journalPageBytesMax
      ) {
        yield* this.#page();
      }
    }
    yield* this.#page();
    this.#rest = bytes.subarray(position);
    if (this.#rest.length > 2 * limits.journalEventBytesMax) throw this.damaged('its line has no end');
  }

  damaged(why: string): LockstepError {
    return damagedAt(this.#segment, this.#offset, Math.max(this.#seq, this.#segment.first), why);
  }

  #takeLine(line: string): void {
    if (this.#seq === this.#segment.first - 1) this.#takeHeader(line);
    else if (this.#seq < this.#range.from) this.#takeLink(line);
    else this.#takeEvent(line);
  }

  #takeHeader(line: string): void {
    const header = decodeHeader(line);
    if (header.kind === 'fault') throw this.damaged(header.why);
    if (header.format > formatNewest) throw unknownFormat(this.#segment, header.format);
    if (header.first !== this.#segment.first) throw this.damaged(`its header says ${header.first}`);
    const { previous } = this.#range;
    if (previous !== undefined && header.previous !== previous) {
      throw this.damaged('it does not continue the segment before it');
    }
    this.#chain = header.hash;
  }

  /** Of the line before the first wanted one only the hash matters; if it is wrong, the wanted one will not fit. */
  #takeLink(line: string): void {
    const opened = openLine(line);
    if (opened === undefined) throw this.damaged('the line has no hash');
    this.#chain = opened.hash;
  }

  #takeEvent(line: string): void {
    const record = decodeRecord(line, this.#chain, this.#seq);
    if (record.kind === 'fault') throw this.damaged(record.why);
    this.#events.push(record.event);
    this.#lines.push(line);
    this.#chain = record.hash;
    this.#at = record.at;
  }

  *#page(): Generator<RawPage> {
    if (this.#events.length > 0) {
      yield { events: this.#events, lines: this.#lines, seq: this.#seq - 1, at: this.#at, hash: this.#chain };
    }
    this.#events = [];
    this.#lines = [];
    this.#pageBytes = 0;
  }
}

async function* chunksOf(handle: FileHandle, segment: Segment, offset: number): AsyncGenerator<Buffer> {
  if (segment.kind === 'archived') {
    const unpacked = createZstdDecompress();
    // Errors of the source reach the reader through the destroyed `unpacked`.
    pipeline(handle.createReadStream({ autoClose: false }), unpacked, () => undefined);
    yield* unpacked;
    return;
  }
  for (let position = offset; ; ) {
    // A new buffer each time: what is left of a chunk is kept by reference until its line is complete.
    const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(chunkBytes), 0, chunkBytes, position);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
    position += bytesRead;
  }
}

/**
 * A line at or before the one of `seq`, and not far from it, by bisection of the file: seqs only grow. Lines
 * that cannot be understood send the search to earlier ones, from where reading meets the damage.
 */
async function findLine(handle: FileHandle, beginning: LineStart, seq: number): Promise<LineStart> {
  let low = beginning;
  let high = (await handle.stat()).size;
  while (high - low.offset > searchStopBytes) {
    const middle = low.offset + Math.floor((high - low.offset) / 2);
    const found = await firstLineAfter(handle, middle, high);
    if (found !== undefined && found.seq <= seq) low = found;
    else high = middle;
  }
  return low;
}

async function firstLineAfter(
  handle: FileHandle,
  offset: number,
  limit: number,
): Promise<LineStart | undefined> {
  let window = 8 * 1024;
  for (;;) {
    const length = Math.min(window, limit - offset);
    const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(length), 0, length, offset);
    const bytes = buffer.subarray(0, bytesRead);
    const start = bytes.indexOf(newline) + 1;
    const end = start === 0 ? -1 : bytes.indexOf(newline, start);
    if (end !== -1) {
      const seq = claimedSeq(bytes.toString('utf8', start, end));
      return seq === undefined ? undefined : { offset: offset + start, seq };
    }
    if (bytesRead < window || window > 2 * limits.journalEventBytesMax) return undefined;
    window *= 8;
  }
}

function explainArchiveError(error: unknown, segment: Segment): unknown {
  if (!/^Z(STD)?_/.test(errnoOf(error) ?? '')) return error;
  return new LockstepError('damaged', `${segment.file} cannot be uncompressed: ${messageOf(error)}`, {
    cause: error,
  });
}
