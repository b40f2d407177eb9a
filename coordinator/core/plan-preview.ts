/**
 * What a run would do, without creating it: who is in which role, what waits for what, in which waves, and
 * the worst number of nodes down at once, in total and per failure domain.
 */

import type { Step } from '../../shared/pipeline/model.ts';
import { waveTargetsOf } from './amount.ts';
import { leftOutReason, unitsLeftOut } from './beginning.ts';
import { faultsOfBeginning } from './beginning-faults.ts';
import type { CreateRun, Lookup } from './commands.ts';
import { outlookInGroup, refusalInGroup } from './concurrency.ts';
import { faultsOfParams } from './create-run.ts';
import { describeBudget } from './disruption.ts';
import { type LineOf, layoutUnit, linesOf } from './layout.ts';
import { faultsOfSelection, isGathered } from './planning.ts';
import type { RoleState } from './run-parts.ts';
import { leaderFor, selectRoles, usesLeader } from './selection.ts';
import type { State, UnitState } from './state.ts';
import { describeWindow } from './windows.ts';

export type UnitPreview = {
  readonly id: string;
  readonly kind: 'step' | 'group';
  readonly title: string | null;
  readonly strategy: 'parallel' | 'rolling';
  readonly approve: string | null;
  readonly steps: readonly {
    readonly id: string;
    readonly nodes: readonly string[];
    readonly gates: readonly string[];
  }[];
  readonly waves: readonly (readonly string[])[];
  readonly downMax: number;
  readonly domains: readonly {
    readonly domain: string;
    readonly nodes: readonly string[];
    readonly downMax: number;
  }[];
};

export type PlanPreview = {
  readonly roles: readonly {
    readonly name: string;
    readonly nodes: readonly string[];
    readonly leader: string | null;
    readonly waits: boolean;
    /** Who of those that it would wait for is expected and has not joined. */
    readonly expected: readonly string[];
    readonly excluded: readonly { readonly node: string; readonly reason: string }[];
  }[];
  readonly units: readonly UnitPreview[];
  readonly downMax: number;
  /** Why the run would not be accepted; empty when it would. */
  readonly faults: readonly string[];
  readonly warnings: readonly string[];
};

export type PlanRequest = Pick<CreateRun, 'pipeline' | 'cluster' | 'limit' | 'params' | 'from'>;

export function previewPlan(state: State, request: PlanRequest, lookup: Lookup): PlanPreview {
  const { pipeline, cluster, limit } = request;
  const selection = selectRoles(state, pipeline, cluster, limit, lookup);
  const warnings: string[] = [];
  const roleStates = new Map<string, RoleState>();
  const roles = [...selection.roles.values()].map((role) => {
    const { name } = role.role;
    const leader = usesLeader(pipeline, name) ? leaderFor(state, cluster, role, lookup) : undefined;
    if (leader?.kind === 'gone') {
      warnings.push(
        `the leader of role ${name} is ${leader.node}, but ${leader.reason}: the run would be held`,
      );
    }
    const leads = leader === undefined || leader.kind === 'gone' ? null : leader.node;
    roleStates.set(name, { name, nodes: role.nodes, leader: leads });
    warnings.push(...role.warnings);
    return {
      name,
      nodes: role.nodes,
      leader: leads,
      waits: role.role.waitForMs !== undefined && !isGathered(role, state),
      expected: role.role.waitForMs === undefined ? [] : role.awaited,
      excluded: role.others.map(({ node, because }) => ({ node, reason: because })),
    };
  });
  const outlook = outlookInGroup(state, request);
  if (outlook !== undefined) warnings.push(outlook);
  const budget = describeBudget(state, cluster);
  if (budget !== undefined && pipeline.units.some(({ strategy }) => strategy.kind === 'rolling'))
    warnings.push(budget);
  const refusal = refusalInGroup(state, pipeline, cluster);
  const waits = roles.some((role) => role.waits);
  const labelsOf = (node: string): Readonly<Record<string, string>> => state.nodes.get(node)?.labels ?? {};
  const lineOf = linesOf(roleStates);
  const leftOut = unitsLeftOut(pipeline, request.from ?? null);
  const units = pipeline.units.map((unit, index) => {
    const laidOut = layoutUnit(unit, index, 0, lineOf, labelsOf);
    const preview = previewUnit(laidOut, lineOf, labelsOf, domainLabelOf(pipeline.units, laidOut));
    return index < leftOut ? withoutWork(preview, request.from ?? '') : preview;
  });
  return {
    roles,
    units,
    downMax: Math.max(0, ...units.map((unit) => unit.downMax)),
    faults: [
      ...faultsOfBeginning(state, request),
      ...(refusal === undefined ? [] : [refusal]),
      ...(waits ? selection.faults : faultsOfSelection(pipeline, selection, lookup.secretRoom())),
      ...faultsOfParams(state, request, lookup, selection),
    ],
    warnings,
  };
}

