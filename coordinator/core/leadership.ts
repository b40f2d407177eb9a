/**
 * A leader chosen in the middle of a run: the jobs that its predecessor had still to do pass to it. What the
 * predecessor has done stays done, also when it is elected again. Counters are computed anew, as this is rare and
 * touches many of them.
 */
import { present } from '../../shared/assert.ts';
import { unitsLeftOut } from './beginning.ts';
import { deriveRun, isSettled } from './derive.ts';
import { addJob } from './evolve-jobs.ts';
import { isLive } from './job-state.ts';
import { layoutUnit, linesOf } from './layout.ts';
import type { Job, Run, State, StepState } from './state.ts';
import { clearSlots, enableAll, setJobState, wakeRun } from './transitions.ts';

/** Steps whose nodes change with the leader and that nobody has begun: they can still be given away. */
const isUntouched = (run: Run, stepIndex: number): boolean => {
  const step = present(run.steps[stepIndex], 'step');
  return [...step.jobs.values()].every(
    (job) => !isLive(job.state) && !isSettled(job) && job.state !== 'failed',
  );
};

export function electLeader(state: State, run: Run, roleName: string, node: string): void {
  const role = run.roles.get(roleName);
  if (role === undefined || role.leader === node) return;
  role.leader = node;
  if (run.steps.length === 0 || run.end !== null) return;
  const lineOf = linesOf(run.roles);
  const leftOut = unitsLeftOut(run.pipeline, run.from);
  for (const unit of run.units) {
    if (unit.index < leftOut) continue;
    if (!unit.unit.on.some((target) => target.role === roleName && target.who !== 'all')) continue;
    const indexes = Array.from({ length: unit.unit.steps.length }, (_, offset) => unit.firstStep + offset);
    if (!indexes.every((index) => isUntouched(run, index))) continue;
    const labelsOf = (name: string): Readonly<Record<string, string>> =>
      present(run.members.get(name), `member ${name}`).node.labels;
    const laidOut = layoutUnit(unit.unit, unit.index, unit.firstStep, lineOf, labelsOf);
    const { nodes, rank, domains, waveOf, wave, limits } = laidOut;
    Object.assign(unit, { nodes, rank, domains, waveOf, wave, limits });
    clearSlots(state, run, unit);
    // Places in line are by rank, and ranks have changed; whoever may start stands in line again.
    unit.waiting.nodes.clear();
    unit.waiting.all.length = 0;
    unit.waiting.byDomain.clear();
    for (const index of indexes) {
      const step = present(run.steps[index], 'step');
      const names = lineOf(step.step.on).nodes;
      for (const [name, job] of [...step.jobs]) if (!names.includes(name)) passOn(step, name, job);
      for (const name of names) {
        if (step.jobs.has(name)) continue;
        addJob(state, run, index, name);
        takeBack(step, name);
      }
    }
  }
  deriveRun(run);
  disableBlocked(state, run);
  if (run.startedAt !== null) enableAll(state, run);
  wakeRun(state, run);
}

function passOn(step: StepState, node: string, job: Job): void {
  step.jobs.delete(node);
  if (job.attempt > 0 || job.state === 'held') step.passedOn.set(node, job);
}

/**
 * The node had the job before: its attempts are numbered on, because the node answers for each that it knows, and
 * what was held for a decision still is.
 */
function takeBack(step: StepState, node: string): void {
  const before = step.passedOn.get(node);
  const job = step.jobs.get(node);
  if (before === undefined || job === undefined) return;
  step.passedOn.delete(node);
  const { attempt, endedAttempt, mode, disclosed } = before;
  Object.assign(job, { attempt, endedAttempt, mode, disclosed });
  if (before.state !== 'held' || job.state !== 'waiting') return;
  job.state = 'held';
  job.reason = before.reason;
}

/** A node that has got a job by the election may have been ready for what needs that job. */
function disableBlocked(state: State, run: Run): void {
  for (const step of run.steps) {
    for (const job of step.jobs.values()) {
      if (job.state === 'ready' && (job.blockers > 0 || step.barriers > 0))
        setJobState(state, job, 'waiting');
    }
  }
}
