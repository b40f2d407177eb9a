/** Snapshots: whole, of this journal, and the same as what the events before them come to. */
import { LockstepError, messageOf } from '../../shared/errors.ts';
import { emptyState, evolve } from '../core/engine.ts';
import { toShards } from '../core/snapshot-writing.ts';
import type { State } from '../core/state.ts';
import { examineSnapshots, type Snapshot } from '../journal/snapshots.ts';
import { stateOf } from '../sequence/recovery.ts';
import { type Finding, finding, restoreRemedy, type Subject } from './finding.ts';

export async function* checkSnapshots(subject: Subject): AsyncGenerator<Finding | string> {
  const { places, journal } = subject;
  const whole: Snapshot[] = [];
  let damaged = 0;
  for await (const examined of examineSnapshots(places.snapshots)) {
    if (examined.kind === 'whole') {
      whole.push(examined.snapshot);
      continue;
    }
    damaged += 1;
    yield finding(examined.why, remedyFor(whole.length), { file: examined.place, seq: examined.seq });
  }
  yield `${whole.length + damaged} snapshots`;
  if (journal === null) return;
  const oldest = await journal.oldest();
  // Retention keeps the event of every snapshot.
  if (oldest > 1 && !whole.some(({ seq }) => seq >= oldest && seq <= journal.last.seq))
    yield finding(`the journal begins at seq ${oldest}, and no snapshot has what was before`, restoreRemedy, {
      file: places.journal,
      seq: oldest,
    });
  let state: State | undefined = oldest === 1 ? emptyState() : undefined;
  for (const snapshot of whole) {
    const { seq, hash } = snapshot;
    const file = `${places.snapshots}/${String(seq).padStart(20, '0')}`;
    if (seq > journal.last.seq || (seq >= oldest && (await journal.hashAt(seq)) !== hash)) {
      yield finding(
        `the snapshot at seq ${seq} does not belong to the journal, which ends at ${journal.last.seq}`,
        restoreRemedy,
        { file, seq },
      );
      continue;
    }
    const fault = state === undefined ? undefined : await differenceFrom(subject, state, snapshot);
    if (fault !== undefined) yield finding(fault, remedyFor(0), { file, seq });
    state = stateOf(snapshot);
  }
}

/** Folds on to the snapshot's seq; says how the two differ. */
async function differenceFrom(
  { journal }: Subject,
  state: State,
  snapshot: Snapshot,
): Promise<string | undefined> {
  const { seq } = snapshot;
  try {
    for await (const page of journal?.read({ from: state.seq + 1, to: seq }) ?? [])
      for (const event of page) evolve(state, event);
  } catch (error) {
    // Told by the check of the journal.
    if (error instanceof LockstepError) return undefined;
    return `the events up to seq ${seq} cannot be folded: ${messageOf(error)}`;
  }
  // Both as this version writes them: an older one may have had fewer fields.
  const stored = new Map(
    [...toShards(stateOf(snapshot))].map(([name, value]) => [name, JSON.stringify(value)]),
  );
  for (const [name, value] of toShards(state))
    if (stored.get(name) !== JSON.stringify(value))
      return `the snapshot at seq ${seq} is not what the events come to (shard ${name})`;
  return undefined;
}

const remedyFor = (older: number): string =>
  older > 0
    ? 'remove this folder: the snapshot before it and the journal are enough'
    : 'remove this folder if the journal begins at seq 1; else restore a backup with `lockstep restore BACKUP --replace`';