/** Nothing of it is done: it takes nobody down, and waits for nothing. */
const withoutWork = (unit: UnitPreview, from: string): UnitPreview => ({
  ...unit,
  approve: null,
  steps: unit.steps.map((step) => ({ ...step, gates: [`skipped (${leftOutReason(from)})`] })),
  waves: [],
  downMax: 0,
  domains: [],
});

/** The label by which to count: the unit's own, else the one that the pipeline uses elsewhere. */
function domainLabelOf(units: readonly UnitState['unit'][], laidOut: UnitState): string | undefined {
  const own = labelOf(laidOut.unit);
  return own ?? units.map(labelOf).find((label) => label !== undefined);
}

const labelOf = ({ strategy }: UnitState['unit']): string | undefined =>
  strategy.kind === 'rolling' ? strategy.by?.label : undefined;

function previewUnit(
  unit: UnitState,
  lineOf: LineOf,
  labelsOf: (node: string) => Readonly<Record<string, string>>,
  label: string | undefined,
): UnitPreview {
  const { strategy } = unit.unit;
  const targets = waveTargetsOf(strategy, unit.nodes.length);
  const waves = targets.map((target, index) => unit.nodes.slice(targets[index - 1] ?? 0, target));
  const byDomain = new Map<string, string[]>();
  if (label !== undefined) {
    for (const node of unit.nodes) {
      const domain = labelsOf(node)[label] ?? '(none)';
      const nodes = byDomain.get(domain);
      if (nodes === undefined) byDomain.set(domain, [node]);
      else nodes.push(node);
    }
  }
  const by = strategy.kind === 'rolling' ? strategy.by : undefined;
  const domains = [...byDomain].map(([value, nodes]) => ({
    domain: `${label ?? ''}=${value}`,
    nodes,
    downMax: Math.min(nodes.length, by?.perDomain ?? nodes.length, unit.limits.atOnce),
  }));
  return {
    id: unit.unit.id,
    kind: unit.unit.kind,
    title: unit.unit.title ?? null,
    strategy: strategy.kind,
    approve: unit.unit.approve ?? null,
    steps: unit.unit.steps.map((step) => ({
      id: step.id,
      nodes: lineOf(step.on).nodes,
      gates: gatesOf(step, unit),
    })),
    waves,
    downMax: Math.max(
      downMaxOf(
        unit,
        by?.domains,
        domains.map((domain) => domain.downMax),
      ),
      // What its tool does with them is for the tool to say.
      ...unit.unit.steps.map(({ scope }) =>
        scope === undefined ? 0 : lineOf([{ role: scope.role, who: 'all' }]).nodes.length,
      ),
    ),
    domains,
  };
}

/** The worst case: as many domains as may be open at once, the largest ones, within the total. */
function downMaxOf(unit: UnitState, domainsMax: number | undefined, perDomain: readonly number[]): number {
  const total = Math.min(unit.limits.atOnce, unit.nodes.length);
  if (domainsMax === undefined) return total;
  const largest = [...perDomain].sort((a, b) => b - a).slice(0, domainsMax);
  return Math.min(
    total,
    largest.reduce((sum, count) => sum + count, 0),
  );
}

function gatesOf(step: Step, laidOut: UnitState): readonly string[] {
  const { unit, limits } = laidOut;
  const gates: string[] = step.needs.map((need) =>
    need.sameNode ? `${need.step} on the same node` : `${need.step} on every node`,
  );
  if (unit.finally === true && step.needs.length === 0) gates.push('the end of the run, whatever it is');
  if (step.part === 'rescue') gates.push(`a failure of ${unit.id} on the same node`);
  if (step.part === 'always') gates.push(`the end of ${unit.id} on the same node, whatever it is`);
  if (unit.steps[0] === step) {
    if (unit.approve !== undefined) gates.push(`approval: ${unit.approve}`);
    if (unit.window !== undefined) gates.push(`its window ${describeWindow(laidOut)}`);
    if (unit.strategy.kind === 'rolling') gates.push(`a slot (${limits.atOnce} at once)`);
    else if (unit.strategy.maxParallel !== undefined) gates.push(`at most ${limits.atOnce} at once`);
  }
  if (step.runOn !== undefined)
    gates.push(
      `${step.runOn.role}${step.runOn.who === 'all' ? '' : `.${step.runOn.who}`}, which carries it out`,
    );
  if (step.scope !== undefined) gates.push(`every node of ${step.scope.role} free, as it is for all of them`);
  if (step.if !== undefined) gates.push(`if ${step.if}`);
  return gates;
}
