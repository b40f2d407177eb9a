/** The part of the fold that concerns a restore from a backup. See restoration.ts for what is decided. */
import { limits } from '../../shared/limits.ts';
import { isOver } from './derive.ts';
import type { Event } from './events.ts';
import { findJob } from './evolve-jobs.ts';
import type { Disclosure } from './job-state.ts';
import type { Fence } from './reign.ts';
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
    // Later than every restore that is known of, whatever the clock says: agents go by it.
    begunAt: Math.max(at, (before?.begunAt ?? 0) + 1, (state.fence?.begunAt ?? 0) + 1),
    attemptsFrom: (before?.attemptsFrom ?? 0) + limits.attemptsPerLineageMax,
    runsFrom: state.runsCreated + 1,
  };
  state.fence = null;
}

export const fenceOf = ({
  node,
  lineage,
  epoch,
  at,
  begunAt,
}: Extract<Event, { type: 'ReignFenced' }>): Fence => ({
  node,
  lineage,
  epoch,
  at,
  ...(begunAt === undefined ? {} : { begunAt }),
});

/** The next attempt is numbered after it, and the decision about the job is an operator's. */
export function discloseAttempt(state: State, event: Extract<Event, { type: 'AttemptDisclosed' }>): void {
  countOnFrom(state, event.attempt);
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

/**
 * The same backup, or an older one, was restored before, and what was granted then has the numbers that are
 * granted now. None that a node tells of is used again.
 */
function countOnFrom(state: State, attempt: number): void {
  const { restoration } = state;
  const size = limits.attemptsPerLineageMax;
  // As many lineages as a node can have seen; what is beyond that nobody granted.
  const last = (restoration?.attemptsFrom ?? 0) + limits.agentLineagesMax * size;
  if (restoration === null || attempt <= restoration.attemptsFrom || attempt > last) return;
  state.restoration = { ...restoration, attemptsFrom: Math.ceil(attempt / size) * size };
}

function reasonOf(node: string, { attempt, state, outcome }: Disclosure): string {
  const did = state === 'accepted' ? 'has been granted' : state === 'running' ? 'is running' : 'has ended';
  const how = outcome === null ? '' : ` (${outcome})`;
  return `${node} ${did} attempt ${attempt}${how}, of which this history does not know: it came after the backup that was restored`;
}
