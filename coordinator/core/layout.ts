/**
 * Lays out a run: from a pipeline and the nodes of its roles to units, steps and jobs, all waiting. Pure
 * arithmetic over names; whether anything may start is decided elsewhere.
 */
import { present } from '../../shared/assert.ts';
import type { Pipeline, Target, Unit } from '../../shared/pipeline/model.ts';
import { unitLimitsOf, waveTargetsOf } from './amount.ts';
import { leftOutReason, unitsLeftOut } from './beginning.ts';
import { compareNames } from './order.ts';
import type { RoleState } from './run-parts.ts';
import type { Job, Member, Run, StepState, UnitState } from './state.ts';

/** The nodes that targets name, each once, in order of names, and the place of each. */
export type Line = { readonly nodes: readonly string[]; readonly rank: ReadonlyMap<string, number> };

export type LineOf = (targets: readonly Target[]) => Line;

/** Most steps of a long pipeline name the same targets: they share one line instead of sorting and keeping their own. */
export function linesOf(roles: ReadonlyMap<string, RoleState>): LineOf {
  const lines = new Map<string, Line>();
  return (targets) => {
    const key = targets.map(({ role, who }) => `${role}.${who}`).join(' ');
    const line = lines.get(key) ?? lineUp(nodesOfTargets(targets, roles).sort(compareNames));
    lines.set(key, line);
    return line;
  };
}

const lineUp = (nodes: readonly string[]): Line => ({
  nodes,
  rank: new Map(nodes.map((node, rank) => [node, rank])),
});

function nodesOfTargets(targets: readonly Target[], roles: ReadonlyMap<string, RoleState>): string[] {
  const nodes = new Set<string>();
  for (const target of targets) {
    const role = present(roles.get(target.role), `role ${target.role}`);
    if (target.who === 'leader') {
      if (role.leader !== null) nodes.add(role.leader);
      continue;
    }
    for (const node of role.nodes) if (target.who === 'all' || node !== role.leader) nodes.add(node);
  }
  return [...nodes];
}

const noDomain = '(none)';

export function layoutUnit(
  unit: Unit,
  index: number,
  firstStep: number,
  lineOf: LineOf,
  labelsOf: (node: string) => Readonly<Record<string, string>>,
): UnitState {
  const line = lineOf(unit.on);
  const label = unit.strategy.kind === 'rolling' ? unit.strategy.by?.label : undefined;
  const domains =
    label === undefined
      ? null
      : new Map(line.nodes.map((node) => [node, labelsOf(node)[label] ?? noDomain] as const));
  const { nodes, rank } = domains === null ? line : lineUp(byDomain(line.nodes, domains));
  const singleWave = waveTargetsOf(unit.strategy, nodes.length).length === 1;
  return {
    index,
    unit,
    firstStep,
    lastStep: firstStep + unit.steps.length - 1,
    approval: unit.approve === undefined ? { kind: 'none' } : { kind: 'needed', text: unit.approve },
    nodes,
    rank,
    domains,
    slots: new Map(),
    wave: singleWave ? 0 : -1,
    waveOf: new Map(singleWave ? nodes.map((node) => [node, 0]) : []),
    window: null,
    pauseUntil: 0,
    failed: new Set(),
    unknown: new Set(),
    unreachable: new Set(),
    overBudget: false,
    live: new Map(),
    jobsReady: 0,
    done: new Set(),
    waveUnfinished: singleWave ? nodes.length : 0,
    unavailable: new Set(),
    unavailableByDomain: new Map(),
    limits: unitLimitsOf(unit.strategy, nodes.length),
    waiting: { nodes: new Set(), all: [], byDomain: new Map() },
  };
}

const byDomain = (names: readonly string[], domains: ReadonlyMap<string, string>): readonly string[] =>
  [...names].sort(
    (a, b) => compareNames(domains.get(a) ?? noDomain, domains.get(b) ?? noDomain) || compareNames(a, b),
  );

/** For each step the steps that need it, by index. */
function dependentsOf(pipeline: Pipeline): readonly (readonly { step: number; sameNode: boolean }[])[] {
  const steps = pipeline.units.flatMap((unit) => unit.steps);
  const indexes = new Map(steps.map((step, index) => [step.id, index]));
  const dependents: { step: number; sameNode: boolean }[][] = steps.map(() => []);
  for (const [index, step] of steps.entries()) {
    for (const need of step.needs) {
      const needed = present(indexes.get(need.step), `needed step ${need.step}`);
      present(dependents[needed], 'dependents').push({ step: index, sameNode: need.sameNode });
    }
  }
  return dependents;
}

export function newJob(run: Run, step: StepState, member: Member, at: number): Job {
  return {
    run,
    step,
    member,
    executor: null,
    state: 'waiting',
    since: at,
    attempt: 0,
    endedAttempt: 0,
    grantedSeq: 0,
    logs: null,
    mode: run.checkOnly ? 'check-only' : 'normal',
    grant: null,
    deferred: null,
    deferredSince: null,
    missed: null,
    reboot: null,
    lostAs: null,
    startedAt: null,
    finishedAt: null,
    outcome: null,
    unchanged: false,
    exitCode: null,
    signal: null,
    reason: null,
    durationMs: null,
    outputs: null,
    disclosed: null,
    blockers: 0,
    admitted: false,
  };
}

/** Fills a planned run with its members, units, steps and jobs. Counters are set by `deriveRun`. */
export function layoutRun(run: Run, memberOf: (node: string) => Member, at: number): void {
  const dependents = dependentsOf(run.pipeline);
  const lineOf = linesOf(run.roles);
  for (const role of run.roles.values()) {
    for (const node of role.nodes) if (!run.members.has(node)) run.members.set(node, memberOf(node));
  }
  const labelsOf = (node: string): Readonly<Record<string, string>> =>
    present(run.members.get(node), `member ${node}`).node.labels;
  const leftOut = unitsLeftOut(run.pipeline, run.from);
  for (const [index, unit] of run.pipeline.units.entries()) {
    const unitState = layoutUnit(unit, index, run.steps.length, lineOf, labelsOf);
    run.units.push(unitState);
    for (const step of unit.steps) {
      const stepState: StepState = {
        index: run.steps.length,
        unit: unitState,
        step,
        jobs: new Map(),
        passedOn: new Map(),
        dependents: present(dependents[run.steps.length], 'dependents'),
        opened: false,
        facts: null,
        barriers: 0,
        jobsUnfinished: 0,
      };
      for (const node of lineOf(step.on).nodes) {
        const job = newJob(run, stepState, present(run.members.get(node), `member ${node}`), at);
        if (index < leftOut && run.from !== null)
          Object.assign(job, { state: 'skipped', reason: leftOutReason(run.from), finishedAt: at } as const);
        stepState.jobs.set(node, job);
      }
      run.stepIndex.set(step.id, stepState.index);
      run.steps.push(stepState);
    }
  }
}
