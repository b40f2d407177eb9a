/**
 * One attempt is a sequence of executions (check, run again and again, verify again and again). What comes
 * next follows from the job's specification and from the executions so far, and from nothing else: an agent
 * that was restarted reads the executions from disk and goes on where it was.
 */
import { assert, present } from '../../shared/assert.ts';
import { evaluateUntil } from '../../shared/expressions/evaluate.ts';
import type { AttemptResult, JobSpecification } from '../../shared/messages.ts';
import { missingOutputs, type OutputBytes, type OutputValue, parseOutputs } from './outputs.ts';
import type { PartBytes } from './parts.ts';

export type Phase = 'check' | 'run' | 'verify';

/** A main process ended by itself, with the status as shells give it: 128 + n after signal n. */
export type Execution = {
  /** Counts all executions of the attempt, from 1. */
  readonly number: number;
  readonly phase: Phase;
  readonly status: number;
  readonly output: OutputBytes;
  /** Absent when it told nothing of its parts. */
  readonly parts?: PartBytes;
};

export type Progress = {
  /** The number of the last execution that began. */
  readonly executions: number;
  readonly runs: number;
  readonly check: Execution | null;
  /** The last one. */
  readonly run: Execution | null;
  readonly verify: Execution | null;
  /** When the first `verify` began, by the monotonic clock. */
  readonly verifyingSinceMs: number | null;
  readonly lastEndedMs: number;
};

export const noProgress: Progress = {
  executions: 0,
  runs: 0,
  check: null,
  run: null,
  verify: null,
  verifyingSinceMs: null,
  lastEndedMs: 0,
};

/** `executions` are consecutive, so `startedMs` is that of the execution which just ended. */
export function progressAfter(
  progress: Progress,
  execution: Execution,
  startedMs: number,
  nowMs: number,
): Progress {
  assert(execution.number > progress.executions, 'executions are numbered in order');
  return {
    ...progress,
    executions: execution.number,
    runs: progress.runs + (execution.phase === 'run' ? 1 : 0),
    [execution.phase]: execution,
    verifyingSinceMs:
      execution.phase === 'verify' ? (progress.verifyingSinceMs ?? startedMs) : progress.verifyingSinceMs,
    lastEndedMs: nowMs,
  };
}

/** What the work came to. Outcomes that say nothing about the work are decided elsewhere. */
export type Verdict = Pick<AttemptResult, 'unchanged' | 'reason'> & {
  readonly outcome: 'succeeded' | 'failed';
  readonly last: Execution | null;
  readonly outputs: Readonly<Record<string, OutputValue>>;
  readonly files: Readonly<Record<string, string>>;
  /** The script asked for a reboot. */
  readonly reboot: boolean;
};

export type NextStep =
  | { readonly kind: 'execute'; readonly phase: Phase }
  | { readonly kind: 'wait'; readonly untilMs: number }
  | { readonly kind: 'end'; readonly verdict: Verdict };

/** What expressions on the node may use besides outputs. */
export type NodeValues = {
  readonly params: Readonly<Record<string, unknown>>;
  readonly node: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
};

export function nextStep(
  specification: JobSpecification,
  progress: Progress,
  values: NodeValues,
  nowMs: number,
): NextStep {
  return (
    afterCheck(specification, progress) ??
    afterRun(specification, progress, values, nowMs) ??
    afterVerify(specification, progress, nowMs)
  );
}

function afterCheck(specification: JobSpecification, { check, run, verify }: Progress): NextStep | undefined {
  const only = specification.mode === 'check-only';
  if (specification.check === undefined) {
    if (only) return success(null, { unchanged: false });
    // Without a check nobody can tell what an interrupted attempt did: running again is not ours to decide.
    if (specification.mode === 'verify-first')
      return failure(null, 'an interrupted attempt is to be checked first, but the step has no check');
    return undefined;
  }
  // Executions after the check prove that it said "not yet"; its own folder may be gone by then.
  if (run !== null || verify !== null) return undefined;
  if (check === null) return { kind: 'execute', phase: 'check' };
  if (check.status === 0) return unchanged(specification, check);
  if (check.status === 1) return only ? success(check, { unchanged: false }) : undefined;
  return failure(check, `check ${endOf(check.status)}; 0 means already done and 1 means not yet`);
}

/** A check may write outputs of what is already there; it need not. */
function unchanged(specification: JobSpecification, check: Execution): NextStep {
  const outputs = parseOutputs(check.output, specification.outputs);
  if (!outputs.ok) return failure(check, outputs.reason);
  return success(check, { unchanged: true, outputs: outputs.values, files: outputs.files });
}

