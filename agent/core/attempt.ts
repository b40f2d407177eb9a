/**
 * What becomes of the first job of the ledger: it is begun, prepared, executed step by step, ended when its
 * time is up or somebody cancels it, and concluded by a result. One job at a time; the others wait.
 *
 * A cancel ends the job, not just the attempt: between two attempts of a grant it concludes the next one
 * as `cancelled` (final), because the result of the one before was already sent as not final.
 */
import { assertNever, present } from '../../shared/assert.ts';
import type { JobSpecification, Script } from '../../shared/messages.ts';
import {
  collect,
  endSegment,
  failed,
  lost,
  mayNotReboot,
  neverStarted,
  stopped,
  tellerOf,
} from './conclusion.ts';
import { tellIteration } from './iteration.ts';
import { isUntouched, type Job } from './ledger.ts';
import {
  type Execution,
  type NodeValues,
  nextStep,
  noProgress,
  type Phase,
  type Progress,
  progressAfter,
} from './next-step.ts';
import { isRebooting } from './reboot.ts';
import type { Activity, ExecutionEnd, Input, Stop } from './state.ts';
import { type Turn, unexecuted } from './turn.ts';
import { isGivingWay } from './upgrade.ts';

type Active<Kind extends Activity['kind']> = Activity & { readonly kind: Kind };
type InputOf<Kind extends Input['kind']> = Input & { readonly kind: Kind };

/** Begins the first job when nothing runs and its time has come. */
export function beginNext(turn: Turn): void {
  if (turn.state.activity.kind !== 'idle' || isRebooting(turn.state) || isGivingWay(turn.state)) return;
  expireJobs(turn);
  const [job] = turn.state.ledger.jobs;
  if (job === undefined || job.notBeforeMs > turn.now.monotonicMs) return;
  const { monotonicMs, wallMs } = turn.now;
  turn.record({ kind: 'begun', attempt: job.attempt, at: { monotonicMs, wallMs } });
  turn.become({ kind: 'preparing', attempt: job.attempt, stop: null });
  turn.emit({ kind: 'prepare', job: turn.job });
}

/** A segment that was not gone through in its time comes back: the coordinator may know better by now. */
function expireJobs(turn: Turn): void {
  for (const job of turn.state.ledger.jobs) {
    if (job.expiresAtMs === null || job.expiresAtMs > turn.now.monotonicMs || !isUntouched(job)) continue;
    const reason = 'its segment expired before it began';
    turn.conclude(job.lineage, unexecuted(job.attempt, 'not-started', reason, turn.now));
  }
}

const deadlineOf = (job: Job): number => (job.begun?.monotonicMs ?? 0) + job.specification.timeoutMs;

export function onPrepared(turn: Turn, { attempt, prepared }: InputOf<'prepared'>): void {
  const { activity } = turn.state;
  if (activity.kind !== 'preparing' || activity.attempt !== attempt) return;
  if (activity.stop !== null) {
    collect(turn, stopped(activity.stop, turn.job, noProgress));
    return;
  }
  if (!prepared.ok) {
    collect(turn, failed(prepared.reason, noProgress));
    return;
  }
  if (turn.job.specification.reboot !== undefined && !turn.state.host.mayReboot) {
    collect(turn, failed(mayNotReboot, noProgress));
    return;
  }
  proceed(turn, noProgress, prepared.params);
}

