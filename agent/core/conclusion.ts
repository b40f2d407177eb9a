/**
 * From the end of an attempt to its result: what is said of ends that are not the work's own, whether
 * another attempt of the grant follows, and what becomes of the jobs that came with it.
 */
import { assertNever } from '../../shared/assert.ts';
import { limits } from '../../shared/limits.ts';
import type { AttemptResult, JobSpecification } from '../../shared/messages.ts';
import { type Job, retriesOf } from './ledger.ts';
import { type Execution, endOf, noProgress, type Progress, signalOf } from './next-step.ts';
import { faultOfParts, readParts, secretsOf } from './parts.ts';
import { wantReboot } from './reboot.ts';
import type { Ending, Input, Now, Stop } from './state.ts';
import { clip, type Turn, unexecuted } from './turn.ts';

/** `told`: the execution that tells of its parts. */
type Concluding = Ending & { readonly told: Execution | null };

/** What a verify tells is about what the run did. */
export const tellerOf = ({ run, check }: Progress): Execution | null => run ?? check;

function ending(outcome: Ending['outcome'], reason: string, progress: Progress): Concluding {
  const last = progress.verify ?? progress.run ?? progress.check;
  return {
    outcome,
    unchanged: false,
    reason,
    iterations: progress.runs,
    last,
    told: tellerOf(progress),
    outputs: {},
    files: {},
    reboot: false,
  };
}

export const failed = (reason: string, progress: Progress): Concluding => ending('failed', reason, progress);

export const mayNotReboot =
  'a reboot is wanted, and this agent may not reboot its host: it was started with --reboot-command none, or not as root';

export const neverStarted = (progress: Progress): Concluding =>
  ending('not-started', 'the agent was restarted before the script began; it never ran', progress);

export const lost = (progress: Progress): Concluding =>
  ending(
    'interrupted',
    'no exit status: its supervisor was killed, the host went short of memory, or the script removed its own folder; the rest was ended',
    progress,
  );

export function stopped(stop: Stop, { specification }: Job, progress: Progress): Concluding {
  switch (stop.kind) {
    case 'cancelled':
      return ending('cancelled', stop.reason, progress);
    case 'verify-timed-out':
      return failed(`verify did not pass within ${seconds(specification.verify?.timeoutMs ?? 0)}`, progress);
    case 'timed-out':
      return ending('timed-out', timeoutReason(specification, progress), progress);
    default:
      return assertNever(stop);
  }
}

function timeoutReason({ timeoutMs, until }: JobSpecification, { run, runs }: Progress): string {
  const within = `not done within ${seconds(timeoutMs)}`;
  if (until === undefined || run === null) return within;
  const last = run.status === 0 ? '' : `; the last one ${endOf(run.status)}`;
  return `${within}: "until" was not met in ${runs} iterations${last}`;
}

const seconds = (ms: number): string => `${ms / 1000} s`;

/** Has the lengths of logs and the files among the outputs taken stock of; the rest follows from them. */
export function collect(turn: Turn, { told, ...what }: Concluding): void {
  const { attempt } = turn.job;
  turn.become({ kind: 'collecting', attempt, ending: withParts(turn, what, told) });
  turn.emit({ kind: 'collect', attempt, files: what.files });
}

/** With what the script told of its parts; those that failed are why it did. */
function withParts(turn: Turn, what: Ending, told: Execution | null): Ending {
  if (told?.parts === undefined) return what;
  const { activity } = turn.state;
  const params = 'params' in activity ? activity.params : {};
  const parts = readParts(told.parts, secretsOf(turn.job.specification, params));
  if (parts === undefined) return what;
  const fault = what.outcome === 'failed' && told.status !== 0 ? faultOfParts(parts) : undefined;
  const reason = fault === undefined ? what.reason : `${told.phase} ${endOf(told.status)}: ${fault}`;
  return { ...what, parts, reason };
}

