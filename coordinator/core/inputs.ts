/**
 * What a job is granted with: the task that fits the node, its inputs evaluated and frozen, and the job as
 * the wire carries it. Scripts are never templated; values reach them as environment and files.
 */
import { present } from '../../shared/assert.ts';
import { LockstepError } from '../../shared/errors.ts';
import { evaluateCondition, evaluateTemplate } from '../../shared/expressions/evaluate.ts';
import { attemptIdOf, jobIdOf } from '../../shared/ids.ts';
import { limits } from '../../shared/limits.ts';
import type { InputValue, Script } from '../../shared/messages.ts';
import type { ScriptText, Task, TemplateValue } from '../../shared/pipeline/model.ts';
import { utf8Length } from '../../shared/utf8.ts';
import type { GrantedJob, Lookup } from './commands.ts';
import { endedBefore, endVariables } from './ended.ts';
import type { StoredValue } from './event-values.ts';
import { bytesOfEnd, bytesOfGrant, faultOfSize } from './grant-size.ts';
import type { Grant } from './job-state.ts';
import { effectiveParams, faultOfParam } from './params.ts';
import { type Reads, readsOfExpression, readsOfTemplate, scopeOf } from './scope.ts';
import { handedOn } from './secret-need.ts';
import type { Job, Run, State, StepState } from './state.ts';
import { plainValueOf } from './stored-values.ts';
import type { Turn } from './turn.ts';

export type Prepared =
  | {
      readonly ok: true;
      readonly grant: Omit<Grant, 'attempt' | 'attemptsMax' | 'mode'>;
      /** How much of the grant's message the job takes at most. */
      readonly bytes: number;
    }
  | Refused;

/** Whether the step's `if` holds for this node. */
export function evaluateIf(
  state: State,
  job: Job,
  lookup: Lookup,
): { readonly ok: true; readonly value: boolean } | Refused {
  const condition = job.step.step.if;
  if (condition === undefined) return { ok: true, value: true };
  const result = orLost(() =>
    evaluateCondition(condition, scopeOf(state, job, readsOfExpression(condition), lookup)),
  );
  return result.ok ? result : { ok: false, reason: `if: ${result.reason}` };
}

type Refused = { readonly ok: false; readonly reason: string };

/** What the journal names and the disk has lost is the trouble of those who need it, not of everybody. */
function orLost<T>(work: () => T): T | Refused {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof LockstepError) || error.code !== 'damaged') throw error;
    return { ok: false, reason: `${error.message}: see lockstep doctor` };
  }
}

/** Chooses the task and evaluates every input, now and for good. */
export function prepareGrant(turn: Turn, job: Job, attempt: number): Prepared {
  const concealed = turn.secrets.length;
  const prepared = orLost(() => prepare(turn, job, attempt));
  if (!prepared.ok) turn.dropSecrets(concealed);
  return prepared;
}

function prepare(turn: Turn, job: Job, attempt: number): Prepared {
  const chosen = chooseTask(turn, job);
  if (!chosen.ok) return chosen;
  const { task, index } = chosen;
  const inputs = new Map<string, StoredValue>();
  const concealed = turn.secrets.length;
  const misfit = addParams(turn, job, task, inputs) ?? addWith(turn, job, task, attempt, inputs);
  const ended = endedBefore(turn, job);
  const bytes =
    bytesOfGrant(job.step, task, inputs, turn.secrets.slice(concealed), turn.lookup) + bytesOfEnd(ended);
  const fault = misfit ?? faultOfSize(bytes) ?? faultOfNewSecrets(turn, concealed);
  if (fault !== undefined) return { ok: false, reason: fault };
  const provided = prepareProvides(turn, job);
  if (!provided.ok) return provided;
  return {
    ok: true,
    bytes,
    grant: {
      task: index,
      inputs: Object.fromEntries(inputs),
      ...(provided.provides === undefined ? {} : { provides: provided.provides }),
      ...(ended === undefined ? {} : { ended }),
    },
  };
}

