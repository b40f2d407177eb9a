/**
 * The journal in memory, for tests and simulations: the same contract as the one on disk, down to hashes and
 * to what JSON does to an event, without durability.
 */
import { assert, present } from '../../shared/assert.ts';
import { limits } from '../../shared/limits.ts';
import { decodeRecord, encodeBatch, genesisHash, openLine } from './chain.ts';
import { expired } from './history.ts';
import type { Journal, Position, ReadRange, StoredEvent, Verified } from './port.ts';
import { SeqWaiters } from './seq-waiters.ts';

export class MemoryJournal<E extends StoredEvent> implements Journal<E> {
  readonly lineage: string;
  readonly #parse: (stored: unknown) => E;
  readonly #waiters = new SeqWaiters();
  /** Lines in order; the one at index 0 has seq `#first`. */
  #lines: string[] = [];
  #first = 1;
  #beforeFirst = genesisHash;
  #last: Position = { seq: 0, hash: genesisHash };
  #condition: 'ready' | 'appending' | 'closed' = 'ready';

  constructor(options: { readonly lineage: string; readonly parse: (stored: unknown) => E }) {
    this.lineage = options.lineage;
    this.#parse = options.parse;
  }

  get last(): Position {
    return this.#last;
  }

  async append(events: readonly E[]): Promise<void> {
    const { seq, hash: previous } = this.#last;
    assert(this.#condition === 'ready', 'one batch at a time');
    if (events.length === 0) return;
    const { text, hash } = encodeBatch(events, seq, previous);
    this.#condition = 'appending';
    // Durability takes time: whoever forgets to wait for it must notice here too.
    await Promise.resolve();
    this.#condition = 'ready';
    for (const line of text.trimEnd().split('\n')) this.#lines.push(line);
    this.#last = { seq: seq + events.length, hash };
    this.#waiters.announce(this.#last.seq);
  }

  async *read(range: ReadRange): AsyncGenerator<readonly E[]> {
    let next = range.from;
    if (next < 1) throw expired(next, 'seqs begin at 1');
    if (next > this.#last.seq + 1) throw expired(next, `this history ends at ${this.#last.seq}`);
    for (;;) {
      assert(this.#condition !== 'closed', 'an open journal');
      const to = Math.min(
        range.to ?? Number.POSITIVE_INFINITY,
        this.#last.seq,
        next + limits.journalPageEventsMax - 1,
      );
      if (next > to) return;
      if (next < this.#first) throw expired(next, `the oldest event that is kept is ${this.#first}`);
      const page: E[] = [];
      for (; next <= to; next += 1) page.push(this.#event(next));
      yield page;
    }
  }

  async oldest(): Promise<number> {
    return this.#first;
  }

  async hashAt(seq: number): Promise<string> {
    if (seq === 0) return genesisHash;
    if (seq > this.#last.seq) throw expired(seq, `this history ends at ${this.#last.seq}`);
    if (seq < this.#first) throw expired(seq, `the oldest event that is kept is ${this.#first}`);
    return this.#hash(seq);
  }

  async beyond(seq: number, signal: AbortSignal): Promise<void> {
    if (this.#last.seq <= seq) await this.#waiters.wait(seq, signal);
  }

  async verify(): Promise<Verified> {
    for (let seq = this.#first; seq <= this.#last.seq; seq += 1) this.#event(seq);
    return { first: this.#first, last: this.#last, events: this.#lines.length };
  }

  async close(): Promise<void> {
    this.#condition = 'closed';
    this.#waiters.releaseAll();
  }

  /** What retention does on disk: events before `seq` can no longer be read. */
  forget(seq: number): void {
    this.#beforeFirst = this.#hash(seq - 1);
    this.#lines = this.#lines.slice(seq - this.#first);
    this.#first = seq;
  }

  #line(seq: number): string {
    return present(this.#lines[seq - this.#first], `line of seq ${seq}`);
  }

  #hash(seq: number): string {
    if (seq === this.#first - 1) return this.#beforeFirst;
    return present(openLine(this.#line(seq)), `hash of seq ${seq}`).hash;
  }

  #event(seq: number): E {
    const record = decodeRecord(this.#line(seq), this.#hash(seq - 1), seq);
    assert(record.kind === 'record', `seq ${seq} as it was appended`);
    return this.#parse(record.event);
  }
}
