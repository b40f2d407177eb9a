/**
 * Counters and indexes of a run computed from what is stored of it. Evolve keeps the same figures up to
 * date one event at a time; this computes them from nothing, after a run was laid out or read from a
 * snapshot, and is what tests hold evolve against.
 */
import { present } from '../../shared/assert.ts';
import { attendedBy, executorOf } from './executors.ts';
import { isFinished, isLive, isPending } from './job-state.ts';
import type { Job, Member, Run, State, StepState, UnitState } from './state.ts';

/** A job that no barrier has to wait for any more. A failure counts only once its node has left the run. */
export const isSettled = (job: Job): boolean =>
  job.deferred !== null || (isFinished(job.state) && (job.state !== 'failed' || isPast(job)));

/** Nobody decides about its failure any more: its node has left the run, what became of that is known, or it changes nothing. */
const isPast = (job: Job): boolean => hasNodeLeft(job) || job.run.outcome !== null || isAftermath(job.step);

/** Of `rescue` or `always`: done when the other steps of the unit have ended on a node. */
export const isAftermath = ({ step }: StepState): boolean => step.part !== undefined;

/** Its node does no more of this: it has left the run. What is to be done after that, or at the end, it does all the same. */
export const hasNodeLeft = ({ member, step }: Job): boolean =>
  member.out !== null && step.unit.unit.finally !== true && !isAftermath(step);

/** A failure that somebody may still decide about: its node has not left the run. */
export const isOpenFailure = (job: Job): boolean => job.state === 'failed' && !isPast(job);

/** Whether the job is over, also when nobody waits for it because it was deferred. */
export const isOver = (job: Job): boolean => job.deferred === null && isSettled(job);

/** Whether the node has nothing left to do in the unit. */
export function isDoneIn(run: Run, unit: UnitState, node: string): boolean {
  for (let index = unit.lastStep; index >= unit.firstStep; index -= 1) {
    const job = run.steps[index]?.jobs.get(node);
    if (job !== undefined && !isSettled(job)) return false;
  }
  return true;
}

/** Whether the node has done all it had to do in the unit, deferred jobs too: then its slot is free. */
export function hasLeft(run: Run, unit: UnitState, node: string): boolean {
  const deferred = run.members.get(node)?.deferred ?? [];
  return (
    !deferred.some((index) => index >= unit.firstStep && index <= unit.lastStep) && isDoneIn(run, unit, node)
  );
}

/** Whether the node counts as unavailable for this rolling unit: by its slot, its link or an operator. */
export const isUnavailable = (unit: UnitState, member: Member): boolean =>
  unit.slots.has(member.node.name) ||
  member.node.contact === 'unreachable' ||
  member.node.administration !== 'in-service';

const waits = (run: Run, index: number): boolean => run.steps[index]?.step.offline === 'wait';

const hasReadyJob = (run: Run, unit: UnitState, member: Member): boolean =>
  member.ready.some((index) => index >= unit.firstStep && index <= unit.lastStep && waits(run, index));

/** Whether it is this node's turn here and it cannot be reached. */
export const countsAsUnreachable = (run: Run, unit: UnitState, member: Member): boolean =>
  member.node.contact === 'unreachable' && member.out === null && hasReadyJob(run, unit, member);

export const isOverBudget = (unit: UnitState): boolean =>
  unit.unknown.size > unit.limits.unknown || unit.unreachable.size > unit.limits.unreachable;

/** Whether its steps belong to what the run does now: those of `finally` when its outcome is known, else the others. */
export const isActive = (run: Run, { unit }: UnitState): boolean =>
  (unit.finally === true) === (run.outcome !== null);

function deriveJobs(run: Run, step: StepState): void {
  const { unit } = step;
  for (const [node, job] of step.jobs) {
    if (!isSettled(job)) {
      step.jobsUnfinished += 1;
      if (isActive(run, unit)) run.jobsUnfinished += 1;
    }
    if (isLive(job.state)) {
      unit.live.set(node, (unit.live.get(node) ?? 0) + 1);
      run.jobsLive += 1;
      const { segment } = executorOf(job).node;
      if (!segment.includes(job)) segment.push(job);
      for (const { attended } of attendedBy(job)) if (!attended.includes(job)) attended.push(job);
      segment.sort((a, b) => a.grantedSeq - b.grantedSeq);
    }
    if (job.deferred !== null) {
      run.jobsDeferred += 1;
      job.member.deferred.push(step.index);
    }
    if (job.state === 'ready') {
      unit.jobsReady += 1;
      run.jobsReady += 1;
      job.member.ready.push(step.index);
    }
    if (job.state === 'held') run.jobsHeld += 1;
    if (isAftermath(step) && isPending(job.state)) run.jobsAftermath += 1;
    if (job.state === 'unknown') {
      run.jobsUnknown += 1;
      unit.unknown.add(node);
    }
  }
}

