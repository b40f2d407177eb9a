/**
 * How one job, node or slot changes state, with every counter that depends on it. Evolve is written in these
 * words only, so that each figure is kept in one place. `derive.ts` computes the same figures from nothing.
 */

import { assert, present } from '../../shared/assert.ts';
import {
  clearDerived,
  countsAsUnreachable,
  isActive,
  isAftermath,
  isDoneIn,
  isOver,
  isOverBudget,
  isSettled,
  isUnavailable,
} from './derive.ts';
import { refreshStanding } from './disruption.ts';
import { attendedBy, executorOf } from './executors.ts';
import type { JobState } from './job-state.ts';
import { isLive, isPending } from './job-state.ts';
import type { Job, Member, Node, Run, State, UnitState } from './state.ts';
import { hasBegun, isDue } from './unit-end.ts';

function refreshBudget(state: State, run: Run, unit: UnitState): void {
  const over = isOverBudget(unit);
  if (over === unit.overBudget) return;
  unit.overBudget = over;
  run.unitsOverBudget += over ? 1 : -1;
  if (over && run.unitsOverBudget === 1) {
    run.pausedAt = state.at;
    state.agenda.runs.add(run);
  }
  if (!over && run.unitsOverBudget === 0) {
    run.pausedAt = null;
    wakeRun(state, run);
  }
}

function refreshReach(state: State, run: Run, unit: UnitState, member: Member): void {
  const counts = countsAsUnreachable(run, unit, member);
  const { name } = member.node;
  if (counts === unit.unreachable.has(name)) return;
  if (counts) unit.unreachable.add(name);
  else unit.unreachable.delete(name);
  refreshBudget(state, run, unit);
}

/** Keeps the set of unavailable nodes of a rolling unit. */
export function refreshAvailability(state: State, run: Run, unit: UnitState, member: Member): void {
  if (unit.unit.strategy.kind !== 'rolling') return;
  const { name } = member.node;
  const unavailable = isUnavailable(unit, member);
  if (unavailable === unit.unavailable.has(name)) return;
  if (unavailable) unit.unavailable.add(name);
  else unit.unavailable.delete(name);
  const domain = unit.domains?.get(name);
  if (domain !== undefined) {
    const count = (unit.unavailableByDomain.get(domain) ?? 0) + (unavailable ? 1 : -1);
    if (count === 0) unit.unavailableByDomain.delete(domain);
    else unit.unavailableByDomain.set(domain, count);
  }
  state.agenda.units.set(unit, run);
}

/** Takes all slots of the unit back. Figures of the unit are for who calls to derive anew. */
export function clearSlots(state: State, run: Run, unit: UnitState): void {
  const nodes = [...unit.slots.keys()];
  unit.slots.clear();
  for (const name of nodes) refreshStanding(state, present(run.members.get(name), `member ${name}`).node);
}

/** Everything in a run that may now go on is looked at again. */
export function wakeRun(state: State, run: Run): void {
  state.agenda.runs.add(run);
  for (const member of run.members.values()) if (member.ready.length > 0) state.agenda.nodes.add(member.node);
  for (const unit of run.units) if (unit.jobsReady > 0) state.agenda.units.set(unit, run);
}

/** After a node's contact or administration changed. */
export function refreshNode(state: State, node: Node): void {
  state.agenda.nodes.add(node);
  state.agenda.gathering.add(node.name);
  refreshStanding(state, node);
  for (const run of [...node.queue, ...node.deferredRuns]) {
    const member = run.members.get(node.name);
    if (member === undefined) continue;
    state.agenda.runs.add(run);
    for (const unit of run.units) {
      if (!unit.rank.has(node.name)) continue;
      refreshReach(state, run, unit, member);
      refreshAvailability(state, run, unit, member);
    }
  }
}

export function insertSorted(list: number[], value: number): void {
  let index = list.length;
  while (index > 0 && (list[index - 1] ?? 0) > value) index -= 1;
  list.splice(index, 0, value);
}

/**
 * Moves a job between states and keeps what is counted by state. Settling (what barriers wait for) is
 * another matter: see `settle` and `unsettle`.
 */
