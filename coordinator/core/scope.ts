/**
 * What an expression of a step sees: params, node, cluster, roles, steps, services, as they were when the
 * step was opened. Only the roots that an expression reads are built, and what is the same for all nodes of
 * a step is built once.
 */
import { present } from '../../shared/assert.ts';
import type { Scope } from '../../shared/expressions/evaluate.ts';
import { referencesInTemplate, referencesOf } from '../../shared/expressions/evaluate.ts';
import type { ScopeValue } from '../../shared/expressions/scope.ts';
import { toScopeParams, toScopeValue, toScopeValueOnce } from '../../shared/expressions/scope.ts';
import type { Lookup } from './commands.ts';
import { isOver } from './derive.ts';
import { failureBefore, outcomeBefore } from './ended.ts';
import { executorFor, targetsOf } from './executors.ts';
import { effectiveParams } from './params.ts';
import type { Job, Run, State, StepState } from './state.ts';
import { leaderKeyOf } from './state.ts';
import { plainValueOf } from './stored-values.ts';

type ScopeMap = ReadonlyMap<string, ScopeValue>;

/** Parts of a step's scope that do not depend on the node. Dies with the step. */
const sharedParts = new WeakMap<StepState, Map<string, ScopeValue>>();

function shared(step: StepState, key: string, build: () => ScopeValue): ScopeValue {
  const parts = sharedParts.get(step) ?? new Map<string, ScopeValue>();
  sharedParts.set(step, parts);
  const known = parts.get(key);
  if (known !== undefined) return known;
  const value = build();
  parts.set(key, value);
  return value;
}

function memberScope(run: Run, step: StepState, name: string, lookup: Lookup): ScopeMap {
  const { node } = present(run.members.get(name), `member ${name}`);
  const digest = step.facts?.get(name);
  const facts = digest === undefined ? undefined : lookup.facts(digest);
  const entries: [string, ScopeValue][] = [
    ['name', name],
    ['labels', toScopeValueOnce(node.labels)],
    ['facts', facts === undefined ? new Map() : toScopeValueOnce(facts)],
  ];
  if (node.address !== null) entries.push(['address', node.address]);
  return new Map(entries);
}

function rolesScope(run: Run, step: StepState, lookup: Lookup): ScopeMap {
  const nodes = new Map<string, ScopeValue>();
  const of = (name: string): ScopeValue => {
    const known = nodes.get(name);
    if (known !== undefined) return known;
    const value = memberScope(run, step, name, lookup);
    nodes.set(name, value);
    return value;
  };
  const roles = new Map<string, ScopeValue>();
  for (const role of run.roles.values()) {
    const entries: [string, ScopeValue][] = [['nodes', role.nodes.map(of)]];
    if (role.leader !== null) entries.push(['leader', of(role.leader)]);
    roles.set(role.name, new Map(entries));
  }
  return roles;
}

const outputsScope = (job: Job, lookup: Lookup): ScopeMap =>
  new Map(
    Object.entries(job.outputs ?? {}).map(([name, stored]) => [
      name,
      toScopeValue(plainValueOf(stored, lookup)),
    ]),
  );

/** Outputs of other steps: `steps.X.outputs` where one node ran it, `steps.X.nodes["n"].outputs` always. */
function stepScope(source: StepState, lookup: Lookup): ScopeMap {
  const nodes = new Map<string, ScopeValue>();
  for (const [name, job] of source.jobs) nodes.set(name, new Map([['outputs', outputsScope(job, lookup)]]));
  const entries: [string, ScopeValue][] = [['nodes', nodes]];
  const [only] = source.jobs.values();
  if (only !== undefined && source.jobs.size === 1) entries.push(['outputs', outputsScope(only, lookup)]);
  return new Map(entries);
}