function deriveNeeds(run: Run, step: StepState): void {
  for (const dependent of step.dependents) {
    const other = present(run.steps[dependent.step], 'dependent step');
    if (!dependent.sameNode) {
      if (step.jobsUnfinished > 0) other.barriers += 1;
      continue;
    }
    for (const [node, job] of step.jobs) {
      const blocked = other.jobs.get(node);
      if (blocked !== undefined && !isSettled(job)) blocked.blockers += 1;
    }
  }
}

function deriveUnit(run: Run, unit: UnitState): void {
  if (unit.approval.kind === 'requested') run.approvalsPending += 1;
  for (const node of unit.nodes) {
    const member = present(run.members.get(node), `member ${node}`);
    const done = isDoneIn(run, unit, node);
    if (done) unit.done.add(node);
    if (!done && unit.wave >= 0 && unit.waveOf.get(node) === unit.wave) unit.waveUnfinished += 1;
    if (countsAsUnreachable(run, unit, member)) unit.unreachable.add(node);
    if (unit.unit.strategy.kind === 'rolling' && isUnavailable(unit, member)) {
      unit.unavailable.add(node);
      const domain = unit.domains?.get(node);
      if (domain !== undefined) {
        unit.unavailableByDomain.set(domain, (unit.unavailableByDomain.get(domain) ?? 0) + 1);
      }
    }
  }
  unit.overBudget = isOverBudget(unit);
  if (unit.overBudget) run.unitsOverBudget += 1;
}

/** Sets every derived figure to nothing. An ended run stays like that, but for what failed. */
export function clearDerived(run: Run): void {
  run.jobsUnfinished = run.jobsLive = run.jobsReady = run.jobsHeld = 0;
  run.jobsUnknown = run.jobsFailed = run.jobsDeferred = run.jobsAftermath = 0;
  run.approvalsPending = run.unitsOverBudget = run.membersAwaited = 0;
  for (const member of run.members.values()) member.ready.length = member.deferred.length = 0;
  for (const unit of run.units) {
    for (const set of [unit.failed, unit.unknown, unit.unreachable, unit.unavailable]) set.clear();
    unit.unavailableByDomain.clear();
    unit.live.clear();
    unit.done.clear();
    unit.jobsReady = unit.waveUnfinished = 0;
    unit.overBudget = false;
  }
  for (const step of run.steps) {
    step.jobsUnfinished = step.barriers = 0;
    for (const job of step.jobs.values()) {
      job.blockers = 0;
      if (job.state !== 'failed') continue;
      run.jobsFailed += 1;
      if (!job.member.accepted && !isAftermath(step)) step.unit.failed.add(job.member.node.name);
    }
  }
}

export function deriveRun(run: Run): void {
  clearDerived(run);
  if (run.end !== null) return;
  if (run.startedAt === null) {
    for (const member of run.members.values()) if (member.node.queue[0] !== run) run.membersAwaited += 1;
  }
  for (const step of run.steps) deriveJobs(run, step);
  for (const step of run.steps) deriveNeeds(run, step);
  for (const unit of run.units) deriveUnit(run, unit);
}

/** Puts everything on the agenda, as after recovery. */
export function lookAtEverything(state: State): void {
  state.agenda.offer = true;
  for (const name of state.triggers.keys()) state.agenda.triggers.add(name);
  for (const node of state.nodes.values()) {
    state.agenda.nodes.add(node);
    state.agenda.gathering.add(node.name);
  }
  for (const run of state.activeRuns.values()) {
    state.agenda.runs.add(run);
    run.recallDue = true;
    for (const unit of run.units) {
      state.agenda.units.set(unit, run);
      for (const node of unit.slots.keys()) {
        const job = run.steps[unit.lastStep]?.jobs.get(node);
        if (job !== undefined && hasLeft(run, unit, node)) state.agenda.slots.add(job);
      }
    }
  }
}