const faultOfNewSecrets = (turn: Turn, concealed: number): string | undefined =>
  turn.secrets.length === concealed ? undefined : turn.faultOfSecrets();

function chooseTask(turn: Turn, job: Job): { ok: true; task: Task; index: number } | Refused {
  for (const [index, task] of job.step.step.tasks.entries()) {
    if (task.if === undefined) return { ok: true, task, index };
    const result = evaluateCondition(
      task.if,
      scopeOf(turn.state, job, readsOfExpression(task.if), turn.lookup),
    );
    if (!result.ok) return { ok: false, reason: `uses ${index + 1}: if: ${result.reason}` };
    if (result.value) return { ok: true, task, index };
  }
  return { ok: false, reason: 'no alternative of uses fits this node' };
}

/** Params that reach the script by name: all that are not secret, or those that the module's task declares. */
function addParams(turn: Turn, job: Job, task: Task, inputs: Map<string, StoredValue>): string | undefined {
  const { pipeline } = job.run;
  const effective = effectiveParams(turn.state, job.run, job.member.node);
  const missing = Object.keys(pipeline.params).find((name) => !effective.has(name));
  if (missing !== undefined)
    return `param ${missing} has no value on ${job.member.node.name}: no profile that gives one matches it`;
  for (const [name, param] of effective) {
    const declaration = pipeline.params[name];
    if (declaration === undefined) continue;
    if ((param.from === 'node' || param.from === 'profile') && !('secret' in param.value)) {
      const fault = faultOfParam(name, declaration, plainValueOf(param.value, turn.lookup));
      const where = param.from === 'node' ? `node ${job.member.node.name}` : `profile ${param.profile}`;
      if (fault !== undefined) return `${fault} (set on ${where})`;
    }
    const wanted =
      task.params === undefined ? !declaration.secret && !('secret' in param.value) : name in task.params;
    if (wanted) inputs.set(name, param.value);
  }
  for (const [name, declaration] of Object.entries(task.params ?? {})) {
    if (inputs.has(name) || declaration.default === undefined) continue;
    inputs.set(name, turn.store(declaration.default, limits.jobInputInlineBytesMax));
  }
  return undefined;
}

/** Values that are the same for every node of a step, evaluated once. Dies with the step. */
const sameForAll = new WeakMap<StepState, Map<string, StoredValue>>();

function addWith(
  turn: Turn,
  job: Job,
  task: Task,
  attempt: number,
  inputs: Map<string, StoredValue>,
): string | undefined {
  for (const [name, template] of Object.entries(job.step.step.with)) {
    const stored = evaluateWith(turn, job, name, template, attempt);
    if (!stored.ok) return `with.${name}: ${stored.reason}`;
    const declaration = task.params?.[name];
    if (declaration !== undefined && stored.plain !== undefined) {
      const fault = faultOfParam(name, declaration, stored.plain);
      if (fault !== undefined) return fault;
    }
    inputs.set(name, stored.value);
  }
  for (const [name, declaration] of Object.entries(task.params ?? {})) {
    if (!inputs.has(name) && declaration.default === undefined) return `param ${name} has no value`;
  }
  return undefined;
}

