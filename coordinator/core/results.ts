/**
 * What an attempt came to, applied exactly once. A result counts when its attempt is the live one; one that
 * was applied before is only acknowledged again; one of an attempt that was superseded or decided meanwhile
 * is recorded as stale.
 */
import { assertNever } from '../../shared/assert.ts';
import { parseAttemptId } from '../../shared/ids.ts';
import { limits } from '../../shared/limits.ts';
import type { AttemptResult, Hello } from '../../shared/messages.ts';
import { formatDuration } from '../../shared/pipeline/duration.ts';
import type { StoredValue } from './event-values.ts';
import { findJob } from './evolve-jobs.ts';
import { executorOf } from './executors.ts';
import { afterFailure } from './failure.ts';
import { attemptOf, markStarted, namesOf } from './job-names.ts';
import { type Grant, isLive } from './job-state.ts';
import { attemptInLineage, endDisclosed, isGranted } from './restoration.ts';
import type { Job, Node, State } from './state.ts';
import type { Turn } from './turn.ts';

function findLive(turn: Turn, node: string, attemptId: string): { job: Job | undefined; attempt: number } {
  const name = parseAttemptId(attemptId);
  if (name === undefined) return { job: undefined, attempt: 0 };
  const job = findJob(turn.state, name.run, name.step, name.node);
  // Of a job that others may carry out, an earlier executor may still speak.
  const may = name.node === node || job?.step.step.runOn !== undefined;
  return { job: may ? job : undefined, attempt: name.attempt };
}

export function reportStarted(turn: Turn, node: string, attemptId: string, nodeAt: number): void {
  const { job, attempt } = findLive(turn, node, attemptId);
  if (job === undefined || !isGranted(job, attempt) || executorOf(job).node.name !== node) return;
  markStarted(turn, job, attempt, nodeAt);
}

export function reportResult(turn: Turn, node: string, number: number, result: AttemptResult): void {
  const { job, attempt } = findLive(turn, node, result.attempt);
  const applied =
    job !== undefined && attempt <= job.endedAttempt && !isOvertaken(turn.state, job, attempt, node);
  const isLiveHere = job !== undefined && isGranted(job, attempt) && executorOf(job).node.name === node;
  if (!applied && isLiveHere) {
    applyResult(turn, job, attempt, result);
  } else if (!applied) {
    turn.emit({
      type: 'StaleResultReported',
      node,
      attempt: result.attempt,
      outcome: result.outcome,
      reason: result.reason,
    });
    if (job !== undefined) endDisclosed(turn, job, attempt, result.outcome);
  }
  turn.effect({ kind: 'ack-results', node, upTo: number });
}

/**
 * Whether a later attempt may have ended without the end of this one: by another node, or after a restore, when a node
 * tells first what it did last. Whether it was heard of nobody remembers then, and noting it twice does no harm.
 */
function isOvertaken({ restoration }: State, job: Job, attempt: number, node: string): boolean {
  if (executorOf(job).node.name !== node) return true;
  return restoration !== null && attempt <= restoration.attemptsFrom && attempt < job.endedAttempt;
}

function applyResult(turn: Turn, job: Job, attempt: number, result: AttemptResult): void {
  const { provides } = job.grant ?? {};
  const { outputs, unkept } = storeOutputs(turn, job, result);
  turn.emit({
    type: 'AttemptEnded',
    ...namesOf(job),
    attempt,
    outcome: result.outcome,
    final: result.final,
    unchanged: result.unchanged,
    exitCode: result.exitCode,
    signal: result.signal,
    reason: result.reason ?? unkept,
    iterations: result.iterations,
    nodeStartedAt: result.startedAt,
    nodeFinishedAt: result.finishedAt,
    durationMs: result.durationMs,
    outputs,
    logs: result.logs,
    ...(result.reboot === undefined ? {} : { reboot: result.reboot }),
    ...(result.parts === undefined ? {} : { parts: turn.store(result.parts, partsInlineBytesMax) }),
  });
  if (!result.final) return;
  switch (result.outcome) {
    case 'succeeded':
      if (!isLive(job.state)) provideService(turn, job, provides);
      return;
    case 'failed':
    case 'timed-out':
      afterFailure(turn, job);
      return;
    case 'cancelled':
      return;
    case 'interrupted':
    case 'not-started':
      afterInterruption(turn, job, result.outcome);
      return;
    default:
      assertNever(result.outcome);
  }
}

function provideService(turn: Turn, job: Job, provides: Grant['provides']): void {
  // A check starts nothing.
  if (provides === undefined || job.run.checkOnly) return;
  turn.emit({ type: 'ServiceProvided', cluster: job.run.cluster, ...provides, ...namesOf(job) });
}

/** Ends the jobs that waited for this node to come back from a reboot, now that it is connected again. */
export function endReboots(turn: Turn, node: Node, rebooted: Hello['rebooted']): void {
  for (const job of [...node.segment]) {
    if (job.reboot === null || job.reboot.boot === node.boot) continue;
    const { provides } = job.grant ?? {};
    const planned = rebooted?.attempt === attemptOf(job) ? rebooted.planned : null;
    turn.emit({ type: 'JobRebooted', ...namesOf(job), boot: node.boot, planned });
    provideService(turn, job, provides);
  }
}