export function onCollected(turn: Turn, input: Input & { readonly kind: 'collected' }): void {
  const { activity } = turn.state;
  if (activity.kind !== 'collecting' || activity.attempt !== input.attempt) return;
  const { job } = turn;
  const { files, logs } = input;
  const digests = files.ok ? files.digests : {};
  const end = endingOf(turn, activity.ending, files.ok ? null : files.reason);
  const retry = mayRetry(end.outcome, job);
  const reboots = end.outcome === 'succeeded' && rebootAfter(job, end);
  const result = {
    ...resultOf(turn, end),
    final: !retry,
    logs,
    ...(reboots ? { reboot: { boot: turn.state.host.boot } } : {}),
  };
  turn.become({ kind: 'idle' });
  turn.conclude(
    job.lineage,
    { ...result, outputs: files.ok ? { ...end.outputs, ...digests } : {} },
    {
      files: [...new Set(Object.values(digests))],
      secret: Object.values(job.specification.outputs).some((output) => output.secret),
      retryAtMs: retry ? turn.now.monotonicMs + backoffOf(job) : null,
    },
  );
  if (reboots) wantReboot(turn, job.attempt);
  if (!retry && end.outcome !== 'succeeded') endSegment(turn, job, turn.state.ledger.jobs);
}

/** `problem`: with the files of its outputs. What asks for a reboot that cannot be has not succeeded. */
function endingOf(turn: Turn, ending: Ending, problem: string | null): Ending {
  if (problem !== null) return { ...ending, outcome: 'failed', reason: problem };
  if (ending.outcome !== 'succeeded' || !ending.reboot || turn.state.host.mayReboot) return ending;
  return { ...ending, outcome: 'failed', reason: mayNotReboot };
}

/** Not where a check said that all was done before: then nothing was changed that a reboot would be for. */
const rebootAfter = ({ specification }: Job, { reboot, unchanged }: Ending): boolean =>
  reboot || (specification.reboot !== undefined && specification.mode !== 'check-only' && !unchanged);

function resultOf(
  { job, now, state: { host } }: Turn,
  { last, ...end }: Ending,
): Omit<AttemptResult, 'final' | 'logs' | 'outputs'> {
  return {
    attempt: job.attempt,
    outcome: end.outcome,
    unchanged: end.unchanged,
    exitCode: last?.status ?? null,
    signal: last === null ? null : signalOf(last.status),
    reason: end.reason === null ? null : clip(end.reason),
    phase: last?.phase ?? 'none',
    iterations: end.iterations,
    ...(end.parts === undefined ? {} : { parts: end.parts }),
    startedAt: job.begun?.wallMs ?? null,
    finishedAt: now.wallMs,
    durationMs: durationOf(job, host.boot, now),
  };
}

/** Unknown, and said to be nothing, when it began under the clock of another boot. */
function durationOf(job: Job, boot: string, now: Now): number {
  if (job.begun === null || job.boot !== boot) return 0;
  return Math.max(0, Math.round(now.monotonicMs - job.begun.monotonicMs));
}

/** `retry` answers reported failures; an interruption or a cancel is somebody else's decision. */
function mayRetry(outcome: Ending['outcome'], job: Job): boolean {
  const failure = outcome === 'failed' || outcome === 'timed-out';
  return failure && retriesOf(job) + 1 < job.specification.attemptsMax;
}

function backoffOf(job: Job): number {
  return Math.min(job.specification.backoffMs * 2 ** retriesOf(job), limits.retryBackoffMaxMs);
}

/** The jobs of one grant stand for the same node's consecutive steps: none may run after one that failed. */
export function endSegment(turn: Turn, after: Job, later: readonly Job[]): void {
  for (const job of later) {
    if (job.segment !== after.segment || job.lineage !== after.lineage) continue;
    const reason = `${after.attempt}, which comes before it on this node, did not succeed`;
    turn.conclude(job.lineage, unexecuted(job.attempt, 'not-started', reason, turn.now));
  }
}

/**
 * What is left of earlier times when the agent starts on another boot instance than it accepted jobs on.
 * Claims and exit statuses are not fsynced, so after a power cut the disk proves nothing about whether a script
 * ran or how it ended. Only the record of its beginning was: without it, nothing ran.
 */
export function endJobsOfOtherBoots(turn: Turn): void {
  const others = turn.state.ledger.jobs.filter((job) => job.boot !== turn.state.host.boot);
  for (const job of others) {
    if (job.begun !== null) collect(turn, rebooted);
    else {
      const reason = 'the node was rebooted before it began';
      turn.conclude(job.lineage, unexecuted(job.attempt, 'not-started', reason, turn.now));
    }
  }
}

/** What it printed is still reported, as far as the disk has it. */
const rebooted = ending('interrupted', 'the node was rebooted while it ran', noProgress);
