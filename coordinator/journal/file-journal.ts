/**
 * The journal in a folder of segment files (see chain.ts, segment-folder.ts): the embedded default. Whoever
 * opens it holds the lock of the data folder that it is in. Archiving and retention are in archive.ts, which
 * needs nothing from here, because names in the folder are the only index.
 */
import { readFile } from 'node:fs/promises';
import { assert, present } from '../../shared/assert.ts';
import { AppendFile } from '../../shared/disk/append-file.ts';
import { makeFolder, sweepTemporaries } from '../../shared/disk/durable-file.ts';
import { LockstepError, messageOf } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import { encodeBatch, encodeHeader, genesisHash } from './chain.ts';
import { checkLinks, expired, readHistory } from './history.ts';
import type { Journal, Position, ReadRange, StoredEvent, Verified } from './port.ts';
import { RecentEvents } from './recent-events.ts';
import { damagedAt, listSegments, plainSegment } from './segment-folder.ts';
import { type Repair, recoverSegment } from './segment-recovery.ts';
import { SeqWaiters } from './seq-waiters.ts';

export type FileJournalOptions<E> = {
  readonly folder: string;
  /** The identity of a history that begins now; an existing one keeps its own. */
  readonly lineageWhenNew: string;
  /** An event as this version knows it, from what some version stored. */
  readonly parse: (stored: unknown) => E;
  /** A segment that has reached it is sealed before the next batch. */
  readonly segmentBytesMax?: number;
};

/** What appending continues: everything that one batch hands to the next. */
type End = {
  readonly file: AppendFile;
  /** The seq with which the active segment begins. */
  readonly first: number;
  readonly last: Position;
  /** The hash that the next line is chained to. */
  readonly chain: string;
};

type Condition =
  | { readonly kind: 'ready' }
  | { readonly kind: 'appending' }
  | { readonly kind: 'failed'; readonly cause: unknown }
  | { readonly kind: 'closed' };

export class FileJournal<E extends StoredEvent> implements Journal<E> {
  readonly lineage: string;
  /** What opening had to do to the last batch; to be logged. */
  readonly repair: Repair;
  readonly #folder: string;
  readonly #parse: (stored: unknown) => E;
  readonly #segmentBytesMax: number;
  readonly #recent = new RecentEvents<E>();
  readonly #waiters = new SeqWaiters();
  #end: End;
  #condition: Condition = { kind: 'ready' };
  #working: Promise<unknown> = Promise.resolve();

  private constructor(options: FileJournalOptions<E>, lineage: string, end: End, repair: Repair) {
    this.lineage = lineage;
    this.repair = repair;
    this.#folder = options.folder;
    this.#parse = options.parse;
    this.#segmentBytesMax = options.segmentBytesMax ?? limits.journalSegmentBytesMax;
    this.#end = end;
  }

  /**
   * Creates what is missing, and repairs what a crash can leave. Throws `damaged`, having changed nothing,
   * when something else is wrong; only the newest segment is read, `verify` reads all.
   */
  static async open<E extends StoredEvent>(options: FileJournalOptions<E>): Promise<FileJournal<E>> {
    const { folder } = options;
    await makeFolder(folder);
    await sweepTemporaries(folder);
    const newest = await checkLinks(folder);
    if (newest === undefined) {
      const lineage = options.lineageWhenNew;
      const end = await beginSegment(folder, { seq: 0, hash: genesisHash }, lineage);
      return new FileJournal(options, lineage, end, { kind: 'none' });
    }
    const recovered = recoverSegment(newest.segment, await readFile(newest.segment.file));
    const { header, last, chain, repair } = recovered;
    if (newest.previous !== undefined && newest.previous !== header.previous) {
      throw damagedAt(newest.segment, 0, header.first, 'it does not continue the segment before it');
    }
    const ending = repair.kind === 'completed' ? '\n' : '';
    const file = await AppendFile.resume(newest.segment.file, recovered.bytesKept, ending);
    return new FileJournal(options, header.lineage, { file, first: header.first, last, chain }, repair);
  }

  get last(): Position {
    return this.#end.last;
  }

