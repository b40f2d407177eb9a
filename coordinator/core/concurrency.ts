/** How a run stands to others of its concurrency group: after them, not beside them, or in their place. */
import { limits } from '../../shared/limits.ts';
import type { Pipeline } from '../../shared/pipeline/model.ts';
import { busyInGroup, isInGroupOf, type Place } from './concurrency-group.ts';
import { list } from './gate.ts';
import { namesOf } from './job-names.ts';
import { isLive } from './job-state.ts';
import { runStateOf } from './shown-states.ts';
import type { Job, Run, State } from './state.ts';
import type { Turn } from './turn.ts';

const described = (run: Run): string => `${run.id} (${run.pipeline.name}, ${runStateOf(run)})`;

/** Why a new run is refused, or undefined. */
export function refusalInGroup(state: State, pipeline: Pipeline, cluster: string): string | undefined {
  const { concurrency } = pipeline;
  if (concurrency?.policy !== 'reject') return undefined;
  const busy = busyInGroup(state, { cluster, pipeline });
  const [first] = busy;
  if (first === undefined) return undefined;
  const are = busy.length === 1 ? 'run' : 'runs';
  return `${pipeline.name} allows no run beside others of its concurrency group ${concurrency.group} (policy: reject), and ${are} ${list(busy.map(described))} of it ${busy.length === 1 ? 'has' : 'have'} not ended: wait for it with lockstep watch ${first.id}, or lockstep cancel ${first.id}`;
}

/** What a new run would meet in its group, in a sentence; undefined when there is nothing in its way. */
export function outlookInGroup(state: State, place: Place): string | undefined {
  const { concurrency } = place.pipeline;
  if (concurrency === undefined || concurrency.per === 'node' || concurrency.policy === 'reject')
    return undefined;
  const busy = busyInGroup(state, place).filter(({ pipeline }) => pipeline.concurrency?.per !== 'node');
  if (busy.length === 0) return undefined;
  const what = concurrency.policy === 'queue' ? 'would wait for' : 'would take the place of';
  return `the run ${what} ${list(busy.map(described))}, of the same concurrency group ${concurrency.group}`;
}

/** Cancels the older runs of the group, if that is the policy: what is live in them ends by itself. */
export function replaceOlder(turn: Turn, run: Run): void {
  const { concurrency } = run.pipeline;
  if (concurrency?.policy !== 'replace' || concurrency.per === 'node') return;
  for (const older of busyInGroup(turn.state, run)) {
    // What is run at the end of one goes on to its end.
    if (older.createdSeq >= run.createdSeq || older.cancel !== null || older.outcome !== null) continue;
    turn.emit({
      type: 'RunCancelRequested',
      run: older.id,
      by: 'coordinator',
      reason: `run ${run.id} takes its place (concurrency group ${concurrency.group})`,
      replacedBy: run.id,
    });
  }
}

/**
 * Gives up what older runs of the group have deferred, for this run does it now; as much at once as one decision
 * should hold. True when that was all.
 */
export function supersedeDeferred(turn: Turn, run: Run): boolean {
  for (const job of supersededBy(turn.state, run)) {
    if (turn.bytes >= limits.turnBytesAim) return false;
    turn.emit({
      type: 'JobSkipped',
      ...namesOf(job),
      reason: `superseded by run ${run.id}`,
      missed: { how: 'superseded', by: run.id },
    });
  }
  return true;
}

function supersededBy({ activeRuns }: State, run: Run): readonly Job[] {
  const { concurrency } = run.pipeline;
  if (concurrency?.policy !== 'replace') return [];
  return [...activeRuns.values()]
    .filter((older) => older.createdSeq < run.createdSeq && older.outcome === null && isInGroupOf(older, run))
    .flatMap((older) =>
      [...older.members]
        .filter(([name]) => concurrency.per !== 'node' || run.members.has(name))
        .flatMap(([name, { deferred }]) => deferred.map((index) => older.steps[index]?.jobs.get(name))),
    )
    .filter((job) => job !== undefined)
    .filter(mayBeGivenUp);
}

/** Not while it may be running, nor when it is for an operator to say what became of it. */
const mayBeGivenUp = ({ state }: Job): boolean => !isLive(state) && state !== 'held' && state !== 'failed';
