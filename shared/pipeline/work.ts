/**
 * What a task does and what may happen to it: its scripts, outputs and policy, whether it stands in a step or in
 * a module, and the rules that hold for both.
 */
import { limits } from '../limits.ts';
import { formatDuration, parseDuration } from './duration.ts';
import type { OutputDeclaration, RerunClass, Step } from './model.ts';
import type { TaskFile } from './module-language.ts';
import type { Report } from './report.ts';
import { runnerNames } from './runner-language.ts';
import { compileRunner } from './runners/runner.ts';
import { type Bundles, type FileSet, readScripts, type Scripts } from './scripts.ts';
import type { Path } from './source.ts';
import type { RetryFile } from './strategy-language.ts';
import { isReservedName } from './words.ts';

/** Absent policy: not said here, so that the step, the module's task or the default decides. */
export type Work = {
  readonly scripts: Scripts;
  readonly outputs: Readonly<Record<string, OutputDeclaration>>;
  readonly policy: Policy;
};

export type Policy = {
  readonly leaves?: Step['leaves'];
  readonly rerun?: RerunClass;
  readonly retry?: Step['retry'];
  readonly timeoutMs?: number;
};

export type WorkFile = Omit<TaskFile, 'title' | 'description' | 'params'>;

/** `incomplete`: keys that were wrong are not in it, so that nothing is said of what is missing. */
export function readWork(
  file: WorkFile,
  path: Path,
  incomplete: boolean,
  beside: FileSet | undefined,
  bundles: Bundles,
  report: Report,
): Work {
  const outputs = readOutputs(file.outputs, [...path, 'outputs'], report);
  const compiled = compileRunner(file, outputs, path, beside, report);
  const scripts = readScripts(file, path, beside, bundles, report, compiled);
  const hasRunner = runnerNames.some((name) => file[name] !== undefined);
  if (!incomplete && !hasRunner && scripts.run === undefined && scripts.verify === undefined) {
    report.at(path, 'there is nothing to run', {
      expected: scripts.check === undefined ? 'run, verify or uses' : 'run or verify beside the check',
    });
  }
  if (scripts.check !== undefined && Object.values(outputs).some(({ optional }) => !optional)) {
    report.warnKey(
      [...path, 'outputs'],
      'the check must write these outputs too: when it says that all is done, nothing else runs',
      {
        expected: 'outputs written by both scripts, or optional: true',
      },
    );
  }
  return { scripts, outputs, policy: readPolicy(file, path, report) };
}

/** What a script writes among its outputs to ask for a reboot. */
const rebootRequest = 'reboot';

function readOutputs(
  file: WorkFile['outputs'],
  path: Path,
  report: Report,
): Readonly<Record<string, OutputDeclaration>> {
  const outputs: Record<string, OutputDeclaration> = {};
  for (const [name, output] of Object.entries(file ?? {})) {
    if (isReservedName(name) || name === rebootRequest) {
      report.atKey([...path, name], `"${name}" is reserved and cannot be the name of an output`);
      continue;
    }
    outputs[name] =
      typeof output === 'string'
        ? { type: output, secret: false, optional: false }
        : { type: output.type, secret: output.secret ?? false, optional: output.optional ?? false };
    if (outputs[name].secret && outputs[name].type === 'file') {
      report.at([...path, name], 'a file cannot be a secret output: files are kept by their content', {
        expected: 'a string',
      });
    }
  }
  return outputs;
}

type PolicyFile = Pick<WorkFile, 'leaves' | 'rerun' | 'retry' | 'timeout'>;

export function readPolicy(file: PolicyFile, path: Path, report: Report): Policy {
  return {
    ...(file.leaves === undefined ? {} : { leaves: file.leaves }),
    ...(file.rerun === undefined ? {} : { rerun: file.rerun }),
    ...(file.retry === undefined ? {} : { retry: retryOf(file.retry) }),
    ...(file.timeout === undefined
      ? {}
      : { timeoutMs: timeoutOf(file.timeout, [...path, 'timeout'], report) }),
  };
}

function retryOf(file: RetryFile): Step['retry'] {
  const { attempts, backoff } =
    typeof file === 'number' ? { attempts: file } : { backoff: undefined, ...file };
  return {
    attempts,
    backoffMs: backoff === undefined ? limits.retryBackoffDefaultMs : (parseDuration(backoff) ?? 0),
  };
}

/** A time that bounds something: not nothing, and not longer than any job may take. */
export function timeoutOf(text: string, path: Path, report: Report): number {
  const timeoutMs = parseDuration(text) ?? 0;
  if (timeoutMs < 1)
    report.at(path, 'with a timeout of 0 nothing could ever finish', { expected: 'a longer time' });
  if (timeoutMs > limits.jobTimeoutMaxMs)
    report.at(path, `${text} is longer than any job may take`, { expected: 'at most 7d' });
  return timeoutMs;
}

/** How long a node's work may wait for it. */
export function deferralOf(text: string, path: Path, report: Report): number {
  const deferMs = parseDuration(text) ?? 0;
  if (deferMs < 1) report.at(path, 'nothing can be deferred for no time', { expected: 'a longer time' });
  if (deferMs > limits.deferUntilMaxMs)
    report.at(path, `${text} is longer than any job may be deferred`, {
      expected: `at most ${formatDuration(limits.deferUntilMaxMs)}`,
    });
  return deferMs;
}

/** The class when none is stated. `until` alone means that the script is made to be run again. */
export function rerunOf(stated: RerunClass | undefined, hasCheck: boolean, hasUntil: boolean): RerunClass {
  return stated ?? (hasCheck ? 'verify-first' : hasUntil ? 'idempotent' : 'never-twice');
}

/** What running again needs, by the final class; `at` is where the key stands that asks for it. */
export function reportRerun(
  work: {
    readonly rerun: RerunClass;
    readonly attempts: number;
    readonly hasCheck: boolean;
    readonly hasUntil: boolean;
  },
  at: { readonly rerun: Path; readonly retry: Path; readonly until: Path },
  report: Report,
): void {
  const expected = 'rerun: idempotent, or a check';
  if (work.rerun === 'verify-first' && !work.hasCheck) {
    report.at(at.rerun, 'rerun: verify-first runs the check first, and there is none', {
      expected: 'a check, or rerun: idempotent',
    });
  }
  if (work.rerun !== 'never-twice') return;
  if (work.attempts > 1)
    report.at(at.retry, 'retry runs the script again, which nothing says that it bears', { expected });
  if (work.hasUntil)
    report.at(at.until, 'until runs the script again, which rerun: never-twice forbids', { expected });
}