/** Goes on to whatever comes next in the attempt. */
function proceed(turn: Turn, progress: Progress, params: NodeValues['params']): void {
  const { job, now } = turn;
  const { attempt, specification } = job;
  const next = stepAfter(turn, progress, params);
  // What is done is done, also when ending what it left behind took it past its time.
  if (next.kind !== 'end' && now.monotonicMs >= deadlineOf(job)) {
    collect(turn, stopped({ kind: 'timed-out' }, job, progress));
    return;
  }
  if (next.kind !== 'end') tellIteration(turn, progress);
  switch (next.kind) {
    case 'execute': {
      const number = progress.executions + 1;
      const { phase } = next;
      const startedMs = now.monotonicMs;
      turn.become({ kind: 'executing', attempt, progress, params, number, phase, startedMs, stop: null });
      turn.emit({ kind: 'execute', job, number, phase, script: scriptOf(specification, phase) });
      if (progress.executions === 0 && turn.state.link.kind === 'joined') {
        turn.emit({ kind: 'send', message: { type: 'started', attempt, at: now.wallMs } });
      }
      return;
    }
    case 'wait':
      turn.become({ kind: 'pausing', attempt, progress, params, untilMs: next.untilMs });
      return;
    case 'end':
      collect(turn, { ...next.verdict, iterations: progress.runs, told: tellerOf(progress) });
      return;
    default:
      assertNever(next);
  }
}

const stepAfter = (turn: Turn, progress: Progress, params: NodeValues['params']) =>
  nextStep(turn.job.specification, progress, { node: turn.state.node, params }, turn.now.monotonicMs);

function scriptOf(specification: JobSpecification, phase: Phase): Script {
  const script = phase === 'verify' ? specification.verify?.script : specification[phase];
  return present(script, `script of ${phase}`);
}

export function onExecuted(turn: Turn, { attempt, number, end }: InputOf<'executed'>): void {
  const { activity } = turn.state;
  if (activity.kind !== 'executing' || activity.attempt !== attempt || activity.number !== number) return;
  const { progress } = activity;
  switch (end.kind) {
    case 'unstartable':
      collect(turn, failed(end.reason, progress));
      return;
    case 'lost':
      collect(turn, lost(progress));
      return;
    case 'not-executed':
      goOnUnexecuted(turn, activity, number);
      return;
    case 'exited':
      onExited(turn, activity, end);
      return;
    default:
      assertNever(end);
  }
}

function onExited(turn: Turn, activity: Active<'executing'>, end: ExecutionEnd & { kind: 'exited' }): void {
  const { number, phase, stop, params, startedMs } = activity;
  const { status, output, parts } = end;
  const progress = progressAfter(
    activity.progress,
    { number, phase, status, output, ...(parts === undefined ? {} : { parts }) },
    startedMs,
    turn.now.monotonicMs,
  );
  if (stop === null) {
    proceed(turn, progress, params);
    return;
  }
  // What had ended before the order to end reached it is judged by what it did, if nothing is left to do.
  const isOver = !end.stopped && stepAfter(turn, progress, params).kind === 'end';
  if (isOver) proceed(turn, progress, params);
  else collect(turn, stopped(stop, turn.job, progress));
}

function goOnUnexecuted(turn: Turn, activity: Active<'executing'>, number: number): void {
  const { progress, params, stop } = activity;
  if (stop !== null) {
    collect(turn, stopped(stop, turn.job, progress));
    return;
  }
  if (progress.executions === 0) {
    collect(turn, neverStarted(progress));
    return;
  }
  // What was executed before stands, so the attempt goes on; under a new number, because the claim is taken.
  proceed(turn, { ...progress, executions: number }, params);
}

/** Ends the job as soon as may be; what already has its end keeps it. */
export function cancelJob(turn: Turn, job: Job, reason: string): void {
  const { activity, ledger } = turn.state;
  const isActive = activity.kind !== 'idle' && job === ledger.jobs[0];
  if (isActive) {
    stopActive(turn, { kind: 'cancelled', reason });
    return;
  }
  turn.conclude(job.lineage, unexecuted(job.attempt, 'cancelled', reason, turn.now));
  endSegment(turn, job, ledger.jobs.slice(ledger.jobs.indexOf(job) + 1));
}

function stopActive(turn: Turn, stop: Stop): void {
  const { activity } = turn.state;
  switch (activity.kind) {
    case 'idle':
    case 'collecting':
      return;
    case 'recovering':
      turn.become({ ...activity, stop: activity.stop ?? stop });
      return;
    case 'preparing':
      turn.become({ ...activity, stop: activity.stop ?? stop });
      turn.emit({ kind: 'abandon-preparation', attempt: activity.attempt });
      return;
    case 'executing':
      turn.become({ ...activity, stop: activity.stop ?? stop });
      turn.emit({ kind: 'stop', attempt: activity.attempt });
      return;
    case 'pausing':
      collect(turn, stopped(stop, turn.job, activity.progress));
      return;
    default:
      assertNever(activity);
  }
}

