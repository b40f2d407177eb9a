/**
 * How far a run has come with nodes that are away for nights: each of its nodes once, so that nothing is counted as
 * done that is still owed, or was given up. Which job it is stands at the job.
 */
import { isFinished } from './job-state.ts';
import type { DeferralCounts } from './run-parts.ts';
import type { Job, Run } from './state.ts';

export type Deferral =
  /** The node is to do it yet, until then. */
  | { readonly state: 'deferred'; readonly since: number; readonly until: number }
  /** It did it after the others. */
  | { readonly state: 'late'; readonly since: number }
  /** It was not back in time. */
  | { readonly state: 'overdue'; readonly since: number }
  /** A later run does it. */
  | { readonly state: 'superseded'; readonly since: number; readonly by: string }
  /** It failed, or was left out or cancelled since. */
  | { readonly state: 'dropped'; readonly since: number };

/** What became of the job since it was deferred; undefined when it never was. */
export function deferralOf(job: Job): Deferral | undefined {
  const { deferred, missed } = job;
  // Of jobs that old versions deferred it is not known since when; they count from their last change.
  const since = job.deferredSince ?? job.since;
  if (deferred !== null) return { state: 'deferred', since, until: deferred.until };
  if (missed !== null)
    return missed.how === 'overdue'
      ? { state: 'overdue', since }
      : { state: 'superseded', since, by: missed.by };
  if (job.deferredSince === null) return undefined;
  return { state: job.state === 'succeeded' ? 'late' : 'dropped', since };
}

/** Undefined for a run that defers nothing. */
export function countDeferrals(run: Run): DeferralCounts | undefined {
  if (!run.steps.some(({ step }) => step.offline === 'defer')) return undefined;
  const counts = { done: 0, late: 0, deferred: 0, overdue: 0, superseded: 0, open: 0 };
  for (const node of run.members.keys()) counts[stateOfNode(run, node)] += 1;
  return { nodes: run.members.size, ...counts };
}

/** The worst that can be said of any of its jobs. */
function stateOfNode(run: Run, node: string): Exclude<keyof DeferralCounts, 'nodes'> {
  const jobs = run.steps.map((step) => step.jobs.get(node)).filter((job) => job !== undefined);
  const deferrals = new Set(jobs.map((job) => deferralOf(job)?.state));
  for (const state of ['overdue', 'superseded', 'deferred'] as const) if (deferrals.has(state)) return state;
  const isDone = jobs.every(({ state }) => isFinished(state) && state !== 'failed' && state !== 'cancelled');
  if (!isDone) return 'open';
  return deferrals.has('late') ? 'late' : 'done';
}
