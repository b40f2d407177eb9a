/**
 * What an attempt prints, bounded on disk and in what is reported, however much it is.
 *
 * Up to `attemptLogBytesMax` per stream everything is kept. Beyond, the head is kept exactly and the last
 * `attemptLogTailBytes`, with an explicit gap between. The job appends to a file of its own and never waits
 * for the agent; when the part after the head has grown beyond `logOverflowBytesMax` the agent notes its
 * end and cuts the file back to the head. What the job writes in the microseconds between looking and cutting
 * is lost uncounted, so a gap counts *at least* the bytes that are missing, and where a noted end meets
 * what came after the last cut stands a gap of one byte: "perhaps something, perhaps nothing".
 *
 * The file is within the job's reach, also by accident: `>/dev/stderr` empties it. It therefore begins with a mark,
 * and its first bytes are compared whenever it is looked at. What was in it and was not read before is then a
 * gap of unknown length, told as one byte more than is known, and what comes after goes on behind it.
 */
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { isMissing, privateFileMode } from '../../shared/disk/durable-file.ts';
import { limits } from '../../shared/limits.ts';
import type { StreamName } from '../../shared/messages.ts';
import type { LogPiece, LogStream } from '../core/log-stream.ts';
import { type AttemptFolder, streamFile } from './attempt-folder.ts';

export type LogBounds = {
  readonly headBytes: number;
  readonly tailBytes: number;
  readonly overflowBytes: number;
};

const logBounds: LogBounds = {
  headBytes: limits.attemptLogBytesMax - limits.attemptLogTailBytes,
  tailBytes: limits.attemptLogTailBytes,
  overflowBytes: limits.logOverflowBytesMax,
};

/** What the file of a stream begins with, before anything is printed. */
export const logMark: Uint8Array = Buffer.from('\0lockstep\n');
const comparedBytes = 32;

/** A stretch of the stream: bytes of one of two files, or a gap. */
type Part = { readonly kind: 'log' | 'tail' | 'gap'; readonly at: number; readonly length: number };

export class LogCapture implements LogStream {
  readonly attempt: string;
  readonly stream: StreamName;
  readonly #file: string;
  readonly #bounds: LogBounds;
  #descriptor: number | undefined;
  #seen = 0;
  /** Bytes cut away after the head so far, and the end of them. */
  #dropped = 0;
  #tail: Uint8Array = new Uint8Array();
  /** Length of the stream before what the file holds now: the job has emptied the file. */
  #lost = 0;
  /** Where in the file the stream begins: behind the mark. All other positions are counted from here. */
  #base = 0;
  /** What the file began with when it was looked at last. */
  #beginning: Uint8Array = new Uint8Array();
  #parts: readonly Part[] | undefined;

  /** `finalLength` is that of an attempt which has ended: from then on the stream does not change. */
  constructor(
    folder: AttemptFolder,
    attempt: string,
    stream: StreamName,
    finalLength?: number,
    bounds: LogBounds = logBounds,
  ) {
    this.attempt = attempt;
    this.stream = stream;
    this.#file = streamFile(folder, stream);
    this.#bounds = bounds;
    this.#restore();
    this.#beginning = this.#readFile(0, comparedBytes);
    this.#base = startsWith(this.#beginning, logMark) ? logMark.length : 0;
    // Many attempts may wait for their acknowledgement: files are held open while they are read.
    this.close();
    if (finalLength !== undefined)
      this.#parts = this.#readLayout() ?? [{ kind: 'log', at: 0, length: finalLength }];
  }