  async append(events: readonly E[]): Promise<void> {
    await this.#alone(async () => {
      if (events.length > 0) await this.#appendBatch(events);
    });
  }

  /**
   * Ends the active segment, if it has events, so that all events up to now are in sealed segments, which other
   * processes can read and which can be archived. Like `append`, not while a batch is in flight.
   */
  async seal(): Promise<void> {
    await this.#alone(async () => {
      if (this.last.seq >= this.#end.first) await this.#rotate();
    });
  }

  async *read(range: ReadRange): AsyncGenerator<readonly E[]> {
    this.#checkUsable();
    let next = range.from;
    if (next < 1) throw expired(next, 'seqs begin at 1');
    if (next > this.last.seq + 1) throw expired(next, `this history ends at ${this.last.seq}`);
    for (;;) {
      const to = Math.min(range.to ?? Number.POSITIVE_INFINITY, this.last.seq);
      if (next > to) return;
      const recent = this.#recent.page(next, to);
      if (recent !== undefined) {
        yield recent;
        next += recent.length;
        continue;
      }
      for await (const { events, seq } of readHistory(this.#folder, next, to)) {
        this.#checkUsable();
        yield events.map(this.#parse);
        next = seq + 1;
      }
    }
  }

  async oldest(): Promise<number> {
    return present((await listSegments(this.#folder))[0], 'first segment').first;
  }

  async hashAt(seq: number): Promise<string> {
    this.#checkUsable();
    if (seq === 0) return genesisHash;
    if (seq === this.last.seq) return this.last.hash;
    if (seq < 1 || seq > this.last.seq) throw expired(seq, `this history ends at ${this.last.seq}`);
    for await (const page of readHistory(this.#folder, seq, seq)) return page.hash;
    throw expired(seq, 'it is not there');
  }

  async beyond(seq: number, signal: AbortSignal): Promise<void> {
    this.#checkUsable();
    if (this.last.seq <= seq) await this.#waiters.wait(seq, signal);
  }

  async verify(): Promise<Verified> {
    this.#checkUsable();
    const { last } = this;
    const first = await this.oldest();
    let found: Position = { seq: first - 1, hash: '' };
    for await (const { seq, hash } of readHistory(this.#folder, first, last.seq)) found = { seq, hash };
    assert(found.seq < first || found.hash === last.hash, 'the file has the history of this process');
    return { first, last, events: last.seq - first + 1 };
  }

  async close(): Promise<void> {
    if (this.#condition.kind === 'closed') return;
    await this.#working;
    this.#condition = { kind: 'closed' };
    this.#waiters.releaseAll();
    await this.#end.file.close();
  }

  async #appendBatch(events: readonly E[]): Promise<void> {
    if (this.#end.file.bytes >= this.#segmentBytesMax) await this.#rotate();
    const { file, chain, last, first } = this.#end;
    const { text, hash } = encodeBatch(events, last.seq, chain);
    const bytes = Buffer.from(text);
    await this.#onDisk(() => file.append(bytes));
    this.#end = { file, first, chain: hash, last: { seq: last.seq + events.length, hash } };
    this.#recent.push(events, last.seq + 1, bytes.length);
    this.#waiters.announce(this.last.seq);
  }

  async #rotate(): Promise<void> {
    const { file: sealed, last } = this.#end;
    this.#end = await this.#onDisk(() => beginSegment(this.#folder, last, this.lineage));
    await sealed.close();
  }

  async #alone(work: () => Promise<void>): Promise<void> {
    this.#checkUsable();
    assert(this.#condition.kind === 'ready', 'one batch at a time');
    this.#condition = { kind: 'appending' };
    const working = work().finally(() => {
      if (this.#condition.kind === 'appending') this.#condition = { kind: 'ready' };
    });
    this.#working = working.catch(() => undefined);
    await working;
  }

  async #onDisk<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      if (cause instanceof LockstepError && cause.code === 'disk-full') throw cause;
      this.#condition = { kind: 'failed', cause };
      this.#waiters.releaseAll();
      throw this.#failure(cause);
    }
  }

  #checkUsable(): void {
    if (this.#condition.kind === 'failed') throw this.#failure(this.#condition.cause);
    assert(this.#condition.kind !== 'closed', 'an open journal');
  }

  #failure(cause: unknown): LockstepError {
    return new LockstepError(
      'damaged',
      `the journal in ${this.#folder} could not be written (${messageOf(cause)}): what the disk holds is unknown ` +
        'until it is opened again; this process must end and be started anew',
      { cause },
    );
  }
}

async function beginSegment(folder: string, last: Position, lineage: string): Promise<End> {
  const first = last.seq + 1;
  const { text, hash } = encodeHeader({ first, previous: last.hash, lineage });
  return { file: await AppendFile.create(plainSegment(folder, first).file, text), first, last, chain: hash };
}
