/** When a run starts, ends, is held or goes on: everything that concerns it as a whole. */
import { hasFinally } from './conclusion.ts';
import { supersedeDeferred } from './concurrency.ts';
import { aheadInGroup } from './concurrency-group.ts';
import { list } from './gate.ts';
import type { RunEnd } from './run-parts.ts';
import { recallSegments } from './segments.ts';
import { isOpen, type Run } from './state.ts';
import { mayGoOn, needsOf, reasonOf, stuckUnit } from './stuck.ts';
import type { Turn } from './turn.ts';

export function considerRun(turn: Turn, run: Run): void {
  if (run.end !== null) return;
  if (run.outcome !== null) {
    considerEnd(turn, run, run.outcome);
    return;
  }
  if (run.cancel !== null) {
    if (run.cancel.replacedBy !== undefined) recallSegments(turn, run);
    if (run.jobsLive === 0 && (run.jobsAftermath === 0 || run.cancel.wholly === true))
      endRun(
        turn,
        run,
        'cancelled',
        `cancelled by ${run.cancel.by}${run.cancel.reason === '' ? '' : `: ${run.cancel.reason}`}`,
      );
    return;
  }
  if (!run.planned) return;
  // One that still stands in line can fail, too: by what is decided about it after a restore.
  if (run.startedAt === null && run.failing === null) {
    startRun(turn, run);
    return;
  }
  if (!isOpen(run)) recallSegments(turn, run);
  if (run.failing !== null) {
    if (run.jobsLive > 0 || run.jobsAftermath > 0) return;
    if (!run.failing.hold) endRun(turn, run, 'failed', run.failing.reason);
    else if (run.hold === null) {
      turn.emit({ type: 'RunHeld', run: run.id, needs: 'decision', reason: run.failing.reason });
    }
    return;
  }
  if (run.jobsUnfinished === 0 && run.jobsDeferred === 0) {
    endRun(turn, run, 'succeeded', describeSuccess(run));
    return;
  }
  if (run.jobsUnfinished === 0 && run.deferredAt === null && run.jobsLive + run.jobsHeld === 0) {
    const jobs = run.jobsDeferred === 1 ? 'job' : 'jobs';
    const reason = `every step is done but for ${run.jobsDeferred} deferred ${jobs}`;
    turn.emit({ type: 'RunDeferred', run: run.id, reason });
    return;
  }
  if (run.hold?.needs === 'contact' && stuckUnit(turn.state, run) === undefined) {
    turn.emit({
      type: 'RunResumed',
      run: run.id,
      how: 'continue',
      by: 'coordinator',
      reason: 'enough nodes are back',
    });
    return;
  }
  if (run.hold === null && run.jobsLive === 0 && run.unitsOverBudget === 0) {
    const stuck = stuckUnit(turn.state, run);
    if (stuck !== undefined && !mayGoOn(turn.state, run)) {
      turn.emit({
        type: 'RunHeld',
        run: run.id,
        needs: needsOf(run, stuck),
        reason: reasonOf(turn.state, run, stuck),
      });
    }
  }
}

/** Also what a success leaves out: nobody should take it for more than it is. */
function describeSuccess(run: Run): string {
  const out = [...run.members.values()].filter((member) => member.out !== null).length;
  const missed = run.steps.flatMap(({ jobs }) => [...jobs.values()].flatMap(({ missed }) => missed ?? []));
  const jobs = (count: number): string => `${count} deferred ${count === 1 ? 'job was' : 'jobs were'}`;
  const overdue = missed.filter(({ how }) => how === 'overdue').length;
  const by = [...new Set(missed.flatMap((one) => (one.how === 'superseded' ? [one.by] : [])))];
  return [
    'every step is done',
    ...(out === 0 ? [] : [`${out} of ${run.members.size} nodes left the run`]),
    ...(overdue === 0 ? [] : [`${jobs(overdue)} not done in time`]),
    ...(by.length === 0 ? [] : [`${jobs(missed.length - overdue)} superseded by ${list(by)}`]),
  ].join('; ');
}

function startRun(turn: Turn, run: Run): void {
  if (run.membersAwaited > 0 || run.hold !== null) return;
  if (aheadInGroup(turn.state, run) !== undefined) return;
  if (supersedeDeferred(turn, run)) turn.emit({ type: 'RunStarted', run: run.id });
  else turn.state.agenda.runs.add(run);
}

/** After the outcome: the run ends as it was to end when its last steps are through, or nobody wants to wait for them. */
function considerEnd(turn: Turn, run: Run, { state, reason }: RunEnd): void {
  if (run.jobsLive > 0) return;
  if (run.jobsUnfinished > 0 && run.cancel === null) return;
  turn.emit({ type: 'RunEnded', run: run.id, state, reason });
}

function endRun(turn: Turn, run: Run, state: 'succeeded' | 'failed' | 'cancelled', reason: string): void {
  if (run.startedAt !== null && hasFinally(run)) {
    turn.emit({ type: 'RunConcluded', run: run.id, state, reason });
    return;
  }
  turn.emit({ type: 'RunEnded', run: run.id, state, reason });
}
