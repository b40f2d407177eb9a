/**
 * The state from what is on disk: the newest snapshot, then the events after it. Nothing else is needed, and
 * what is folded again is what was there before.
 */
import { assert } from '../../shared/assert.ts';
import { LockstepError } from '../../shared/errors.ts';
import { emptyState, evolve } from '../core/engine.ts';
import type { Event } from '../core/events.ts';
import { fromShards } from '../core/snapshot.ts';
import type { State } from '../core/state.ts';
import type { Journal } from '../journal/port.ts';
import { readSnapshot, type Snapshot } from '../journal/snapshots.ts';

export type Recovered = {
  readonly state: State;
  /** Of the snapshot that was used; 0 without one. */
  readonly snapshotSeq: number;
  /** Why newer snapshots were passed over; to be logged. */
  readonly passedOver: readonly string[];
};

/** The state at a seq, or at the end of the journal. Throws `damaged` when the snapshot is of another history. */
export async function recoverState(
  journal: Journal<Event>,
  snapshots: string,
  to?: number,
): Promise<Recovered> {
  const { snapshot, passedOver } = await readSnapshot(snapshots);
  if (snapshot !== undefined) await checkHistory(journal, snapshot, snapshots);
  const state = snapshot === undefined ? emptyState() : stateOf(snapshot);
  await foldPages(state, journal.read({ from: state.seq + 1, ...(to === undefined ? {} : { to }) }));
  return { state, snapshotSeq: snapshot?.seq ?? 0, passedOver };
}

export function stateOf(snapshot: Snapshot): State {
  const state = fromShards((name) => snapshot.shards.get(name));
  assert(state.seq === snapshot.seq, `the snapshot at ${snapshot.seq} holds the state at ${state.seq}`);
  return state;
}

async function foldPages(state: State, pages: AsyncIterable<readonly Event[]>): Promise<void> {
  for await (const page of pages) for (const event of page) evolve(state, event);
}

async function checkHistory(journal: Journal<Event>, snapshot: Snapshot, folder: string): Promise<void> {
  const { seq, hash, lineage } = snapshot;
  const isOurs =
    lineage === journal.lineage && seq <= journal.last.seq && hash === (await journal.hashAt(seq));
  if (isOurs) return;
  throw new LockstepError(
    'damaged',
    `the snapshot at seq ${seq} in ${folder} does not belong to the journal, which ends at ${journal.last.seq}: ` +
      'one of them was put back without the other; put back both, or run `lockstep doctor`',
  );
}

/** An event as it was stored. What was written was checked; a type that is not known is evolve's to refuse. */
export function parseStoredEvent(stored: unknown): Event {
  const isEvent =
    typeof stored === 'object' && stored !== null && 'seq' in stored && 'at' in stored && 'type' in stored;
  if (!isEvent) throw new LockstepError('damaged', 'the journal holds a line that is not an event');
  return stored as Event;
}
