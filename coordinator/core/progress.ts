/**
 * What follows by itself from the state: runs start and end, slots and waves open, jobs are granted. It
 * takes what is on the agenda in a fixed order and stops after a bounded number of grants, so that the first
 * grants of a large step are on disk and on the wire before the last ones are decided.
 */
import { present } from '../../shared/assert.ts';
import { limits } from '../../shared/limits.ts';
import type { Target } from '../../shared/pipeline/model.ts';
import { lacks } from './agent-versions.ts';
import type { Decision, Effect, Lookup } from './commands.ts';
import { hasLeft, isActive, isAftermath } from './derive.ts';
import { countedInLine, mayBecomeUnavailable, waitsElsewhere } from './disruption.ts';
import { awaitNode, executorFor, targetsOf } from './executors.ts';
import { afterFailure } from './failure.ts';
import { evaluateIf, grantedJobOf, prepareGrant } from './inputs.ts';
import { attemptOf, namesOf } from './job-names.ts';
import type { Grant } from './job-state.ts';
import { takeDeadlines } from './overdue.ts';
import { gatherRuns } from './planning.ts';
import { isSpent, nextAttempt } from './restoration.ts';
import { considerRun } from './run-progress.ts';
import { nextInSegment } from './segments.ts';
import { awaitPlace, isFree, isIdle, leaveLine, nextForPlace, nextForSlot } from './slots.ts';
import type { Job, Node, State } from './state.ts';
import { clusterOf, isOpen, type Member, mayFollowUp, type Run, type UnitState } from './state.ts';

import { considerTrigger, meetJoined } from './triggering.ts';
import { Turn } from './turn.ts';
import { aftermathOf, hasBegun } from './unit-end.ts';
import { considerOffer } from './upgrades.ts';
import { openWave } from './waves.ts';
import { isInWindow, isUnderWay, mayProceed } from './windows.ts';

export type Progress = Extract<Decision, { ok: true }> & {
  /** There is more on the agenda: call again after what was returned is on its way. */
  readonly more: boolean;
};

/** Items looked at per call for each grant allowed: bounds a turn in which nothing can be granted. */
const looksPerGrant = 16;

export function progress(state: State, at: number, lookup: Lookup, grantsMax: number): Progress {
  const turn = new Turn(state, at, lookup);
  takeDeadlines(turn);
  // Whoever has been replaced begins nothing more by itself; what nodes report is still recorded.
  let looks = state.fence === null ? grantsMax * looksPerGrant : 0;
  const grants = (): number => countGrants(turn.effects);
  while (looks > 0 && grants() < grantsMax && turn.bytes < limits.turnBytesAim && lookAtNext(turn))
    looks -= 1;
  const decision = turn.decision();
  if (!decision.ok) throw new Error('progress is never rejected');
  return { ...decision, more: state.fence === null && hasAgenda(state) };
}

function countGrants(effects: readonly Effect[]): number {
  // Only grants and cancels are made here, and cancels are rare.
  return effects.length;
}

const hasAgenda = ({ agenda }: State): boolean =>
  agenda.runs.size + agenda.nodes.size + agenda.units.size + agenda.slots.size > 0 ||
  agenda.gathering.size + agenda.triggers.size > 0 ||
  agenda.offer;

function takeFirst<T>(set: Set<T>): T | undefined {
  for (const item of set) {
    set.delete(item);
    return item;
  }
  return undefined;
}

/** Slots are given back before runs and nodes are looked at, and units come last: when all candidates stand in line. */
function lookAtNext(turn: Turn): boolean {
  const { agenda } = turn.state;
  const done = takeFirst(agenda.slots);
  if (done !== undefined) {
    releaseSlot(turn, done);
    return true;
  }
  const run = takeFirst(agenda.runs);
  if (run !== undefined) {
    considerRun(turn, run);
    return true;
  }
  const node = takeFirst(agenda.nodes);
  if (node !== undefined) {
    considerNode(turn, node);
    return true;
  }
  for (const [unit, owner] of agenda.units) {
    if (!considerUnit(turn, owner, unit)) agenda.units.delete(unit);
    return true;
  }
  if (agenda.offer) {
    agenda.offer = false;
    considerOffer(turn);
    return true;
  }
  const trigger = takeFirst(agenda.triggers);
  if (trigger !== undefined) {
    considerTrigger(turn, trigger);
    return true;
  }
  if (agenda.gathering.size > 0) {
    meetJoined(turn, agenda.gathering);
    gatherRuns(turn);
    return true;
  }
  return false;
}