  /** Looks at what was printed meanwhile. The bytes that are new. */
  poll(): number {
    const before = this.#lost + this.#seen + this.#dropped;
    this.#look();
    if (this.#seen - this.#headBytes > this.#bounds.overflowBytes) this.#cut(this.#seen);
    return this.#lost + this.#seen + this.#dropped - before;
  }

  isFinal(): boolean {
    return this.#parts !== undefined;
  }

  length(): number {
    return lengthOf(this.#parts ?? this.#growing());
  }

  /** Nothing that is printed from now on counts. */
  finish(): number {
    if (this.#parts === undefined) {
      this.#look();
      this.#parts = withLength([gap(this.#lost), ...this.#layout(this.#seen)]);
      // An uncut stream is known by its length alone, which stands in the result.
      if (this.#parts.length > 1) note(this.#layoutFile, JSON.stringify(this.#parts));
    }
    return lengthOf(this.#parts);
  }

  read(offset: number, bytesMax: number): LogPiece {
    let before = 0;
    for (const part of this.#parts ?? this.#growing()) {
      const inside = offset - before;
      before += part.length;
      if (inside >= part.length) continue;
      const left = part.length - inside;
      if (part.kind === 'gap') return { kind: 'gap', offset, length: left };
      const bytes = this.#bytes(part.kind, part.at + inside, Math.min(left, bytesMax));
      // The job can reach its own log files. What it destroyed is a gap like any other.
      return bytes.length > 0 ? { kind: 'bytes', offset, bytes } : { kind: 'gap', offset, length: left };
    }
    throw new RangeError(`the log has ${before} bytes and was read at ${offset}`);
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  get #layoutFile(): string {
    return `${this.#file}.layout`;
  }

  get #tailFile(): string {
    return `${this.#file}.tail`;
  }

  get #lostFile(): string {
    return `${this.#file}.lost`;
  }

  /** What was lost takes its part of the head, so that emptying the file again and again gains nothing. */
  get #headBytes(): number {
    return Math.max(0, this.#bounds.headBytes - this.#lost);
  }

  /** What can be read before the end is known: nothing that may yet become the tail. */
  #growing(): readonly Part[] {
    return withLength([
      gap(this.#lost),
      { kind: 'log', at: 0, length: Math.min(this.#seen, this.#headBytes) },
    ]);
  }

  #look(): void {
    const size = this.#size();
    const beginning = this.#readFile(0, comparedBytes);
    if (size < this.#seen || !startsWith(beginning, this.#beginning)) {
      this.#lost += this.#seen + this.#dropped + 1;
      this.#base = 0;
      this.#dropped = 0;
      this.#tail = new Uint8Array();
      note(this.#lostFile, String(this.#lost));
      note(this.#tailFile, '0\n');
    }
    this.#beginning = beginning;
    this.#seen = this.#size();
  }

  #size(): number {
    const descriptor = this.#open();
    return descriptor === undefined ? 0 : Math.max(0, fstatSync(descriptor).size - this.#base);
  }

  #open(): number | undefined {
    try {
      this.#descriptor ??= openSync(this.#file, 'r+');
    } catch {
      return undefined;
    }
    return this.#descriptor;
  }

  #bytes(from: 'log' | 'tail', at: number, length: number): Uint8Array {
    return from === 'tail' ? this.#tail.subarray(at, at + length) : this.#readLog(at, length);
  }

  #readLog(at: number, length: number): Uint8Array {
    return this.#readFile(this.#base + at, length);
  }

  #readFile(at: number, length: number): Uint8Array {
    const descriptor = this.#open();
    if (descriptor === undefined) return new Uint8Array();
    const buffer = Buffer.allocUnsafe(length);
    return buffer.subarray(0, readSync(descriptor, buffer, 0, length, at));
  }

  #cut(size: number): void {
    const descriptor = this.#open();
    if (descriptor === undefined) return;
    const { tailBytes } = this.#bounds;
    const headBytes = this.#headBytes;
    this.#tail = Uint8Array.from(this.#readLog(Math.max(headBytes, size - tailBytes), tailBytes));
    ftruncateSync(descriptor, this.#base + headBytes);
    this.#dropped += size - headBytes;
    this.#seen = headBytes;
    // After the cut, so that an agent killed between the two counts too little rather than too much.
    note(this.#tailFile, Buffer.concat([Buffer.from(`${this.#dropped}\n`), this.#tail]));
  }

  #restore(): void {
    if (statSync(this.#lostFile, { throwIfNoEntry: false }) !== undefined)
      this.#lost = Number(readFileSync(this.#lostFile, 'latin1'));
    if (statSync(this.#tailFile, { throwIfNoEntry: false }) === undefined) return;
    const noted = readFileSync(this.#tailFile);
    const line = noted.indexOf('\n');
    this.#dropped = Number(noted.toString('latin1', 0, line));
    this.#tail = noted.subarray(line + 1);
  }

  #layout(size: number): readonly Part[] {
    const { tailBytes } = this.#bounds;
    const headBytes = this.#headBytes;
    if (this.#dropped === 0 && size <= headBytes + tailBytes) return [{ kind: 'log', at: 0, length: size }];
    const head: Part = { kind: 'log', at: 0, length: Math.min(headBytes, size) };
    const rest = Math.max(0, size - headBytes);
    if (rest >= tailBytes) {
      return [
        head,
        gap(this.#dropped + rest - tailBytes),
        { kind: 'log', at: size - tailBytes, length: tailBytes },
      ];
    }
    const kept = Math.min(this.#tail.length, tailBytes - rest);
    return [
      head,
      gap(this.#dropped - kept),
      { kind: 'tail', at: this.#tail.length - kept, length: kept },
      gap(1),
      { kind: 'log', at: headBytes, length: rest },
    ];
  }

  #readLayout(): readonly Part[] | undefined {
    if (statSync(this.#layoutFile, { throwIfNoEntry: false }) === undefined) return undefined;
    const parts: readonly Part[] = JSON.parse(readFileSync(this.#layoutFile, 'utf8'));
    return parts;
  }
}

const startsWith = (bytes: Uint8Array, beginning: Uint8Array): boolean =>
  Buffer.compare(bytes.subarray(0, beginning.length), beginning) === 0;

const withLength = (parts: readonly Part[]): readonly Part[] => parts.filter((part) => part.length > 0);

/**
 * Writes down what only a restarted agent needs to know; without it a log gets a larger gap. The folder may
 * have been removed by the job.
 */
function note(file: string, content: string | Uint8Array): void {
  try {
    writeFileSync(`${file}.new`, content, { mode: privateFileMode });
    renameSync(`${file}.new`, file);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

const gap = (length: number): Part => ({ kind: 'gap', at: 0, length });

const lengthOf = (parts: readonly Part[]): number => parts.reduce((sum, part) => sum + part.length, 0);
