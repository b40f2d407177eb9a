/**
 * What is done on a node when the steps of a unit have ended there: `rescue` after a failure, `always` however they
 * ended. Which jobs are due follows from the others of the node in the unit, so no event says it: it is looked at
 * whenever one of those changes. When they go on after all, as an operator has decided, everything is due anew at
 * their end.
 */
import { present } from '../../shared/assert.ts';
import { isAftermath, isSettled } from './derive.ts';
import type { Job, Member, Run, State, UnitState } from './state.ts';
import { enableIfFree, finishJob, setJobState } from './transitions.ts';
import { aftermathOf, endOf, hasAftermath, hasBegun } from './unit-end.ts';

/** After a job of the unit has changed there. */
function followUp(state: State, run: Run, unit: UnitState, { node: { name } }: Member): void {
  if (!hasAftermath(unit) || run.startedAt === null || run.end !== null || run.outcome !== null) return;
  const end = endOf(run, unit, name);
  const jobs = aftermathOf(run, unit, name);
  if (end === undefined) {
    for (const job of jobs.toReversed()) beginAnew(state, job);
    return;
  }
  const begun = end === 'failed' || hasBegun(run, unit, name);
  for (const job of jobs) {
    if (job.state !== 'waiting') continue;
    if (!begun) finishJob(state, job, 'skipped', 'nothing was begun on its node');
    else if (job.step.step.part === 'rescue' && end !== 'failed')
      finishJob(state, job, 'skipped', 'nothing failed on its node');
    else enableIfFree(state, job);
  }
}

/** After one of its jobs has changed. */
export function followUpJob(state: State, { run, step, member }: Job): void {
  if (!isAftermath(step)) followUp(state, run, step.unit, member);
}

/** After somebody has decided how one of its jobs ended: what was done for another end, or left out, is due anew. */
export function followUpDecision(state: State, job: Job): void {
  const { run, step, member } = job;
  if (run.outcome !== null) return;
  if (isAftermath(step)) {
    // Done once more it is due like all others, which may be not at all: the steps have ended, and nobody else looks.
    if (endOf(run, step.unit, member.node.name) !== undefined) followUp(state, run, step.unit, member);
    return;
  }
  for (const after of aftermathOf(run, step.unit, member.node.name).toReversed()) beginAnew(state, after);
  followUpJob(state, job);
}

/** After something has changed for the node as a whole. */
export function followUpNode(state: State, run: Run, member: Member): void {
  for (const unit of run.units) if (unit.rank.has(member.node.name)) followUp(state, run, unit, member);
}

/** After something has changed for the run as a whole. */
export function followUpRun(state: State, run: Run): void {
  for (const unit of run.units) {
    if (!hasAftermath(unit)) continue;
    for (const node of unit.nodes)
      followUp(state, run, unit, present(run.members.get(node), `member ${node}`));
  }
}

/** It waits again for how the steps end. What is held is for somebody to decide, now as before. */
function beginAnew(state: State, job: Job): void {
  if (job.state === 'ready') setJobState(state, job, 'waiting');
  if (!isSettled(job)) return;
  const { run, step, member } = job;
  step.jobsUnfinished += 1;
  run.jobsUnfinished += 1;
  for (const dependent of step.dependents) {
    const other = present(run.steps[dependent.step], 'dependent step');
    if (dependent.sameNode) {
      const blocked = other.jobs.get(member.node.name);
      if (blocked !== undefined) blocked.blockers += 1;
    } else if (step.jobsUnfinished === 1) other.barriers += 1;
  }
  const { unit } = step;
  const { name } = member.node;
  if (unit.done.delete(name) && unit.waveOf.get(name) === unit.wave) unit.waveUnfinished += 1;
  setJobState(state, job, 'waiting');
  job.mode = run.checkOnly ? 'check-only' : 'normal';
  job.admitted = false;
  job.reason = null;
  job.finishedAt = null;
}
