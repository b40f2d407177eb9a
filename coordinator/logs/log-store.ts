/**
 * What jobs print, as it arrives: taken in order per attempt and stream, made durable in cycles, so that many
 * attempts share one fsync, and acknowledged after it. What the text means, and who may read it, does not
 * belong here. Whoever opens it holds the lock of the data folder.
 */
import { expiredFiles } from '../../shared/disk/retention.ts';
import { LockstepError, messageOf } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import { AttemptTracks } from './attempt-tracks.ts';
import { Followers } from './followers.ts';
import { EntryFinder, type LogPiece, LogReader, type LogSelection, readTail } from './log-reader.ts';
import { encodeRecord, type LogRecord, type LogStream, type StreamOffsets } from './log-records.ts';
import { type AttemptTrack, isDurable, type PendingRecord, PendingRecords } from './pending-records.ts';
import {
  type ActiveSegment,
  beginSegment,
  openSegments,
  removeSegment,
  type SealedSegment,
  type Segment,
  sealSegment,
} from './segment-files.ts';
import type { AttemptEntry } from './segment-index.ts';
import { tailNow } from './tail-now.ts';

/** All bytes of a stream before `upTo` are durable, or are marked as missing. */
export type DurableLog = { readonly attempt: string; readonly stream: LogStream; readonly upTo: number };

export type LogStoreOptions = {
  readonly folder: string;
  /** Told after each fsync: what may now be acknowledged. */
  readonly onDurable: (durable: readonly DurableLog[]) => void;
  /**
   * Told when a cycle in the background failed. With `disk-full` nothing is lost and it is tried again; after
   * any other error the process must end.
   */
  readonly onFailure: (error: unknown) => void;
  /** By the clock that `retain` is told, too. */
  readonly now: () => number;
  readonly flushDelayMs?: number;
  readonly segmentBytesMax?: number;
};

export type Appended =
  /** Everything before `upTo` was taken, now or before; what is before `durable` may be acknowledged at once. */
  | { readonly kind: 'accepted'; readonly upTo: number; readonly durable: number }
  /** Nothing was taken: the bytes from `expected` on are missing. */
  | { readonly kind: 'gap'; readonly expected: number }
  /** Nothing was taken: too much waits for the disk. To be sent again later. */
  | { readonly kind: 'full'; readonly upTo: number };

/** Bytes that were printed, or how many were cut at the source instead. */
export type LogContent = Uint8Array | { readonly gapBytes: number };

export class LogStore {
  /** What opening had to do; to be logged. */
  readonly repairs: readonly string[];
  readonly #options: LogStoreOptions;
  readonly #sealed: SealedSegment[];
  #active: ActiveSegment;
  readonly #finder = new EntryFinder();
  readonly #tracks = new AttemptTracks((attempt) => this.#entries(attempt));
  readonly #pending = new PendingRecords();
  readonly #followers = new Followers();
  #running: Promise<unknown> = Promise.resolve();
  #waiting: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #failure: LockstepError | undefined;

  private constructor(
    options: LogStoreOptions,
    sealed: SealedSegment[],
    active: ActiveSegment,
    repairs: readonly string[],
  ) {
    this.#options = options;
    this.#sealed = sealed;
    this.#active = active;
    this.repairs = repairs;
  }

  static async open(options: LogStoreOptions): Promise<LogStore> {
    const { sealed, active, repairs } = await openSegments(options.folder);
    return new LogStore(options, sealed, active, repairs);
  }

