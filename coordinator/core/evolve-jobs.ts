/** The part of the fold that concerns single jobs. See evolve.ts. */
import { assertNever, present } from '../../shared/assert.ts';
import { limits } from '../../shared/limits.ts';
import { followUpDecision, followUpJob } from './aftermath.ts';
import { deferJob } from './deferral.ts';
import { hasNodeLeft, isAftermath, isOpenFailure } from './derive.ts';
import type { Event } from './events.ts';
import { executorOf } from './executors.ts';
import { newJob } from './layout.ts';
import type { Job, Run, State } from './state.ts';
import { finishJob, leaveRun, reopenJob, setJobState, settleOnce, wakeRun } from './transitions.ts';

type JobEvent = Extract<
  Event,
  {
    type:
      | 'StepOpened'
      | 'JobGranted'
      | 'JobStarted'
      | 'JobRequeued'
      | 'JobSkipped'
      | 'JobDeferred'
      | 'JobFailed'
      | 'JobHeld'
      | 'JobUnknown'
      | 'JobFound'
      | 'JobDecided'
      | 'JobRebooted';
  }
>;

/** The job that an event or a message names; undefined when there is none such (any more). */
export function findJob(state: State, run: string, step: string, node: string): Job | undefined {
  const found = state.runs.get(run);
  const index = found?.stepIndex.get(step);
  return index === undefined ? undefined : found?.steps[index]?.jobs.get(node);
}

export function evolveJob(state: State, event: JobEvent): void {
  if (event.type === 'StepOpened') {
    const run = present(state.runs.get(event.run), `run ${event.run}`);
    const step = present(
      run.steps[present(run.stepIndex.get(event.step), 'step index')],
      `step ${event.step}`,
    );
    step.opened = true;
    const facts = new Map<string, string>();
    for (const member of run.members.values()) {
      if (member.node.factsDigest !== null) facts.set(member.node.name, member.node.factsDigest);
    }
    step.facts = facts;
    return;
  }
  const job = present(
    findJob(state, event.run, event.step, event.node),
    `job ${event.run}/${event.step}/${event.node}`,
  );
  changeJob(state, job, event);
  if (event.type === 'JobDecided') followUpDecision(state, job);
  else followUpJob(state, job);
}

function changeJob(state: State, job: Job, event: Exclude<JobEvent, { type: 'StepOpened' }>): void {
  switch (event.type) {
    case 'JobGranted':
      job.grant = {
        attempt: event.attempt,
        attemptsMax: event.attemptsMax,
        mode: event.mode,
        task: event.task,
        inputs: event.inputs,
        ...(event.targets === undefined ? {} : { targets: event.targets }),
        ...(event.provides === undefined ? {} : { provides: event.provides }),
        ...(event.ended === undefined ? {} : { ended: event.ended }),
      };
      job.executor = event.executor === undefined ? null : (job.run.members.get(event.executor) ?? null);
      job.attempt = event.attempt;
      job.grantedSeq = event.seq;
      // A pull is good for one grant: what is granted next was asked for after it.
      executorOf(job).node.credit = 0;
      job.run.recallDue = true;
      setJobState(state, job, 'granted');
      return;
    case 'JobStarted':
      job.attempt = event.attempt;
      job.startedAt = event.at;
      setJobState(state, job, 'running');
      return;
    case 'JobRequeued':
      job.mode = event.mode;
      reopenJob(state, job);
      return;
    case 'JobSkipped':
      job.missed = event.missed ?? null;
      finishJob(state, job, 'skipped', event.reason);
      return;
    case 'JobDeferred':
      deferJob(state, job, event.until);
      return;
    case 'JobFailed':
      failJob(state, job, event.reason);
      return;
    case 'JobHeld':
      job.reason = event.reason;
      setJobState(state, job, 'held');
      return;
    case 'JobUnknown':
      job.lostAs = job.state === 'running' ? 'running' : 'granted';
      setJobState(state, job, 'unknown');
      return;
    case 'JobFound':
      if (job.state === 'unknown') setJobState(state, job, job.lostAs ?? 'granted');
      job.lostAs = null;
      return;
    case 'JobDecided':
      decideJob(state, job, event);
      return;
    case 'JobRebooted':
      finishJob(state, job, 'succeeded', job.reason);
      return;
    default:
      assertNever(event);
  }
}

function failJob(state: State, job: Job, reason: string | null): void {
  setJobState(state, job, 'failed');
  job.grant = null;
  job.reboot = null;
  job.lostAs = null;
  job.reason = reason;
  job.finishedAt = state.at;
  // Its node has left the run already, or this is one of the last steps: nobody waits for it.
  if (!isOpenFailure(job)) settleOnce(state, job);
}

