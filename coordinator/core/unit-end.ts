/**
 * How the steps of a unit ended on a node, and which jobs of `rescue` and `always` that makes due. The jobs of each node
 * say so by themselves; nothing of it is stored.
 */
import { isAftermath, isSettled } from './derive.ts';
import type { Ended } from './event-values.ts';
import { isLive, isPending } from './job-state.ts';
import type { Job, Run, UnitState } from './state.ts';

/** Whether the unit has steps that are done after its others; they come last. */
export const hasAftermath = ({ unit }: UnitState): boolean => unit.steps.at(-1)?.part !== undefined;

function* jobsIn(run: Run, unit: UnitState, node: string): Iterable<Job> {
  for (let index = unit.firstStep; index <= unit.lastStep; index += 1) {
    const job = run.steps[index]?.jobs.get(node);
    if (job !== undefined) yield job;
  }
}

export const aftermathOf = (run: Run, unit: UnitState, node: string): readonly Job[] =>
  [...jobsIn(run, unit, node)].filter(({ step }) => isAftermath(step));

const mainJobs = (run: Run, unit: UnitState, node: string): readonly Job[] =>
  [...jobsIn(run, unit, node)].filter(({ step }) => !isAftermath(step));

/** The job that failed there, if one did. */
export const failedIn = (run: Run, unit: UnitState, node: string): Job | undefined =>
  mainJobs(run, unit, node).find(({ state }) => state === 'failed');

/** Whether anything of it was ever granted there. */
export const hasBegun = (run: Run, unit: UnitState, node: string): boolean =>
  mainJobs(run, unit, node).some(({ attempt }) => attempt > 0);

/** Whether no more of its steps is begun, whatever comes: it is cancelled, or fails without anybody being asked. */
const isStopping = (run: Run): boolean => run.cancel !== null || (run.failing !== null && !run.failing.hold);

/** Undefined while its steps may still go on there. */
export function endOf(run: Run, unit: UnitState, node: string): Ended['outcome'] | undefined {
  const jobs = mainJobs(run, unit, node);
  if (jobs.some(({ state }) => isLive(state))) return undefined;
  if (jobs.some(({ state }) => state === 'failed')) return 'failed';
  if (jobs.every(isSettled))
    return jobs.some(({ state }) => state === 'cancelled') ? 'cancelled' : 'succeeded';
  return isStopping(run) && hasBegun(run, unit, node) ? 'cancelled' : undefined;
}

/** Whether a job is done for what its steps came to: any other one is due as far as this goes. */
export function isDue({ run, step, member }: Job): boolean {
  if (!isAftermath(step)) return true;
  const node = member.node.name;
  const end = endOf(run, step.unit, node);
  if (end === undefined || end === 'failed') return end === 'failed';
  return step.step.part === 'always' && hasBegun(run, step.unit, node);
}

/** Whether nothing comes of it any more, because its run stops and it is not done for that. */
export const isLeftOut = (job: Job): boolean =>
  isStopping(job.run) &&
  (job.state === 'waiting' || job.state === 'ready') &&
  (!isAftermath(job.step) || !isDue(job));

/** Of the jobs after it, whether one is being done for this node now. */
export const isFollowedUp = (job: Job): boolean =>
  aftermathOf(job.run, job.step.unit, job.member.node.name).some(({ state }) => isLive(state));

/** Whether the node has still something to do there although its steps have ended: it keeps its slot for that. */
export const isToBeFollowedUp = (run: Run, unit: UnitState, node: string): boolean =>
  aftermathOf(run, unit, node).some(({ state }) => isPending(state));
