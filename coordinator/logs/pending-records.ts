/** What was taken and is not durable yet: small pieces joined to records, and bounded in total. */
import { limits } from '../../shared/limits.ts';
import type { LogStream } from './log-records.ts';

type Offsets = { [stream in LogStream]: number };

export type AttemptTrack = {
  readonly attempt: string;
  /** Bytes that were taken, in memory or on disk: where the next piece must begin. */
  readonly accepted: Offsets;
  /** Bytes that are durable. */
  readonly durable: Offsets;
  /** Content taken, without gaps: what the bound on an attempt's log counts. */
  readonly content: Offsets;
  /** The last record in memory, which the next piece of the same stream can join. */
  tail: PendingRecord | undefined;
  /** Nothing more will come. */
  isFinished: boolean;
};

export type PendingRecord = {
  readonly track: AttemptTrack;
  readonly stream: LogStream;
  readonly offset: number;
  readonly at: number;
  readonly content: Uint8Array[];
  /** Of the content, or of the gap that stands for it. */
  bytes: number;
  readonly isGap: boolean;
};

/** Nothing of it waits for the disk. */
export const isDurable = ({ accepted, durable }: AttemptTrack): boolean =>
  accepted.stdout === durable.stdout && accepted.stderr === durable.stderr;

/** What a record costs besides its content, on disk and about in memory. */
const overheadBytes = 256;

export class PendingRecords {
  #records: PendingRecord[] = [];
  /** On their way to the disk. */
  #taken: readonly PendingRecord[] = [];
  #bytes = 0;

  get isEmpty(): boolean {
    return this.#records.length === 0;
  }

  hasRoom(bytes: number): boolean {
    return this.#bytes + bytes + overheadBytes <= limits.logPendingBytesMax;
  }

  /** Content that goes on where its stream ended. The bytes are copied: they may be part of a larger frame. */
  add(track: AttemptTrack, stream: LogStream, content: Uint8Array, at: number): void {
    this.#join(track, stream, at, false, content.length).content.push(Uint8Array.from(content));
    this.#bytes += content.length;
  }

  addGap(track: AttemptTrack, stream: LogStream, bytes: number, at: number): void {
    this.#join(track, stream, at, true, bytes);
  }

  /** All records, for one flush; they count until `settle` or `putBack`. */
  take(): readonly PendingRecord[] {
    const records = this.#records;
    this.#records = [];
    this.#taken = records;
    for (const { track } of records) track.tail = undefined;
    return records;
  }

  /** What waits for the disk of one attempt, in the order in which it came. */
  *contentOf(attempt: string): Iterable<Uint8Array> {
    for (const { track, content } of [...this.#taken, ...this.#records])
      if (track.attempt === attempt) yield* content;
  }

  settle(records: readonly PendingRecord[]): void {
    this.#taken = [];
    for (const { isGap, bytes } of records) this.#bytes -= overheadBytes + (isGap ? 0 : bytes);
  }

  putBack(records: readonly PendingRecord[]): void {
    this.#taken = [];
    this.#records = [...records, ...this.#records];
  }

  /** The record that the bytes belong to: the attempt's last one when they continue it, else a new one. */
  #join(track: AttemptTrack, stream: LogStream, at: number, isGap: boolean, bytes: number): PendingRecord {
    const { tail } = track;
    const offset = track.accepted[stream];
    track.accepted[stream] += bytes;
    const joins =
      tail !== undefined &&
      tail.stream === stream &&
      tail.isGap === isGap &&
      (isGap || tail.bytes + bytes <= limits.logRecordBytesMax);
    if (joins) {
      tail.bytes += bytes;
      return tail;
    }
    const record: PendingRecord = { track, stream, offset, at, content: [], bytes, isGap };
    track.tail = record;
    this.#records.push(record);
    this.#bytes += overheadBytes;
    return record;
  }
}
