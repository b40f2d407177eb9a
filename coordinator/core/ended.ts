/**
 * What a job of `rescue`, `always` or `finally` is told of what ended before it: how, and what failed. It is put
 * together when the job is granted, and frozen with its other values.
 */

import { LockstepError } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import type { Lookup } from './commands.ts';
import { isAftermath } from './derive.ts';
import type { Ended, Failure } from './event-values.ts';
import { attemptOf } from './job-names.ts';
import { withoutSecrets } from './redaction.ts';
import type { RunEnd } from './run-parts.ts';
import type { Job, Run, State } from './state.ts';
import { plainValueOf } from './stored-values.ts';
import type { Turn } from './turn.ts';
import { endOf, failedIn } from './unit-end.ts';

/** What it comes after has this outcome; undefined for a job that comes after nothing that has ended. */
export function outcomeBefore({ run, step, member }: Job): Ended['outcome'] | undefined {
  if (run.outcome !== null) return run.outcome.state;
  return isAftermath(step) ? endOf(run, step.unit, member.node.name) : undefined;
}

/** The job that failed: the node's own in its unit, or the first one of the run, for its last steps. */
function failedBefore({ run, step, member }: Job): Job | undefined {
  return run.outcome === null ? failedIn(run, step.unit, member.node.name) : firstFailed(run, run.outcome);
}

/** Found once for each outcome: nothing of it changes any more. */
const firstFailures = new WeakMap<RunEnd, { readonly job: Job | undefined }>();

function firstFailed(run: Run, outcome: RunEnd): Job | undefined {
  const known = firstFailures.get(outcome);
  if (known !== undefined) return known.job;
  let job: Job | undefined;
  for (const step of run.steps) {
    if (step.unit.unit.finally === true || isAftermath(step)) continue;
    for (const other of step.jobs.values())
      if (other.state === 'failed' && (job === undefined || timeOf(other) < timeOf(job))) job = other;
  }
  firstFailures.set(outcome, { job });
  return job;
}

const timeOf = ({ finishedAt }: Job): number => finishedAt ?? 0;

export type ToldFailure = Omit<Failure, 'logTail'> & { readonly logTail: string };

/** What failed before the job, as its expressions see it. */
export function failureBefore(state: State, job: Job, lookup: Lookup): ToldFailure | undefined {
  const failed = failedBefore(job);
  if (failed === undefined) return undefined;
  const { step, member, exitCode, reason, attempt } = failed;
  const printed = attempt === 0 ? '' : lookup.logTail(attemptOf(failed), limits.failureLogTailBytes);
  return {
    node: member.node.name,
    step: step.step.id,
    exit: exitCode,
    reason: withoutSecrets(reason ?? '', state, failed, lookup),
    // What an environment cannot hold would keep the job from beginning.
    logTail: withoutSecrets(printed, state, failed, lookup).replaceAll('\0', ''),
  };
}

const inlineBytesMax = 512;

export function endedBefore(turn: Turn, job: Job): Ended | undefined {
  const outcome = outcomeBefore(job);
  if (outcome === undefined) return undefined;
  const failure = failureBefore(turn.state, job, turn.lookup);
  if (failure === undefined) return { outcome };
  return { outcome, failure: { ...failure, logTail: turn.store(failure.logTail, inlineBytesMax) } };
}

/** For the scripts of the job. What the run came to has its own reason. */
export function endVariables({ run, grant }: Job, lookup: Lookup): Readonly<Record<string, string>> {
  const { outcome, failure } = grant?.ended ?? {};
  const ended = run.outcome?.state ?? outcome;
  return {
    ...(ended === undefined ? {} : { LOCKSTEP_OUTCOME: ended }),
    ...(ended === undefined ? {} : { LOCKSTEP_REASON: run.outcome?.reason ?? failure?.reason ?? '' }),
    ...(failure === undefined ? {} : failureVariables(failure, lookup)),
  };
}

const failureVariables = (failure: Failure, lookup: Lookup): Readonly<Record<string, string>> => ({
  LOCKSTEP_FAILURE_NODE: failure.node,
  LOCKSTEP_FAILURE_STEP: failure.step,
  ...(failure.exit === null ? {} : { LOCKSTEP_FAILURE_EXIT: String(failure.exit) }),
  LOCKSTEP_FAILURE_REASON: failure.reason,
  LOCKSTEP_FAILURE_LOG_TAIL: tailOf(failure, lookup),
});

/** A job is done without it rather than not at all. */
function tailOf({ logTail }: Failure, lookup: Lookup): string {
  try {
    return String(plainValueOf(logTail, lookup));
  } catch (error) {
    if (error instanceof LockstepError && error.code === 'damaged') return '';
    throw error;
  }
}
