/**
 * What is decided but not yet on disk: events for one append, what must be stored before them, and what may
 * leave after them, all in the order in which it was decided.
 */
import { present } from '../../shared/assert.ts';
import { LockstepError } from '../../shared/errors.ts';
import type { Decision, Effect } from '../core/commands.ts';
import type { Event } from '../core/events.ts';
import type { Content, Entry, Settled } from './command-queue.ts';

export type Store = {
  /** All or nothing; rejects with `disk-full` or `too-large` without a trace (see journal/port.ts). */
  append(events: readonly Event[]): Promise<void>;
  /** Both may be repeated with the same content. */
  putSecrets(secrets: readonly Secret[]): Promise<void>;
  putBlob(digest: string, text: string): Promise<void>;
};

type Secret = { readonly reference: string; readonly value: string };

/** A read of the state that waits until what it saw cannot be lost any more. */
export type Read = {
  readonly release: () => void;
  /** Looks again, at a state of which everything is on disk. */
  readonly retake: () => void;
};

export type Release =
  | { readonly kind: 'settle'; readonly entry: Entry; readonly settled: Settled }
  | { readonly kind: 'effects'; readonly effects: readonly Effect[] }
  | { readonly kind: 'read'; readonly read: Read };

export class Batch {
  events: Event[] = [];
  secrets: Secret[] = [];
  blobs: Content[] = [];
  releases: Release[] = [];
  /** Seqs at which decisions begin: an append must not part the events of one decision. */
  #decisions: number[] = [];

  get isEmpty(): boolean {
    return this.releases.length === 0 && this.events.length === 0;
  }

  add(decision: Decision, entry: Entry | null): void {
    if (decision.ok) {
      const [first] = decision.events;
      if (first !== undefined) this.#decisions.push(first.seq);
      for (const event of decision.events) this.events.push(event);
      for (const secret of decision.secrets) this.secrets.push(secret);
      for (const blob of decision.blobs) this.blobs.push(blob);
    }
    if (entry?.content) this.blobs.push(entry.content);
    if (entry !== null && entry.settle !== null)
      this.releases.push({ kind: 'settle', entry, settled: settledOf(decision) });
    else if (decision.effects.length > 0) this.releases.push({ kind: 'effects', effects: decision.effects });
  }

  /**
   * Makes it durable: first what the events name, then the events. After a rejection it may be called again
   * and goes on with what was not written. `appended` hears the last seq on disk after each append.
   */
  async write(store: Store, appended: (seq: number) => void): Promise<void> {
    if (this.secrets.length > 0) await store.putSecrets(this.secrets);
    this.secrets = [];
    await Promise.all(this.blobs.map(({ digest, text }) => store.putBlob(digest, text)));
    this.blobs = [];
    while (this.events.length > 0) {
      const count = await this.#appendSome(store, this.events.length);
      appended(present(this.events[count - 1], 'event appended').seq);
      this.events = this.events.slice(count);
    }
  }

  /** Appends the first `count` events; when that is too large, half of the decisions. Says how many it were. */
  async #appendSome(store: Store, count: number): Promise<number> {
    const { events } = this;
    const first = present(events[0], 'first event').seq;
    try {
      await store.append(count === events.length ? events : events.slice(0, count));
      return count;
    } catch (error) {
      const within = this.#decisions.filter((seq) => seq > first && seq < first + count);
      const half = within[within.length >> 1];
      if (!(error instanceof LockstepError) || error.code !== 'too-large' || half === undefined) throw error;
      return this.#appendSome(store, half - first);
    }
  }
}

const settledOf = (decision: Decision): Settled =>
  decision.ok
    ? { ok: true, events: decision.events, effects: decision.effects }
    : { ok: false, error: decision.error, effects: decision.effects };
