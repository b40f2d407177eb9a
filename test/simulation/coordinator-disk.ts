/**
 * What a coordinator leaves behind when it is killed: the journal, a snapshot, contents and logs. Only what was
 * fsynced is in here; what was on its way at a crash is there as a whole batch or not at all (see
 * coordinator/journal/segment-recovery.ts).
 */
import { emptyState, evolve } from '../../coordinator/core/engine.ts';
import type { Event } from '../../coordinator/core/events.ts';
import { fromShards } from '../../coordinator/core/snapshot-reading.ts';
import { toShards } from '../../coordinator/core/snapshot-writing.ts';
import type { State } from '../../coordinator/core/state.ts';

/** What is read back is what JSON keeps of it. */
const fromDisk = <T>(value: T): T => JSON.parse(JSON.stringify(value));

export class CoordinatorDisk {
  readonly lineage: string;
  readonly events: Event[] = [];
  readonly texts = new Map<string, string>();
  readonly secrets = new Map<string, string>();
  /** By `attempt stream`. */
  readonly logs = new Map<string, string>();
  #snapshot: { readonly seq: number; readonly shards: ReadonlyMap<string, unknown> } | null = null;
  isFull = false;
  /** The next fsync fails, and what it left behind is unknown. */
  isFailing = false;

  constructor(lineage: string) {
    this.lineage = lineage;
  }

  get durableSeq(): number {
    return this.events.length;
  }

  /** The newest snapshot, then the events after it, up to a seq. */
  recover(to: number = this.events.length): State {
    const snapshot = this.#snapshot !== null && this.#snapshot.seq <= to ? this.#snapshot : null;
    const state =
      snapshot === null ? emptyState() : fromShards((name) => fromDisk(snapshot.shards.get(name)));
    for (const event of this.events.slice(state.seq, to)) evolve(state, fromDisk(event));
    return state;
  }

  /** As the child process does it: from what is durable, never from the living state. */
  takeSnapshot(): void {
    const state = this.recover();
    this.#snapshot = { seq: state.seq, shards: new Map(toShards(state)) };
  }

  /** As it was put aside on that day: what came later is not in it. It may go on as another lineage. */
  copy(lineage = this.lineage): CoordinatorDisk {
    const copy = new CoordinatorDisk(lineage);
    copy.events.push(...this.events);
    for (const [digest, text] of this.texts) copy.texts.set(digest, text);
    for (const [reference, value] of this.secrets) copy.secrets.set(reference, value);
    for (const [key, text] of this.logs) copy.logs.set(key, text);
    copy.#snapshot = this.#snapshot;
    return copy;
  }
}
