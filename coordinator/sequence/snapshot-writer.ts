/**
 * Makes a snapshot in a process of its own (`lockstep snapshot`), from the one before and the segments that
 * are sealed: the coordinator's loop never stands still for it, and nothing that is being written is read.
 */
import { setPriority } from 'node:os';
import * as z from 'zod';
import { emptyState } from '../core/engine.ts';
import { toShards } from '../core/snapshot-writing.ts';
import type { State } from '../core/state.ts';
import { readSealed } from '../journal/history.ts';
import { writeSnapshot } from '../journal/snapshots.ts';
import { dataPlaces } from './data-places.ts';
import { addFromText, addNamingFromState, type NamedDigests, nothingNamed } from './named-digests.ts';
import { findSnapshot, fold, parseStoredEvent, stateOf } from './recovery.ts';

/** What the process says when it is done, one line of JSON. */
export const snapshotReport = z.object({
  seq: z.int().nonnegative(),
  /** See named-digests.ts. */
  all: z.array(z.string()),
  naming: z.array(z.string()),
});
export type SnapshotReport = z.infer<typeof snapshotReport>;

/** Lets the coordinator and its agents go first. */
const niceness = 10;

/** Undefined when nothing was ever sealed; when nothing new was, what is said of the snapshot that there is. */
export async function writeNextSnapshot(dataFolder: string): Promise<SnapshotReport | undefined> {
  setPriority(niceness);
  const { journal, snapshots } = dataPlaces(dataFolder);
  const { snapshot } = await findSnapshot(snapshots);
  const state = snapshot === undefined ? emptyState() : stateOf(snapshot);
  let hash: string | undefined;
  for await (const page of readSealed(journal, state.seq + 1)) {
    for (const stored of page.events) fold(state, parseStoredEvent(stored));
    hash = page.hash;
  }
  const { seq, lineage } = state;
  const named = nothingNamed();
  addNamingFromState(named, state);
  if (hash !== undefined) await writeSnapshot(snapshots, { seq, hash, lineage }, shardsOf(state, named));
  else if (snapshot === undefined) return undefined;
  else for (const [, shard] of snapshot.shards) addFromText(named, JSON.stringify(shard));
  return { seq, all: [...named.all], naming: [...named.naming] };
}

/** The shards as they are, and on the way what they name. */
function* shardsOf(state: State, named: NamedDigests): Generator<readonly [string, object]> {
  for (const [name, shard] of toShards(state)) {
    addFromText(named, JSON.stringify(shard));
    yield [name, Object(shard)];
  }
}