/** The time for coming back is over. A node that is still on the boot that it was to leave is told to stay there. */
export function giveUpReboot(turn: Turn, name: string): void {
  const node = turn.state.nodes.get(name);
  for (const job of [...(node?.segment ?? [])]) {
    if (node === undefined || job.reboot === null || job.reboot.until > turn.at) continue;
    const attempt = attemptOf(job);
    const timeout = formatDuration(job.step.step.rebootTimeoutMs ?? limits.rebootTimeoutDefaultMs);
    const how = node.contact === 'connected' ? 'has not rebooted' : 'did not come back from its reboot';
    turn.emit({ type: 'JobFailed', ...namesOf(job), reason: `${name} ${how} within ${timeout}` });
    turn.effect({ kind: 'cancel', node: name, attempt, reason: 'the reboot took too long' });
    afterFailure(turn, job);
  }
}

const outputInlineBytesMax = 4_096;
/** People ask for them now and then; until then they need not be in memory. */
const partsInlineBytesMax = 512;

/**
 * What the work came to stands, also when the secrets that it made have no room: whoever needs one of them fails, and
 * `unkept` says why.
 */
function storeOutputs(
  turn: Turn,
  job: Job,
  result: AttemptResult,
): { readonly outputs: Readonly<Record<string, StoredValue>>; readonly unkept: string | null } {
  const outputs: Record<string, StoredValue> = {};
  for (const [name, declaration] of Object.entries(job.step.step.outputs)) {
    const value = result.outputs[name];
    if (value === undefined) continue;
    if (declaration.secret) outputs[name] = turn.conceal(`${attemptOf(job)}/output/${name}`, value);
    else if (declaration.type === 'file' && typeof value === 'string') outputs[name] = { file: value };
    else outputs[name] = turn.store(value, outputInlineBytesMax);
  }
  const fault = turn.faultOfSecrets();
  if (fault === undefined) return { outputs, unkept: null };
  turn.dropSecrets(0);
  const plain = Object.entries(outputs).filter(([, stored]) => !('secret' in stored));
  return { outputs: Object.fromEntries(plain), unkept: `its secret outputs were not kept: ${fault}` };
}

/** Attempts lost in a row to reboots or crashes, before an operator has to look. */
const interruptedAttemptsMax = 10;

/** What may happen after an attempt that was cut short is the step's rerun class, never elapsed time. */
function afterInterruption(turn: Turn, job: Job, outcome: 'interrupted' | 'not-started'): void {
  if (job.state !== 'held') return;
  const { step } = job.step;
  const names = namesOf(job);
  if (
    attemptInLineage(job.attempt) >=
    Math.min(limits.retryAttemptsMax, step.retry.attempts + interruptedAttemptsMax)
  ) {
    turn.emit({
      type: 'JobHeld',
      ...names,
      reason: `attempt ${job.attempt} was ${outcome}; no further one is made`,
    });
    return;
  }
  if (outcome === 'not-started') {
    turn.emit({ type: 'JobRequeued', ...names, mode: job.mode, reason: 'it was never started' });
    return;
  }
  const mode = job.run.checkOnly ? 'check-only' : 'normal';
  switch (step.rerun) {
    case 'idempotent':
      turn.emit({ type: 'JobRequeued', ...names, mode, reason: 'interrupted, and it may be repeated' });
      return;
    case 'verify-first':
      turn.emit({
        type: 'JobRequeued',
        ...names,
        mode: job.run.checkOnly ? 'check-only' : 'verify-first',
        reason: 'interrupted; its check decides',
      });
      return;
    case 'never-twice':
      turn.emit({
        type: 'JobHeld',
        ...names,
        reason: `interrupted, and it may not run twice (${job.reason ?? 'no reason given'})`,
      });
      return;
    default:
      assertNever(step.rerun);
  }
}

/**
 * Ends the live attempt of a node whose evidence is gone, and with it all that its grant allowed: the node may
 * have gone on to any of them by itself, and the name of an attempt must not stand for two executions.
 */
export function interruptJob(turn: Turn, job: Job, reason: string): void {
  const { grant } = job;
  const last = grant === null ? job.attempt : grant.attempt + grant.attemptsMax - 1;
  endUnreported(turn, job, last, 'interrupted', reason);
}

/** Ends an attempt that the node never heard of. */
export const giveBack = (turn: Turn, job: Job, reason: string): void =>
  endUnreported(turn, job, job.attempt, 'not-started', reason);

function endUnreported(
  turn: Turn,
  job: Job,
  attempt: number,
  outcome: 'interrupted' | 'not-started',
  reason: string,
): void {
  turn.emit({
    type: 'AttemptEnded',
    ...namesOf(job),
    attempt,
    outcome,
    final: true,
    unchanged: false,
    exitCode: null,
    signal: null,
    reason,
    iterations: 0,
    nodeStartedAt: null,
    nodeFinishedAt: null,
    durationMs: 0,
    outputs: {},
    logs: { stdout: 0, stderr: 0 },
  });
  afterInterruption(turn, job, outcome);
}
