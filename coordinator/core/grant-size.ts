/**
 * How long the message with a job will be, secrets in clear: a job that fits in no message must fail for that
 * reason, because a grant that cannot be sent would wait for ever. Long values that are not secret, and long
 * scripts, travel by digest; everything else is in the message. An estimate that is never too low.
 */
import { limits } from '../../shared/limits.ts';
import type { Task } from '../../shared/pipeline/model.ts';
import { utf8Length } from '../../shared/utf8.ts';
import type { Lookup } from './commands.ts';
import type { Ended, StoredValue } from './event-values.ts';
import type { StepState } from './state.ts';

/** Ids, digests and numbers of the message, and whatever names them. */
const frameworkBytes = 2_048;
/** Quotes, braces and the longest word around one input: a digest. */
const aroundInputBytes = 128;

/** By step and task, without what is a node's own. Dies with the step. */
const fixedParts = new WeakMap<StepState, Map<Task, number>>();

function fixedBytes(step: StepState, task: Task): number {
  const parts = fixedParts.get(step) ?? new Map<Task, number>();
  fixedParts.set(step, parts);
  const known = parts.get(task);
  if (known !== undefined) return known;
  const { check, preview, run, verify } = task;
  const { until, outputs } = step.step;
  const scripts = [check ?? preview, run, verify?.script].map((script) => ({
    ...script,
    text: script === undefined || script.text.length > limits.scriptInlineLengthMax ? '' : script.text,
  }));
  const bytes = frameworkBytes + utf8Length(JSON.stringify([scripts, until, outputs]));
  parts.set(task, bytes);
  return bytes;
}

/** `fresh`: secrets that were made just now, which no lookup knows yet. */
export function bytesOfGrant(
  step: StepState,
  task: Task,
  inputs: ReadonlyMap<string, StoredValue>,
  fresh: readonly { readonly reference: string; readonly value: string }[],
  lookup: Lookup,
): number {
  const unstored = new Map(fresh.map(({ reference, value }) => [reference, value]));
  let bytes = fixedBytes(step, task);
  for (const [name, stored] of inputs) {
    bytes += 2 * name.length + aroundInputBytes;
    if ('value' in stored) bytes += utf8Length(JSON.stringify(stored.value));
    if ('secret' in stored) bytes += utf8Length(unstored.get(stored.secret) ?? lookup.secret(stored.secret));
  }
  return bytes;
}

/** The end of a log is stored apart, and stands in the message as text in which any byte may be escaped. */
export const bytesOfEnd = (ended: Ended | undefined): number =>
  ended?.failure === undefined ? 0 : utf8Length(JSON.stringify(ended)) + 6 * limits.failureLogTailBytes;

/** Why a job of this size cannot be sent to any node, or undefined. */
export const faultOfSize = (bytes: number): string | undefined =>
  bytes <= limits.messageBytesMax
    ? undefined
    : `its scripts and values have ${bytes} bytes, and a job is sent in one message of at most ` +
      `${limits.messageBytesMax}: secrets count in full, so give it fewer or shorter ones`;