function stepsScope(run: Run, reader: StepState, names: ReadonlySet<string>, lookup: Lookup): ScopeMap {
  const steps = new Map<string, ScopeValue>();
  for (const name of names) {
    const index = run.stepIndex.get(name);
    const source = index === undefined ? undefined : run.steps[index];
    if (source === undefined) continue;
    // While some node has still to finish there, what can be read grows: only a finished step is kept.
    const finished = [...source.jobs.values()].every(isOver);
    steps.set(
      name,
      finished ? shared(reader, `steps.${name}`, () => stepScope(source, lookup)) : stepScope(source, lookup),
    );
  }
  return steps;
}

function servicesScope(state: State, run: Run): ScopeMap {
  const services = new Map<string, ScopeValue>();
  const prefix = leaderKeyOf(run.cluster, '');
  for (const [key, endpoints] of state.services) {
    if (!key.startsWith(prefix)) continue;
    const list: ScopeValue[] = [...endpoints.values()].map(
      (endpoint) =>
        new Map<string, ScopeValue>([
          ['node', endpoint.node],
          ...(endpoint.address === null ? [] : [['address', endpoint.address] as const]),
          ...(endpoint.port === null ? [] : [['port', BigInt(endpoint.port)] as const]),
        ]),
    );
    services.set(key.slice(prefix.length), new Map([['endpoints', list]]));
  }
  return services;
}

/** What is not known is not there: nothing at all when nothing failed. */
function failureScope(state: State, job: Job, lookup: Lookup): ScopeMap {
  const failure = failureBefore(state, job, lookup);
  if (failure === undefined) return new Map();
  const { exit, ...told } = failure;
  return new Map<string, ScopeValue>([
    ...Object.entries(told),
    ...(exit === null ? [] : [['exit', BigInt(exit)] as const]),
  ]);
}

/** What a job's expressions read, by root; `steps` says which steps. */
export type Reads = { readonly roots: ReadonlySet<string>; readonly steps: ReadonlySet<string> };

const readsOfPaths = (paths: readonly (readonly string[])[]): Reads => ({
  roots: new Set(paths.map((path) => path[0] ?? '')),
  steps: new Set(paths.filter((path) => path[0] === 'steps').map((path) => path[1] ?? '')),
});

export const readsOfExpression = (text: string): Reads =>
  readsOfPaths(referencesOf(text).map((reference) => reference.path));

export const readsOfTemplate = (template: unknown): Reads =>
  readsOfPaths(referencesInTemplate(template).map((reference) => reference.path));

/** The scope for what `reads` names. Secrets are in clear: the caller conceals what it makes of them. */
export function scopeOf(state: State, job: Job, reads: Reads, lookup: Lookup): Scope {
  const { run, step } = job;
  const scope: Record<string, ScopeValue> = {};
  if (reads.roots.has('params')) {
    const values = Object.fromEntries(
      [...effectiveParams(state, run, job.member.node)].map(([name, layered]) => [
        name,
        plainValueOf(layered.value, lookup),
      ]),
    );
    scope.params = toScopeParams(values, run.pipeline.params);
  }
  const { node } = executorFor(job) ?? job.member;
  if (reads.roots.has('node')) scope.node = memberScope(run, step, node.name, lookup);
  if (reads.roots.has('target')) scope.target = memberScope(run, step, job.member.node.name, lookup);
  if (reads.roots.has('targets'))
    scope.targets = targetsOf(job).map((target) => memberScope(run, step, target.node.name, lookup));
  if (reads.roots.has('cluster')) scope.cluster = new Map([['name', run.cluster]]);
  if (reads.roots.has('outcome')) scope.outcome = outcomeBefore(job) ?? '';
  if (reads.roots.has('failure')) scope.failure = failureScope(state, job, lookup);
  if (reads.roots.has('roles')) scope.roles = shared(step, 'roles', () => rolesScope(run, step, lookup));
  if (reads.roots.has('steps')) scope.steps = stepsScope(run, step, reads.steps, lookup);
  if (reads.roots.has('services')) scope.services = servicesScope(state, run);
  return scope;
}