function afterRun(
  specification: JobSpecification,
  progress: Progress,
  values: NodeValues,
  nowMs: number,
): NextStep | undefined {
  const { run, verify } = progress;
  if (specification.run === undefined || verify !== null) return undefined;
  if (run === null) return { kind: 'execute', phase: 'run' };
  const outputs = parseOutputs(run.output, specification.outputs);
  if (!outputs.ok) return failure(run, outputs.reason);
  const { until } = specification;
  if (until === undefined) {
    if (run.status !== 0) return failure(run, `run ${endOf(run.status)}`);
  } else {
    const again: NextStep = waitOr(progress.lastEndedMs + until.everyMs, nowMs, 'run');
    if (run.status !== 0) return again;
    const scope = { ...values, outputs: { ...outputs.values, ...outputs.files } };
    const met = evaluateUntil(until.expression, {
      ...scope,
      exitCode: run.status,
      iteration: progress.runs,
    });
    if (!met.ok) return failure(run, `cannot evaluate "until": ${met.reason}`);
    if (!met.value) return again;
  }
  const missing = missingOutputs(outputs, specification.outputs);
  if (missing.length > 0)
    return failure(
      run,
      `run ended without ${missing.slice(0, 10).join(', ')} in $LOCKSTEP_OUTPUT, declared under "outputs"`,
    );
  return undefined;
}

function afterVerify(specification: JobSpecification, progress: Progress, nowMs: number): NextStep {
  const { verify: last, run } = progress;
  const { verify } = specification;
  if (verify === undefined || last?.status === 0) return worked(specification, last ?? run, run);
  if (last === null) return { kind: 'execute', phase: 'verify' };
  const since = present(progress.verifyingSinceMs, 'when verify began');
  if (nowMs - since >= verify.timeoutMs)
    return failure(
      last,
      `verify did not pass within ${verify.timeoutMs / 1000} s; at last it ${endOf(last.status)}`,
    );
  return waitOr(progress.lastEndedMs + verify.everyMs, nowMs, 'verify');
}

/** Outputs are those of the last run; what a verify writes is not kept. */
function worked(specification: JobSpecification, last: Execution | null, run: Execution | null): NextStep {
  if (run === null) return success(last, { unchanged: false });
  const outputs = parseOutputs(run.output, specification.outputs);
  if (!outputs.ok) return failure(run, outputs.reason);
  const { values, files, reboot } = outputs;
  return success(last, { unchanged: false, outputs: values, files, reboot });
}

function waitOr(untilMs: number, nowMs: number, phase: Phase): NextStep {
  return nowMs >= untilMs ? { kind: 'execute', phase } : { kind: 'wait', untilMs };
}

function success(
  last: Execution | null,
  what: Pick<Verdict, 'unchanged'> & Partial<Pick<Verdict, 'outputs' | 'files' | 'reboot'>>,
): NextStep {
  const verdict = {
    outcome: 'succeeded',
    last,
    reason: null,
    outputs: {},
    files: {},
    reboot: false,
    ...what,
  } as const;
  return { kind: 'end', verdict };
}

function failure(last: Execution | null, reason: string): NextStep {
  const verdict = {
    outcome: 'failed',
    last,
    reason,
    unchanged: false,
    outputs: {},
    files: {},
    reboot: false,
  } as const;
  return { kind: 'end', verdict };
}

const signals = new Map([
  [1, 'SIGHUP'],
  [2, 'SIGINT'],
  [3, 'SIGQUIT'],
  [4, 'SIGILL'],
  [5, 'SIGTRAP'],
  [6, 'SIGABRT'],
  [7, 'SIGBUS'],
  [8, 'SIGFPE'],
  [9, 'SIGKILL'],
  [10, 'SIGUSR1'],
  [11, 'SIGSEGV'],
  [12, 'SIGUSR2'],
  [13, 'SIGPIPE'],
  [14, 'SIGALRM'],
  [15, 'SIGTERM'],
  [24, 'SIGXCPU'],
  [25, 'SIGXFSZ'],
  [31, 'SIGSYS'],
]);

/**
 * The signal that a shell's exit status stands for. A script that exits with 128 + n on purpose looks the
 * same to every shell, so the status is always reported beside it.
 */
export function signalOf(status: number): string | null {
  return signals.get(status - 128) ?? null;
}

export function endOf(status: number): string {
  const signal = signalOf(status);
  return signal === null ? `exited with ${status}` : `was ended by ${signal} (exit status ${status})`;
}