  /**
   * Takes what an attempt printed at an offset of one of its streams. What was taken before is dropped, so that
   * a sender who is in doubt sends again. Beyond `attemptLogBytesMax` of a stream's content, a gap is kept
   * instead.
   */
  async append(attempt: string, stream: LogStream, offset: number, content: LogContent): Promise<Appended> {
    this.#checkUsable();
    const track = await this.#tracks.get(attempt);
    const isText = content instanceof Uint8Array;
    const size = isText ? content.length : content.gapBytes;
    if (isText && size > limits.logRecordBytesMax) throw tooLarge(attempt, size);
    const expected = track.accepted[stream];
    if (offset > expected) return { kind: 'gap', expected };
    const skipped = expected - offset;
    if (skipped < size) {
      if (!this.#pending.hasRoom(isText ? size : 0)) return { kind: 'full', upTo: expected };
      if (isText) this.#take(track, stream, content.subarray(skipped));
      else this.#pending.addGap(track, stream, size - skipped, this.#options.now());
      this.#schedule(this.#options.flushDelayMs ?? limits.logFlushDelayMs);
    }
    return { kind: 'accepted', upTo: track.accepted[stream], durable: track.durable[stream] };
  }

  /** How many bytes of each stream are durable, gaps included. */
  async durableEnds(attempt: string): Promise<StreamOffsets> {
    return { ...(await this.#tracks.get(attempt)).durable };
  }

  /** Resolves when everything that was taken before is durable. Rejects with `disk-full` or for good. */
  flush(): Promise<void> {
    this.#waiting ??= this.#inTurn(() => {
      this.#waiting = undefined;
      return this.#flushOnce();
    });
    return this.#waiting;
  }

  /** Nothing more of this attempt will come: its followers end when they have read everything that was taken. */
  async finish(attempt: string): Promise<void> {
    const track = await this.#tracks.get(attempt);
    track.isFinished = true;
    this.#endIfDurable(track);
  }

  /**
   * What the attempt printed, as far as it is durable. With `follow` it goes on until the attempt is finished
   * or the signal aborts; an attempt that has finished before is not followed, so ask for that only while it
   * lives.
   */
  async *read(
    attempt: string,
    selection: LogSelection & { readonly follow?: AbortSignal } = {},
  ): AsyncGenerator<LogPiece> {
    const { follow } = selection;
    const reader = new LogReader(attempt, this.#finder, selection);
    if (follow === undefined) {
      yield* reader.readOn(this.#segments());
      return;
    }
    const follower = this.#followers.join(attempt);
    try {
      for (;;) {
        const { isDone } = follower;
        follower.markRead();
        yield* reader.readOn(this.#segments());
        if (isDone || follow.aborted) return;
        await follower.news(follow);
      }
    } finally {
      this.#followers.leave(attempt, follower);
    }
  }

  /** The end of what the attempt printed, at most `attemptLogTailBytes` of text. */
  tail(
    attempt: string,
    options: { readonly bytes: number; readonly stream?: LogStream },
  ): Promise<readonly LogPiece[]> {
    const bytes = Math.min(options.bytes, limits.attemptLogTailBytes);
    return readTail(attempt, this.#finder, this.#segments(), { ...options, bytes });
  }

  /** The same at once, also what is not durable yet: for decisions, which cannot wait. */
  tailNow(attempt: string, bytes: number): string {
    return tailNow(attempt, this.#finder, this.#segments(), this.#pending.contentOf(attempt), bytes);
  }

  /** Deletes the oldest segments that are over age or size, and gives how many. */
  retain(policy: {
    readonly now: number;
    readonly keptMs?: number;
    readonly keptBytes?: number;
  }): Promise<number> {
    const { now, keptMs = limits.logKeptMs, keptBytes = limits.logKeptBytesMax } = policy;
    return this.#inTurn(async () => {
      // Where little is printed, the active segment would never be old enough to go.
      if ((this.#active.index.oldestAt ?? now) < now - limits.logSegmentSpanMs) await this.#rotate();
      const expired = expiredFiles(this.#sealed, { now, keptMs, keptBytes }, () => true);
      for (const segment of expired) {
        this.#sealed.shift();
        await removeSegment(segment);
      }
      return expired.length;
    });
  }

  /** Makes durable what was taken, and ends all followers. */
  async close(): Promise<void> {
    if (this.#failure === undefined) await this.flush();
    this.#failure ??= new LockstepError('conflict', `the logs in ${this.#options.folder} are closed`);
    clearTimeout(this.#timer);
    this.#followers.endAll();
    await this.#running;
    await this.#active.file.close();
  }

  #take(track: AttemptTrack, stream: LogStream, content: Uint8Array): void {
    const room = Math.max(limits.attemptLogBytesMax - track.content[stream], 0);
    const kept = content.subarray(0, room);
    const now = this.#options.now();
    track.content[stream] += kept.length;
    if (kept.length > 0) this.#pending.add(track, stream, kept, now);
    if (kept.length < content.length) this.#pending.addGap(track, stream, content.length - kept.length, now);
  }

  #schedule(delayMs: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.flush().catch((error: unknown) => {
        this.#options.onFailure(error);
        if (this.#failure === undefined) this.#schedule(limits.logRetryDelayMs);
      });
    }, delayMs);
  }

  async #flushOnce(): Promise<void> {
    this.#checkUsable();
    if (this.#pending.isEmpty) return;
    if (this.#active.file.bytes >= (this.#options.segmentBytesMax ?? limits.logSegmentBytesMax))
      await this.#rotate();
    const active = this.#active;
    const pending = this.#pending.take();
    const { bytes, records } = encodeCycle(pending, active);
    try {
      await this.#onDisk(() => active.file.append(bytes));
    } catch (error) {
      this.#pending.putBack(pending);
      throw error;
    }
    this.#pending.settle(pending);
    active.cycle += 1;
    for (const { record, place } of records) active.index.add(record, place);
    this.#release(pending);
  }

  #release(flushed: readonly PendingRecord[]): void {
    const touched = new Map<AttemptTrack, Set<LogStream>>();
    for (const { track, stream, offset, bytes } of flushed) {
      track.durable[stream] = offset + bytes;
      touched.set(track, (touched.get(track) ?? new Set()).add(stream));
    }
    const durable: DurableLog[] = [];
    for (const [{ attempt, durable: ends }, changed] of touched) {
      for (const stream of changed) durable.push({ attempt, stream, upTo: ends[stream] });
      this.#followers.tell(attempt);
    }
    for (const track of touched.keys()) this.#endIfDurable(track);
    this.#options.onDurable(durable);
  }

  #endIfDurable(track: AttemptTrack): void {
    if (!track.isFinished || !isDurable(track)) return;
    this.#followers.end(track.attempt);
    this.#tracks.forget(track.attempt);
  }

  async #rotate(): Promise<void> {
    const before = this.#active;
    await this.#onDisk(async () => {
      const sealed = await sealSegment(before);
      const next = await beginSegment(this.#options.folder, before.number + 1);
      // Both at once, so that no reader sees the segment twice or not at all.
      this.#sealed.push(sealed);
      this.#active = next;
      await before.file.close();
    });
  }

  #segments(): readonly Segment[] {
    return [...this.#sealed, this.#active];
  }

  async #entries(attempt: string): Promise<readonly AttemptEntry[]> {
    const entries: AttemptEntry[] = [];
    for (const segment of this.#segments().toReversed()) {
      const entry = await this.#finder.find(segment, attempt);
      if (entry !== undefined) entries.push(entry);
    }
    return entries;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#running.then(work);
    this.#running = turn.catch(() => undefined);
    return turn;
  }

