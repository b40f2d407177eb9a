/**
 * The end of a run that has steps in `finally`: what became of the others is decided and cannot change any more,
 * what was left of them is cancelled, and the last steps begin, also on nodes that have left the run.
 */
import { returnNode } from './deferral.ts';
import { deriveRun, isOver } from './derive.ts';
import type { RunEnd } from './run-parts.ts';
import type { Run, State } from './state.ts';
import { clearSlots, enableAll, setJobState, wakeRun } from './transitions.ts';

export const hasFinally = (run: Run): boolean => run.units.some(({ unit }) => unit.finally === true);

export function concludeRun(state: State, run: Run, outcome: RunEnd): void {
  for (const step of run.steps) {
    if (step.unit.unit.finally === true) continue;
    for (const job of step.jobs.values()) {
      if (isOver(job)) continue;
      job.deferred = null;
      if (job.state === 'failed') continue;
      setJobState(state, job, 'cancelled');
      job.reason = outcome.reason;
      job.finishedAt = state.at;
    }
  }
  run.outcome = outcome;
  // From here on this says that somebody does not want to wait for the last steps either.
  run.cancel = null;
  run.hold = null;
  run.failing = null;
  for (const unit of run.units) {
    clearSlots(state, run, unit);
    unit.waiting.nodes.clear();
  }
  // A run of which only deferred jobs were left had let its nodes go.
  run.deferredAt = null;
  for (const { node } of run.members.values())
    if (node.deferredRuns.includes(run)) returnNode(state, run, node);
  deriveRun(run);
  enableAll(state, run);
  wakeRun(state, run);
}
