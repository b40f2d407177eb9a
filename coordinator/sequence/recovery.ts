/**
 * The state from what is on disk: the newest snapshot, then the events after it. Nothing else is needed, and
 * what is folded again is what was there before.
 */
import { assert } from '../../shared/assert.ts';
import { LockstepError } from '../../shared/errors.ts';
import { emptyState, evolve } from '../core/engine.ts';
import { isKnownType } from '../core/event-types.ts';
import type { Event } from '../core/events.ts';
import { fromShards, refusalOf } from '../core/snapshot-reading.ts';
import type { State } from '../core/state.ts';
import type { Journal } from '../journal/port.ts';
import { readSnapshot, type Snapshot, type SnapshotSearch } from '../journal/snapshots.ts';

export type Recovered = {
  readonly state: State;
  /** Of the snapshot that was used; 0 without one. */
  readonly snapshotSeq: number;
  /** Why newer snapshots were passed over; to be logged. */
  readonly passedOver: readonly string[];
};

/** What recovery needs of a journal: also that of one which is only read. */
export type JournalPart = Pick<Journal<Event>, 'last' | 'read' | 'hashAt' | 'oldest'>;

/**
 * The state at a seq, or at the end of the journal. Throws `damaged` when the snapshot is of another history, and
 * `version` when a newer version has left what this one does not understand.
 */
export async function recoverState(journal: JournalPart, snapshots: string, to?: number): Promise<Recovered> {
  const { snapshot, passedOver } = await findSnapshot(snapshots);
  if (snapshot !== undefined) await checkHistory(journal, snapshot, snapshots);
  const state = snapshot === undefined ? emptyState() : stateOf(snapshot);
  if (passedOver.length > 0 && (await journal.oldest()) > state.seq + 1) throw nothingToGoOnFrom(passedOver);
  await foldPages(state, journal.read({ from: state.seq + 1, ...(to === undefined ? {} : { to }) }));
  return { state, snapshotSeq: snapshot?.seq ?? 0, passedOver };
}

/** The newest snapshot that this version understands. */
export const findSnapshot = (folder: string): Promise<SnapshotSearch> =>
  readSnapshot(folder, (shards) => refusalOf(shards.get('head')));

const nothingToGoOnFrom = (passedOver: readonly string[]): LockstepError =>
  new LockstepError(
    'version',
    `cannot take over the data: ${passedOver.join('; ')}; and the events before it are no longer kept. ` +
      'Start the version that wrote it, or a newer one',
  );

export function stateOf(snapshot: Snapshot): State {
  const state = fromShards((name) => snapshot.shards.get(name));
  assert(state.seq === snapshot.seq, `the snapshot at ${snapshot.seq} holds the state at ${state.seq}`);
  return state;
}

async function foldPages(state: State, pages: AsyncIterable<readonly Event[]>): Promise<void> {
  for await (const page of pages) for (const event of page) fold(state, event);
}

/**
 * Takes an event that was stored into the state. Throws `version` for one of a type that only a newer version
 * knows: what it means to the state cannot be guessed.
 */
export function fold(state: State, event: Event): void {
  const { type, seq }: { type: string; seq: number } = event;
  if (!isKnownType(type)) {
    const { version } = state;
    throw new LockstepError(
      'version',
      `cannot take over the data: event ${seq} is of type ${type}, which this version does not know; version ` +
        `${version} had written it. Start version ${version} or a newer one, or restore a backup from before seq ${seq}`,
    );
  }
  evolve(state, event);
}

async function checkHistory(journal: JournalPart, snapshot: Snapshot, folder: string): Promise<void> {
  const { seq, hash } = snapshot;
  // The hash covers every header on the way, and so the lineages that the journal has had.
  const isOurs = seq <= journal.last.seq && hash === (await journal.hashAt(seq));
  if (isOurs) return;
  throw new LockstepError(
    'damaged',
    `the snapshot at seq ${seq} in ${folder} does not belong to the journal, which ends at ${journal.last.seq}: ` +
      'one of them was put back without the other; put back both, or run `lockstep doctor`',
  );
}

/** An event as it was stored. What was written was checked; a type that is not known is `fold`'s to refuse. */
export function parseStoredEvent(stored: unknown): Event {
  const isEvent =
    typeof stored === 'object' && stored !== null && 'seq' in stored && 'at' in stored && 'type' in stored;
  if (!isEvent) throw new LockstepError('damaged', 'the journal holds a line that is not an event');
  return stored as Event;
}