  async #onDisk<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      if (cause instanceof LockstepError && cause.code === 'disk-full') throw cause;
      this.#failure = new LockstepError(
        'damaged',
        `the logs in ${this.#options.folder} could not be written (${messageOf(cause)}): what the disk holds is ` +
          'unknown until they are opened again; this process must end and be started anew',
        { cause },
      );
      throw this.#failure;
    }
  }

  #checkUsable(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }
}

/** One flush as bytes, and where in the segment each of its records will be. */
function encodeCycle(
  pending: readonly PendingRecord[],
  active: ActiveSegment,
): {
  readonly bytes: Buffer;
  readonly records: readonly { readonly record: LogRecord; readonly place: number }[];
} {
  const parts: Uint8Array[] = [];
  const records: { record: LogRecord; place: number }[] = [];
  let place = active.file.bytes;
  for (const { track, stream, offset, at, content, bytes, isGap } of pending) {
    const { attempt } = track;
    const cycle = active.cycle + 1;
    const said = isGap ? { bytes: 0, gap: bytes } : { bytes };
    const record: LogRecord = { attempt, stream, offset, at, cycle, ...said };
    records.push({ record, place });
    for (const part of encodeRecord(record, content, active.salt)) {
      parts.push(part);
      place += part.length;
    }
  }
  return { bytes: Buffer.concat(parts), records };
}

const tooLarge = (attempt: string, bytes: number): LockstepError =>
  new LockstepError(
    'too-large',
    `cannot take ${bytes} bytes of the log of ${attempt} at once: logRecordBytesMax is ${limits.logRecordBytesMax}`,
  );