function releaseSlot(turn: Turn, job: Job): void {
  const { run, step, member } = job;
  const node = member.node.name;
  // Whoever failed within the budget is down and keeps it, until somebody accepts that.
  if (member.out !== null && !member.accepted) return;
  if (run.end !== null || !step.unit.slots.has(node)) return;
  if (!hasLeft(run, step.unit, node)) return;
  turn.emit({ type: 'SlotReleased', run: run.id, unit: step.unit.unit.id, node });
}

/** When the run stops, what is done after its steps still begins. */
const mayBegin = ({ run, step }: Job): boolean => isOpen(run) || (isAftermath(step) && mayFollowUp(run));

function considerNode(turn: Turn, node: Node): void {
  for (const target of node.awaitedBy) turn.state.agenda.nodes.add(target);
  node.awaitedBy.clear();
  const [run] = node.queue;
  const member = run?.members.get(node.name);
  if (run === undefined || member === undefined || run.startedAt === null || run.end !== null) return;
  settleWithoutNode(turn, run, member);
  if (!(isOpen(run) || mayFollowUp(run)) || !isIdle(run, node)) return;
  for (const index of [...member.ready]) {
    // What was deferred comes before what came after it, unless the run has stopped and it comes no more.
    if (isOpen(run) && index > (member.deferred[0] ?? index)) return;
    const job = run.steps[index]?.jobs.get(node.name);
    // One that became ready just now has its condition looked at first, in the next turn of this node.
    if (job?.state !== 'ready' || !job.admitted || !mayBegin(job)) continue;
    if (job.step.step.runOn === undefined && node.credit === 0) continue;
    if (offerJob(turn, run, member, job)) return;
  }
}

/** What needs no contact with the node: conditions that do not hold, absent nodes that may be skipped, retired ones. */
function settleWithoutNode(turn: Turn, run: Run, member: Member): void {
  const stopped = run.cancel !== null || run.failing !== null || run.hold?.restored !== undefined;
  for (const index of [...member.ready]) {
    const job = run.steps[index]?.jobs.get(member.node.name);
    if (job === undefined || job.state !== 'ready' || (stopped && !mayBegin(job))) continue;
    const { step } = job.step;
    const names = { run: run.id, step: step.id, node: member.node.name };
    if (member.node.administration === 'retired') {
      turn.emit({ type: 'JobHeld', ...names, reason: 'the node was retired' });
      continue;
    }
    if (!job.admitted) {
      openStep(turn, job);
      const condition = evaluateIf(turn.state, job, turn.lookup);
      if (!condition.ok) {
        giveUp(turn, job, condition.reason);
        continue;
      }
      if (!condition.value) {
        turn.emit({ type: 'JobSkipped', ...names, reason: `if: ${step.if ?? ''}` });
        continue;
      }
      job.admitted = true;
    }
    if (member.node.contact !== 'unreachable' || step.offline === 'wait') continue;
    // That it is away matters when its window is open, and was told when it was deferred before.
    if (job.deferred === null && !mayProceed(turn, job)) continue;
    if (step.offline === 'skip')
      turn.emit({ type: 'JobSkipped', ...names, reason: 'the node is unreachable' });
    if (step.offline === 'defer') {
      const until = job.deferred?.until ?? turn.at + (step.deferUntilMs ?? limits.deferUntilDefaultMs);
      turn.emit({ type: 'JobDeferred', ...names, until });
    }
  }
}

/** Its values cannot be had. Where only checks are executed, the steps that would have made them did nothing. */
function giveUp(turn: Turn, job: Job, reason: string): void {
  const names = { run: job.run.id, step: job.step.step.id, node: job.member.node.name };
  if (job.run.checkOnly) {
    turn.emit({ type: 'JobSkipped', ...names, reason: `cannot be checked before it is run: ${reason}` });
    return;
  }
  turn.emit({ type: 'JobFailed', ...names, reason });
  afterFailure(turn, job);
}

function openStep(turn: Turn, job: Job): void {
  if (!job.step.opened) turn.emit({ type: 'StepOpened', run: job.run.id, step: job.step.step.id });
}