function evaluateWith(
  turn: Turn,
  job: Job,
  name: string,
  { template, secret }: TemplateValue,
  attempt: number,
): { ok: true; value: StoredValue; plain?: unknown } | Refused {
  const reads = readsOfTemplate(template);
  const perNode =
    secret ||
    reads.roots.has('node') ||
    reads.roots.has('target') ||
    reads.roots.has('targets') ||
    reads.roots.has('steps') ||
    job.step.step.part !== undefined ||
    job.member.node.params.size > 0 ||
    turn.state.profiles.size > 0;
  const known = perNode ? undefined : sameForAll.get(job.step)?.get(name);
  if (known !== undefined) return { ok: true, value: known };
  const kept = secret ? keptSecretOf(turn.state, job, template) : undefined;
  const result = evaluateTemplate(template, scopeOf(turn.state, job, reads, turn.lookup));
  // What is wrong with a secret may quote it.
  if (!result.ok)
    return {
      ok: false,
      reason: secret ? (unkeptIn(job.run, reads) ?? 'cannot be evaluated') : result.reason,
    };
  if (utf8Length(JSON.stringify(result.value)) > limits.jobInputsBytesMax) {
    return { ok: false, reason: `is longer than ${limits.jobInputsBytesMax} bytes` };
  }
  if (kept !== undefined) return { ok: true, value: kept, plain: result.value };
  if (secret) {
    const { run, step, member } = job;
    const reference = `${attemptIdOf(jobIdOf(run.id, step.step.id, member.node.name), attempt)}/with/${name}`;
    return { ok: true, value: turn.conceal(reference, result.value), plain: result.value };
  }
  const value = asFile(result.value) ?? turn.store(result.value, limits.jobInputInlineBytesMax);
  if (!perNode) {
    const values = sameForAll.get(job.step) ?? new Map<string, StoredValue>();
    sameForAll.set(job.step, values.set(name, value));
  }
  return { ok: true, value, plain: result.value };
}

/** A secret that is handed on as it is keeps its reference. */
function keptSecretOf(state: State, { run, member }: Job, template: unknown): StoredValue | undefined {
  const source = handedOn(template);
  if (source === undefined) return undefined;
  const { step, name } = source;
  const stored =
    step === undefined
      ? effectiveParams(state, run, member.node).get(name)?.value
      : onlyJobOf(run.steps[run.stepIndex.get(step) ?? -1])?.outputs?.[name];
  return stored !== undefined && 'secret' in stored ? stored : undefined;
}

/** Why a secret output that is read is not there although its job succeeded. */
function unkeptIn(run: Run, reads: Reads): string | undefined {
  for (const name of reads.steps) {
    const step = run.steps[run.stepIndex.get(name) ?? -1];
    for (const [output, { secret }] of Object.entries(step?.step.outputs ?? {})) {
      if (!secret) continue;
      for (const { state, outputs, reason, member } of step?.jobs.values() ?? [])
        if (state === 'succeeded' && reason !== null && outputs?.[output] === undefined)
          return `${name} on ${member.node.name}: ${reason}`;
    }
  }
  return undefined;
}

function onlyJobOf(step: StepState | undefined): Job | undefined {
  const [only, ...others] = step?.jobs.values() ?? [];
  return others.length === 0 ? only : undefined;
}

/** An output of type `file` passes through expressions as `{file: digest}` and stays a file. */
function asFile(value: unknown): StoredValue | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const keys = Object.keys(value);
  return keys.length === 1 &&
    'file' in value &&
    typeof value.file === 'string' &&
    value.file.startsWith('sha256:')
    ? { file: value.file }
    : undefined;
}

function prepareProvides(turn: Turn, job: Job): { ok: true; provides: Grant['provides'] } | Refused {
  const { provides } = job.step.step;
  if (provides === undefined) return { ok: true, provides: undefined };
  const port = provides.port === undefined ? undefined : evaluateProvides(turn, job, provides.port);
  const address = provides.address === undefined ? undefined : evaluateProvides(turn, job, provides.address);
  for (const value of [port, address]) {
    if (value !== undefined && !value.ok) return { ok: false, reason: `provides: ${value.reason}` };
  }
  const portValue = port?.ok === true ? port.value : null;
  const addressValue = address?.ok === true ? address.value : job.member.node.address;
  if (portValue !== null && (typeof portValue !== 'number' || !(portValue >= 1 && portValue <= 65_535))) {
    return { ok: false, reason: 'provides: port must be a number from 1 to 65535' };
  }
  if (addressValue !== null && typeof addressValue !== 'string') {
    return { ok: false, reason: 'provides: address must be text' };
  }
  return { ok: true, provides: { service: provides.service, port: portValue, address: addressValue } };
}

const evaluateProvides = (
  turn: Turn,
  job: Job,
  { template }: TemplateValue,
): ReturnType<typeof evaluateTemplate> =>
  evaluateTemplate(template, scopeOf(turn.state, job, readsOfTemplate(template), turn.lookup));

