/**
 * Takes secrets out of what a job printed before that is told to another one. Known are those that its node may have
 * had: secret params, secret outputs of the run, and what was composed of secrets for it. What a script makes of them
 * in another way than those looked for here is not found.
 */
import { LockstepError } from '../../shared/errors.ts';
import { attemptIdOf } from '../../shared/ids.ts';
import type { Lookup } from './commands.ts';
import type { StoredValue } from './event-values.ts';
import { idOf } from './job-names.ts';
import { effectiveParams } from './params.ts';
import type { Job, State } from './state.ts';

/** Shorter values stand in any text by chance. */
const secretLengthMin = 8;

export function withoutSecrets(text: string, state: State, job: Job, lookup: Lookup): string {
  if (text === '') return text;
  let told = text;
  for (const value of secretsOf(state, job, lookup))
    for (const form of formsOf(value)) told = told.replaceAll(form, '***');
  return told;
}

function* formsOf(value: string): Iterable<string> {
  yield value;
  yield encodeURIComponent(value.toWellFormed());
  // Without its last characters, which depend on what stands behind it.
  const bytes = new TextEncoder().encode(value);
  const whole = bytes.subarray(0, bytes.length - (bytes.length % 3));
  yield btoa(String.fromCharCode(...whole));
}

function* secretsOf(state: State, job: Job, lookup: Lookup): Iterable<string> {
  for (const reference of new Set(referencesOf(state, job))) {
    const value = secretIn(reference, lookup);
    if (value !== undefined && value.length >= secretLengthMin) yield value;
  }
}

function* referencesOf(state: State, job: Job): Iterable<string> {
  const { run, step, member, attempt } = job;
  for (const { value } of effectiveParams(state, run, member.node).values()) yield* referenceIn(value);
  for (const { jobs } of run.steps)
    for (const { outputs } of jobs.values())
      for (const value of Object.values(outputs ?? {})) yield* referenceIn(value);
  // A grant is good for several attempts; its values are called after the first one.
  const first = Math.max(1, attempt - step.step.retry.attempts + 1);
  for (const [name, { secret }] of Object.entries(step.step.with)) {
    if (!secret) continue;
    for (let granted = attempt; granted >= first; granted -= 1)
      yield `${attemptIdOf(idOf(job), granted)}/with/${name}`;
  }
}

function* referenceIn(value: StoredValue): Iterable<string> {
  if ('secret' in value) yield value.secret;
}

/** As text, which is how scripts have it; undefined when there is no such secret. */
function secretIn(reference: string, lookup: Lookup): string | undefined {
  try {
    const text = lookup.secret(reference);
    const value: unknown = JSON.parse(text);
    return typeof value === 'string' ? value : text;
  } catch (error) {
    if (error instanceof LockstepError && error.code === 'damaged') return undefined;
    throw error;
  }
}