export function setJobState(state: State, job: Job, next: JobState): void {
  const { run, member } = job;
  const { unit } = job.step;
  const previous = job.state;
  if (previous === next) return;
  job.state = next;
  job.since = state.at;

  if (previous === 'ready') {
    unit.jobsReady -= 1;
    run.jobsReady -= 1;
    member.ready.splice(member.ready.indexOf(job.step.index), 1);
    unit.waiting.nodes.delete(member.node.name);
    // It may have been the last that could go on, as when its condition does not hold.
    if (run.jobsLive === 0 && !isLive(next)) state.agenda.runs.add(run);
  }
  if (next === 'ready') {
    unit.jobsReady += 1;
    run.jobsReady += 1;
    insertSorted(member.ready, job.step.index);
    state.agenda.nodes.add(member.node);
  }
  if (previous === 'ready' || next === 'ready') refreshReach(state, run, unit, member);

  if (isLive(previous) !== isLive(next)) {
    const change = isLive(next) ? 1 : -1;
    countLive(unit, member.node.name, change);
    run.jobsLive += change;
    const { node: executor } = executorOf(job);
    const { segment } = executor;
    assert(
      segment.every((other) => other.run === run),
      `${executor.name} works for one run at a time`,
    );
    if (change > 0) segment.push(job);
    else segment.splice(segment.indexOf(job), 1);
    for (const attended of attendedBy(job)) {
      if (change > 0) attended.attended.push(job);
      else attended.attended.splice(attended.attended.indexOf(job), 1);
      if (change < 0) state.agenda.nodes.add(attended);
    }
    if (change < 0) {
      state.agenda.nodes.add(member.node);
      state.agenda.nodes.add(executor);
      state.agenda.runs.add(run);
      if (unit.waiting.nodes.size > 0) state.agenda.units.set(unit, run);
    }
  }
  if (previous === 'unknown' || next === 'unknown') {
    run.jobsUnknown += next === 'unknown' ? 1 : -1;
    if (next === 'unknown') unit.unknown.add(member.node.name);
    else if (!hasJobIn(job, 'unknown')) unit.unknown.delete(member.node.name);
    refreshBudget(state, run, unit);
  }
  if (isAftermath(job.step) && isPending(previous) !== isPending(next)) {
    run.jobsAftermath += isPending(next) ? 1 : -1;
    if (run.jobsAftermath === 0) state.agenda.runs.add(run);
  }
  if (previous === 'held') run.jobsHeld -= 1;
  if (next === 'held') {
    run.jobsHeld += 1;
    state.agenda.runs.add(run);
  }
  if (previous === 'failed') {
    run.jobsFailed -= 1;
    if (!hasJobIn(job, 'failed')) unit.failed.delete(member.node.name);
  }
  if (next === 'failed') {
    run.jobsFailed += 1;
    if (!member.accepted && !isAftermath(job.step)) unit.failed.add(member.node.name);
    state.agenda.runs.add(run);
  }
}

/** Whether the same node has a job in this state in the same unit: budgets count nodes. */
function hasJobIn({ run, step, member }: Job, state: JobState): boolean {
  const { firstStep, lastStep } = step.unit;
  for (let index = firstStep; index <= lastStep; index += 1) {
    const job = run.steps[index]?.jobs.get(member.node.name);
    if (job?.state === state && (state !== 'failed' || !isAftermath(job.step))) return true;
  }
  return false;
}

function countLive(unit: UnitState, node: string, change: 1 | -1): void {
  const count = (unit.live.get(node) ?? 0) + change;
  if (count === 0) unit.live.delete(node);
  else unit.live.set(node, count);
}

/** Another attempt is to be made: at once, or when what it needs is done (it was granted ahead, in a segment). */
export function reopenJob(state: State, job: Job): void {
  setJobState(state, job, isUnblocked(job) ? 'ready' : 'waiting');
}

const isUnblocked = (job: Job): boolean => job.blockers === 0 && job.step.barriers === 0 && isDue(job);

export function enableIfFree(state: State, job: Job): void {
  if (!isActive(job.run, job.step.unit)) return;
  if (job.state === 'waiting' && isUnblocked(job)) setJobState(state, job, 'ready');
}

/** Nothing has to wait for this job any more: opens what it kept closed. */
export function settle(state: State, job: Job): void {
  const { run, step } = job;
  const node = job.member.node.name;
  assert(isSettled(job), `${node} is finished in ${step.step.id}`);
  step.jobsUnfinished -= 1;
  if (isActive(run, step.unit)) run.jobsUnfinished -= 1;
  if (run.jobsUnfinished === 0) state.agenda.runs.add(run);
  for (const dependent of step.dependents) {
    const other = present(run.steps[dependent.step], 'dependent step');
    // Where slots are scarce none is given before all is done that its holder would wait for.
    if (other.unit.waiting.nodes.size > 0) state.agenda.units.set(other.unit, run);
    if (dependent.sameNode) {
      const blocked = other.jobs.get(node);
      if (blocked === undefined) continue;
      blocked.blockers -= 1;
      enableIfFree(state, blocked);
    } else if (step.jobsUnfinished === 0) {
      other.barriers -= 1;
      if (other.barriers === 0) for (const blocked of other.jobs.values()) enableIfFree(state, blocked);
    }
  }
  const { unit } = step;
  // Not by its last step alone: an operator may decide an earlier one after it.
  // Once, although several of its jobs are settled together when it leaves the run.
  if (unit.done.has(node) || !isDoneIn(run, unit, node)) return;
  unit.done.add(node);
  if (unit.slots.has(node)) state.agenda.slots.add(job);
  if (unit.waveOf.get(node) === unit.wave) {
    unit.waveUnfinished -= 1;
    if (unit.waveUnfinished === 0) state.agenda.units.set(unit, run);
  }
}