function scriptOf(script: ScriptText, lookup: Lookup): Script {
  const shell = [...script.shell];
  return script.text.length <= limits.scriptInlineLengthMax
    ? { shell, source: { text: script.text } }
    : { shell, source: { digest: lookup.digestOf(script.text) } };
}

function inputOf(stored: StoredValue, name: string): InputValue | { readonly secret: string } {
  if ('value' in stored) return { value: stored.value as never };
  if ('blob' in stored) return { blob: stored.blob };
  if ('file' in stored) return { file: stored.file, name };
  return { secret: stored.secret };
}

/** The granted job for the wire, made from the plan and the grant alone, so that it is the same when sent again. */
export function grantedJobOf(job: Job, lookup: Lookup): GrantedJob {
  const { run, member, attempt } = job;
  const grant = present(job.grant, 'grant');
  const { step } = job.step;
  const task = present(step.tasks[grant.task], 'task');
  const check = task.check ?? (grant.mode === 'check-only' ? task.preview : undefined);
  const inputs = Object.fromEntries(
    Object.entries(grant.inputs).map(([name, stored]) => [name, inputOf(stored, name)]),
  );
  return {
    attempt: attemptIdOf(jobIdOf(run.id, step.id, member.node.name), attempt),
    // Of the attempts that were granted, those that have not ended yet.
    attemptsMax: grant.attempt + grant.attemptsMax - attempt,
    backoffMs: step.retry.backoffMs,
    mode: grant.mode,
    ...(check === undefined ? {} : { check: scriptOf(check, lookup) }),
    ...(task.run === undefined ? {} : { run: scriptOf(task.run, lookup) }),
    ...(task.verify === undefined
      ? {}
      : {
          verify: {
            script: scriptOf(task.verify.script, lookup),
            everyMs: task.verify.everyMs,
            timeoutMs: task.verify.timeoutMs,
          },
        }),
    ...(step.until === undefined ? {} : { until: step.until }),
    timeoutMs: step.timeoutMs,
    leaves: step.leaves,
    ...(step.reboot === undefined ? {} : { reboot: step.reboot }),
    inputs,
    secretInputs: Object.entries(grant.inputs)
      .filter(([, stored]) => 'secret' in stored)
      .map(([name]) => name),
    outputs: step.outputs,
    ...(task.runner === undefined ? {} : { runner: task.runner }),
    ...(task.bundle === undefined ? {} : { bundle: task.bundle }),
    environment: {
      LOCKSTEP_RUN: run.id,
      LOCKSTEP_PIPELINE: run.pipeline.name,
      LOCKSTEP_CLUSTER: run.cluster,
      LOCKSTEP_STEP: step.id,
      ...targetVariables(job),
      ...endVariables(job, lookup),
    },
  };
}

/** Of the node that the job is done for by another one, or of all that it is for. */
function targetVariables({ member: { node }, step, grant }: Job): Readonly<Record<string, string>> {
  if (grant?.targets !== undefined) return { LOCKSTEP_TARGETS: grant.targets.join(' ') };
  if (step.step.runOn === undefined) return {};
  return {
    LOCKSTEP_TARGET: node.name,
    ...(node.address === null ? {} : { LOCKSTEP_TARGET_ADDRESS: node.address }),
  };
}

/** Which secret of a granted job is not there any more, or undefined. */
export function lostValueOf({ grant }: Job, lookup: Lookup): string | undefined {
  const found = orLost(() => {
    for (const stored of Object.values(grant?.inputs ?? {}))
      if ('secret' in stored) lookup.secret(stored.secret);
    return { ok: true } as const;
  });
  return found.ok ? undefined : found.reason;
}

/** Texts of scripts that are too long for a grant: agents fetch them by digest. */
export function* longScriptsOf(tasks: Iterable<Task>): Iterable<string> {
  for (const task of tasks) {
    for (const script of [task.check, task.preview, task.run, task.verify?.script]) {
      if (script !== undefined && script.text.length > limits.scriptInlineLengthMax) yield script.text;
    }
  }
}