/** Passes the job through its gates; true when the node got it or waits in line for it. */
function offerJob(turn: Turn, run: Run, member: Member, job: Job): boolean {
  const { unit } = job.step;
  const node = member.node.name;
  const executor = executorFor(job);
  if (executor === undefined) {
    const reason = `nobody is left in the run who could do it (runOn: ${nameOf(job.step.step.runOn)})`;
    turn.emit({ type: 'JobHeld', ...namesOf(job), reason });
    return false;
  }
  if (!isAble(executor, job)) return false;
  // Checks change nothing that anybody would have to approve, and what comes after steps came after their approval.
  const after = isAftermath(job.step);
  if (unit.approval.kind === 'needed' && !run.checkOnly && !after) {
    turn.emit({
      type: 'ApprovalRequested',
      run: run.id,
      unit: unit.unit.id,
      text: unit.approval.text,
      digest: run.digest,
    });
  }
  if (unit.approval.kind === 'requested' && !after) return false;
  if (!mayProceed(turn, job)) return false;
  const rolling = unit.unit.strategy.kind === 'rolling';
  // Where nothing was begun, nothing is down for what is done after it.
  if (rolling && !unit.slots.has(node) && (!after || hasBegun(run, unit, node))) {
    if (!unit.waveOf.has(node)) {
      // Not in a wave yet: the next one may be opened if the last is done.
      if (unit.waveUnfinished === 0) turn.state.agenda.units.set(unit, run);
      return false;
    }
    awaitPlace(unit, node);
    turn.state.agenda.units.set(unit, run);
    return false;
  }
  if (!rolling && unit.live.size >= unit.limits.atOnce) {
    awaitPlace(unit, node);
    return false;
  }
  if (!rolling && isOpen(run) && unit.limits.atOnce < unit.nodes.length) {
    // With a bound on how many, those who wait are served in order of names, not of arrival.
    awaitPlace(unit, node);
    turn.state.agenda.units.set(unit, run);
    return false;
  }
  return grantOrAwait(turn, job);
}

function nextOf(state: State, run: Run, unit: UnitState): string | undefined {
  if (!isOpen(run)) return nextToFollowUp(run, unit);
  if (unit.unit.strategy.kind !== 'rolling') return nextForPlace(unit);
  const node = nextForSlot(unit);
  const member = node === undefined ? undefined : run.members.get(node);
  if (member === undefined || mayBecomeUnavailable(state, member.node)) return node;
  return countedInLine(state, run, unit) ?? node;
}

/** Gives away one place in a unit; false when there is nothing more to give now. */
function considerUnit(turn: Turn, run: Run, unit: UnitState): boolean {
  if (!(isOpen(run) || mayFollowUp(run)) || !isActive(run, unit)) return false;
  const rolling = unit.unit.strategy.kind === 'rolling';
  // Nobody is chosen before somebody may begin.
  const parked = isOpen(run) && unit.jobsReady > 0 && !isInWindow(turn, run, unit);
  if (rolling && parked) return false;
  if (rolling && isOpen(run) && unit.waveUnfinished === 0 && openWave(turn, run, unit)) return true;
  if (unit.waiting.nodes.size === 0) return false;
  if (rolling && unit.pauseUntil > turn.at) return false;
  const node = nextOf(turn.state, run, unit);
  if (node === undefined) {
    turn.state.agenda.runs.add(run);
    return false;
  }
  if (parked && !isUnderWay(run, unit, node)) {
    // It stands in line again when the window has opened.
    leaveLine(unit.waiting, node);
    return true;
  }
  const member = present(run.members.get(node), `member ${node}`);
  const need = rolling && turn.state.budgets.has(clusterOf(member.node)) && waitsElsewhere(run, unit, node);
  if (need !== false && need !== undefined) {
    // Looked at again when what it needs is done: everywhere, or on this node, which then stands in line again.
    if (need.sameNode) leaveLine(unit.waiting, node);
    return need.sameNode;
  }
  // Looked at again when somebody of the cluster is available again.
  if (rolling && !mayBecomeUnavailable(turn.state, member.node)) {
    turn.state.agenda.runs.add(run);
    return false;
  }
  leaveLine(unit.waiting, node);
  if (!isIdle(run, member.node)) return true;
  const job = member.ready
    .filter((index) => index >= unit.firstStep && index <= unit.lastStep)
    .map((index) => run.steps[index]?.jobs.get(node))
    .find((ready) => ready?.admitted === true && mayBegin(ready) && mayTake(turn, ready));
  if (job === undefined) return true;
  // A slot is not taken before somebody can use it.
  if (!isExecutorFree(job)) return true;
  if (rolling) turn.emit({ type: 'SlotTaken', run: run.id, unit: unit.unit.id, node });
  grant(turn, job);
  return true;
}