/** Every job of a started run that nothing keeps waiting becomes ready. */
export function enableAll(state: State, run: Run): void {
  for (const step of run.steps) {
    if (step.barriers > 0) continue;
    for (const job of step.jobs.values()) enableIfFree(state, job);
  }
}

/** The job ends for good, and what waited for it goes on. */
export function finishJob(
  state: State,
  job: Job,
  next: 'succeeded' | 'skipped' | 'cancelled',
  reason: string | null,
): void {
  setJobState(state, job, next);
  job.grant = null;
  job.reboot = null;
  job.lostAs = null;
  job.reason = reason;
  job.finishedAt = state.at;
  settleOnce(state, job);
}

/** The node goes to the next run in line. */
function leaveQueue(state: State, run: Run, node: Node): void {
  const { queue } = node;
  const place = queue.indexOf(run);
  if (place < 0) return;
  queue.splice(place, 1);
  state.agenda.nodes.add(node);
  const [next] = queue;
  if (place !== 0 || next === undefined || next.startedAt !== null) return;
  next.membersAwaited -= 1;
  if (next.membersAwaited === 0) state.agenda.runs.add(next);
}

/** Settles the job, unless that was done when it was deferred: then its deferral ends. */
export function settleOnce(state: State, job: Job): void {
  if (job.deferred === null) settle(state, job);
  else endDeferral(state, job);
}

function endDeferral(state: State, job: Job): void {
  const { run, step, member } = job;
  job.deferred = null;
  run.jobsDeferred -= 1;
  member.deferred.splice(member.deferred.indexOf(step.index), 1);
  state.agenda.runs.add(run);
  state.agenda.nodes.add(member.node);
  if (step.unit.slots.has(member.node.name)) state.agenda.slots.add(job);
  if (run.deferredAt === null || member.deferred.length > 0) return;
  stepAside(state, run, member.node);
}

/** The run lets the node go and still counts it: in its budgets, and when the node is back. */
export function stepAside(state: State, run: Run, node: Node): void {
  leaveQueue(state, run, node);
  if (!node.deferredRuns.includes(run)) node.deferredRuns.push(run);
}

/** The node takes no further part in the run: what it failed is settled, what it had still to do is cancelled. */
export function leaveRun(state: State, run: Run, member: Member, reason: string): void {
  if (member.out !== null) return;
  const failed: Job[] = [];
  const open: Job[] = [];
  for (const step of run.steps) {
    const job = step.jobs.get(member.node.name);
    // What is to be done at the end is done on nodes that have left, too.
    if (job === undefined || isLive(job.state) || step.unit.unit.finally === true) continue;
    if (isAftermath(step) && (isOver(job) || hasToFollow(job))) continue;
    if (job.state === 'failed') failed.push(job);
    else if (!isOver(job)) open.push(job);
  }
  member.out = reason;
  // Whoever waits for it to carry something out has to find somebody else.
  state.agenda.nodes.add(member.node);
  for (const job of failed) settleOnce(state, job);
  for (const job of open) finishJob(state, job, 'cancelled', `node out: ${reason}`);
  for (const unit of run.units) if (unit.rank.has(member.node.name)) refreshReach(state, run, unit, member);
}

/** What the node has begun is ended there as it is meant to be. */
const hasToFollow = ({ run, step: { unit }, member: { node } }: Job): boolean =>
  hasBegun(run, unit, node.name) || unit.failed.has(node.name);

/** The run has ended: what is left is cancelled and its nodes go to the next run in line. */
export function releaseRun(state: State, run: Run, reason: string): void {
  for (const step of run.steps) {
    for (const job of step.jobs.values()) {
      if (isOver(job) || job.state === 'failed') continue;
      setJobState(state, job, 'cancelled');
      job.deferred = null;
      job.reason = reason;
      job.finishedAt = state.at;
    }
  }
  for (const unit of run.units) {
    clearSlots(state, run, unit);
    unit.waiting.nodes.clear();
    state.agenda.units.delete(unit);
  }
  state.activeRuns.delete(run.id);
  for (const member of run.members.values()) {
    const { deferredRuns } = member.node;
    if (deferredRuns.includes(run)) deferredRuns.splice(deferredRuns.indexOf(run), 1);
    leaveQueue(state, run, member.node);
  }
  clearDerived(run);
}
