/** The part of the fold that concerns a restore from a backup. See restoration.ts for what is decided. */
import { limits } from '../../shared/limits.ts';
import { isOver } from './derive.ts';
import type { Event } from './events.ts';
import { findJob } from './evolve-jobs.ts';
import type { Disclosure } from './job-state.ts';
import type { State } from './state.ts';
import { setJobState } from './transitions.ts';

/** Another lineage goes on with what the state was at `seq`. */
export function beginLineage(
  state: State,
  continued: { readonly lineage: string; readonly seq: number; readonly at: number },
  at: number,
): void {
  const before = state.restoration;
  state.restoration = {
    ancestors: [...(before?.ancestors ?? []), continued.lineage],
    seq: continued.seq,
    takenAt: continued.at,
    begunAt: Math.max(at, (before?.begunAt ?? 0) + 1),
    attemptsFrom: (before?.attemptsFrom ?? 0) + limits.attemptsPerLineageMax,
    runsFrom: state.runsCreated + 1,
  };
  state.fence = null;
}

/** The next attempt is numbered after it, and the decision about the job is an operator's. */
export function discloseAttempt(state: State, event: Extract<Event, { type: 'AttemptDisclosed' }>): void {
  const job = findJob(state, event.run, event.step, event.node);
  if (job === undefined || isOver(job)) return;
  const { attempt, outcome } = event;
  job.disclosed = { attempt, state: event.state, outcome };
  job.attempt = Math.max(job.attempt, attempt);
  job.lostAs = null;
  job.reboot = null;
  job.reason = reasonOf(event.node, job.disclosed);
  setJobState(state, job, 'held');
  job.grant = null;
}

function reasonOf(node: string, { attempt, state, outcome }: Disclosure): string {
  const did = state === 'accepted' ? 'has been granted' : state === 'running' ? 'is running' : 'has ended';
  const how = outcome === null ? '' : ` (${outcome})`;
  return `${node} ${did} attempt ${attempt}${how}, of which this history does not know: it came after the backup that was restored`;
}