/** In a run that begins nothing else: who waits for a place to do what comes after its steps. */
function nextToFollowUp(run: Run, unit: UnitState): string | undefined {
  if (unit.unit.strategy.kind === 'rolling' || unit.live.size >= unit.limits.atOnce) return undefined;
  return unit.nodes.find(
    (node) =>
      unit.waiting.nodes.has(node) && aftermathOf(run, unit, node).some(({ state }) => state === 'ready'),
  );
}

function mayTake(turn: Turn, job: Job): boolean {
  const executor = executorFor(job);
  if (executor !== undefined) return isAble(executor, job);
  // Whoever was to carry it out left while it stood in line: it is held when its node is looked at.
  turn.state.agenda.nodes.add(job.member.node);
  return false;
}

/** When its agent cannot do it, the job is looked at again as soon as the node comes back with another one. */
function isAble({ node }: Member, job: Job): boolean {
  if (lacks(node, job).length === 0) return true;
  if (node !== job.member.node) awaitNode(node, job.member.node);
  return false;
}

/** When the executor has no time now, the job is looked at again as soon as it has. */
function isExecutorFree(job: Job): boolean {
  const executor = executorFor(job)?.node;
  if (executor === undefined) return false;
  if (isFree(job.run, executor)) return true;
  if (executor !== job.member.node) awaitNode(executor, job.member.node);
  return false;
}

/** What is for a whole role begins when nothing else is done on any of its nodes. */
function areTargetsIdle(job: Job): boolean {
  const carrier = executorFor(job);
  const busy = targetsOf(job).find((target) => target !== carrier && !isIdle(job.run, target.node));
  if (busy !== undefined && busy !== job.member) awaitNode(busy.node, job.member.node);
  return busy === undefined;
}

function grantOrAwait(turn: Turn, job: Job): boolean {
  if (!isExecutorFree(job) || !areTargetsIdle(job)) return false;
  grant(turn, job);
  return true;
}

const nameOf = (target: Target | undefined): string =>
  target === undefined ? '' : `${target.role}${target.who === 'all' ? '' : `.${target.who}`}`;

/** Grants the job, and with it what the node may do after it without hearing from anybody. */
function grant(turn: Turn, job: Job): void {
  const { node } = executorFor(job) ?? job.member;
  const { credit } = node;
  const prepared = prepare(turn, job);
  if (!prepared.ok) {
    giveUp(turn, job, prepared.reason);
    return;
  }
  emitGrant(turn, job, prepared);
  const segment = [job];
  const jobsMax = Math.min(credit, limits.segmentJobsMax);
  let bytesLeft = Math.min(limits.segmentBytesMax, limits.messageBytesMax - prepared.bytes);
  while (segment.length < jobsMax) {
    const next = nextInSegment(turn, segment);
    if (next === undefined) break;
    const ahead = prepare(turn, next);
    // What is wrong with its values is told when its turn comes.
    if (!ahead.ok) break;
    bytesLeft -= ahead.bytes;
    if (bytesLeft < 0) break;
    emitGrant(turn, next, ahead, attemptOf(job));
    segment.push(next);
  }
  const jobs = segment.map((granted) => grantedJobOf(granted, turn.lookup));
  turn.effect({ kind: 'grant', node: node.name, jobs });
}

type PreparedGrant = { readonly grant: Grant; readonly bytes: number };

function prepare(
  turn: Turn,
  job: Job,
): ({ readonly ok: true } & PreparedGrant) | { readonly ok: false; readonly reason: string } {
  openStep(turn, job);
  const attempt = nextAttempt(turn.state, job);
  const attemptsMax = job.mode === 'normal' ? job.step.step.retry.attempts : 1;
  if (isSpent(turn.state, job, attemptsMax))
    return { ok: false, reason: `attempt ${job.attempt} was the last that there may be: begin a new run` };
  const prepared = prepareGrant(turn, job, attempt);
  if (!prepared.ok) return prepared;
  const { grant, bytes } = prepared;
  return { ok: true, grant: { attempt, attemptsMax, mode: job.mode, ...grant }, bytes };
}

function emitGrant(turn: Turn, job: Job, { grant, bytes }: PreparedGrant, segment?: string): void {
  turn.bytes += bytes;
  const executor = executorFor(job);
  turn.emit({
    type: 'JobGranted',
    ...namesOf(job),
    ...grant,
    ...(executor === undefined || executor === job.member ? {} : { executor: executor.node.name }),
    ...(job.step.step.scope === undefined
      ? {}
      : { targets: targetsOf(job).map((target) => target.node.name) }),
    ...(segment === undefined ? {} : { segment }),
  });
}