/** When the running attempt next needs the clock, by the monotonic clock; null when it does not. */
export function attemptAlarm(activity: Activity, [job]: readonly Job[]): number | null {
  if (job === undefined) return null;
  switch (activity.kind) {
    case 'idle':
      return job.notBeforeMs;
    case 'recovering':
    case 'collecting':
      return null;
    case 'preparing':
      return activity.stop === null ? deadlineOf(job) : null;
    case 'executing':
      return activity.stop === null ? Math.min(deadlineOf(job), verifyDeadline(activity, job)) : null;
    case 'pausing':
      return Math.min(deadlineOf(job), activity.untilMs);
    default:
      return assertNever(activity);
  }
}

function verifyDeadline({ phase, progress, startedMs }: Active<'executing'>, job: Job): number {
  if (phase !== 'verify') return Number.POSITIVE_INFINITY;
  return (progress.verifyingSinceMs ?? startedMs) + (job.specification.verify?.timeoutMs ?? 0);
}

export function onAlarm(turn: Turn): void {
  const { activity, ledger } = turn.state;
  const due = attemptAlarm(activity, ledger.jobs);
  if (due === null || due > turn.now.monotonicMs || activity.kind === 'idle') return;
  if (turn.now.monotonicMs >= deadlineOf(turn.job)) {
    stopActive(turn, { kind: 'timed-out' });
    return;
  }
  if (activity.kind === 'pausing') {
    proceed(turn, activity.progress, activity.params);
    return;
  }
  stopActive(turn, { kind: 'verify-timed-out' });
}

/** After a restart within the same boot: goes on from the executions that the disk tells of. */
export function onRecovered(turn: Turn, { attempt, recovery }: InputOf<'recovered'>): void {
  const { activity } = turn.state;
  if (activity.kind !== 'recovering' || activity.attempt !== attempt) return;
  const { params, last } = recovery;
  const progress = progressFrom(turn, recovery.ended);
  switch (last.kind) {
    case 'running': {
      const { number, phase } = last;
      const startedMs = turn.now.monotonicMs;
      turn.become({ kind: 'executing', attempt, progress, params, number, phase, startedMs, stop: null });
      if (activity.stop !== null) stopActive(turn, activity.stop);
      return;
    }
    case 'not-executed':
      if (progress.executions === 0) {
        collect(turn, neverStarted(progress));
        return;
      }
      resume(turn, { ...progress, executions: last.number }, params, activity.stop);
      return;
    case 'none':
      resume(turn, progress, params, activity.stop);
      return;
    default:
      assertNever(last);
  }
}

function resume(turn: Turn, progress: Progress, params: NodeValues['params'], stop: Stop | null): void {
  if (stop !== null) {
    collect(turn, stopped(stop, turn.job, progress));
    return;
  }
  if (progress.executions > 0) {
    proceed(turn, progress, params);
    return;
  }
  // Nothing was executed and nothing stands that could: whatever was prepared is prepared again.
  turn.become({ kind: 'preparing', attempt: turn.job.attempt, stop: null });
  turn.emit({ kind: 'prepare', job: turn.job });
}

/**
 * The folders of early iterations are gone by design, so runs are counted by number: before the first run
 * comes at most one check. Pauses and the time of `verify` start anew, which can only lengthen them; the
 * timeout of the attempt does not.
 */
function progressFrom(turn: Turn, ended: readonly Execution[]): Progress {
  const { monotonicMs } = turn.now;
  const progress = ended.reduce(
    (before, execution) => progressAfter(before, execution, monotonicMs, monotonicMs),
    noProgress,
  );
  if (progress.run === null) return progress;
  return { ...progress, runs: progress.run.number - (turn.job.specification.check === undefined ? 0 : 1) };
}