function decideJob(state: State, job: Job, event: Extract<Event, { type: 'JobDecided' }>): void {
  job.disclosed = null;
  const reason = `${event.as} as decided by ${event.by}${event.reason === '' ? '' : `: ${event.reason}`}`;
  if (event.as === 'succeeded') finishJob(state, job, 'succeeded', reason);
  else if (event.as === 'failed') failJob(state, job, reason);
  else {
    job.lostAs = null;
    job.reason = reason;
    job.mode = job.run.checkOnly ? 'check-only' : 'normal';
    reopenJob(state, job);
    job.grant = null;
  }
}

export function endAttempt(state: State, event: Extract<Event, { type: 'AttemptEnded' }>): void {
  const job = present(
    findJob(state, event.run, event.step, event.node),
    `job ${event.run}/${event.step}/${event.node}`,
  );
  job.endedAttempt = event.attempt;
  job.logs = event.logs;
  job.outcome = event.outcome;
  job.unchanged = event.unchanged;
  job.exitCode = event.exitCode;
  job.signal = event.signal;
  job.reason = event.reason;
  job.durationMs = event.durationMs;
  job.parts = event.parts;
  job.lostAs = null;
  if (!event.final) {
    job.attempt = event.attempt + 1;
    setJobState(state, job, 'granted');
    return;
  }
  job.attempt = event.attempt;
  concludeAttempt(state, job, event);
  followUpJob(state, job);
}

function concludeAttempt(state: State, job: Job, event: Extract<Event, { type: 'AttemptEnded' }>): void {
  switch (event.outcome) {
    case 'succeeded':
      job.outputs = event.outputs;
      if (event.reboot === undefined || event.reboot.boot !== executorOf(job).node.boot)
        finishJob(state, job, 'succeeded', event.reason);
      else awaitReboot(state, job, event.reboot.boot);
      return;
    case 'failed':
    case 'timed-out':
      failJob(state, job, event.reason);
      return;
    case 'cancelled':
      finishJob(state, job, 'cancelled', event.reason);
      return;
    case 'interrupted':
    case 'not-started':
      // What becomes of it is the next event of the same batch: requeued, held, or cancelled with its run.
      if (isGivenUp(job)) finishJob(state, job, 'cancelled', event.reason);
      else setJobState(state, job, 'held');
      job.grant = null;
      job.reboot = null;
      return;
    default:
      assertNever(event.outcome);
  }
}

/** No further attempt is made of it. */
function isGivenUp(job: Job): boolean {
  const { cancel } = job.run;
  return (cancel !== null && (!isAftermath(job.step) || cancel.wholly === true)) || hasNodeLeft(job);
}

/** The job stays live while its node is down, but not unknown: what it did is in the journal. */
function awaitReboot(state: State, job: Job, boot: string): void {
  const until = state.at + (job.step.step.rebootTimeoutMs ?? limits.rebootTimeoutDefaultMs);
  job.reboot = { boot, until };
  setJobState(state, job, 'running');
  state.deadlines.add({ at: until, kind: 'reboot', node: executorOf(job).node.name });
}

/** What an operator's decision does to the jobs of a run that was held. */
export function resumeJobs(state: State, run: Run, how: Extract<Event, { type: 'RunResumed' }>['how']): void {
  if (how !== 'retry-failed' && how !== 'accept-failed') return;
  for (const step of run.steps) {
    for (const job of step.jobs.values()) {
      if (!isOpenFailure(job)) continue;
      if (how === 'retry-failed') {
        job.mode = run.checkOnly ? 'check-only' : 'normal';
        reopenJob(state, job);
      } else {
        job.member.accepted = true;
        leaveRun(state, run, job.member, 'its failure was accepted');
      }
    }
  }
  if (how !== 'accept-failed') return;
  for (const member of run.members.values()) {
    if (!member.accepted) continue;
    for (const unit of run.units) unit.failed.delete(member.node.name);
  }
  wakeRun(state, run);
}

/** Puts a job for `node` into a step that had none there, with what it has still to wait for. */
export function addJob(state: State, run: Run, stepIndex: number, node: string): void {
  const step = present(run.steps[stepIndex], 'step');
  const member = present(run.members.get(node), `member ${node}`);
  const job = newJob(run, step, member, state.at);
  if (hasNodeLeft(job)) {
    job.state = 'cancelled';
    job.reason = `node out: ${member.out}`;
    job.finishedAt = state.at;
  }
  step.jobs.set(node, job);
}
