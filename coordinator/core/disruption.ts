/**
 * The disruption budget of a cluster: how many of its nodes may be unavailable at once, from whatever cause and in
 * whatever run. Who is unavailable is kept for each cluster one change at a time, so that no decision scans nodes.
 */
import type { Amount, Need } from '../../shared/pipeline/model.ts';
import { amountFloor } from './amount.ts';
import { isSettled } from './derive.ts';
import type { Gate } from './gate.ts';
import { list } from './gate.ts';
import { compareNames } from './order.ts';
import { hasDomainRoom } from './slots.ts';
import {
  clusterOf,
  type Job,
  type Node,
  type Run,
  type Standing,
  type State,
  type UnitState,
} from './state.ts';
import { hasBegun } from './unit-end.ts';

/** Runs in which the node has a slot. Those that have begun stand before those that only wait. */
function runsWithSlot({ name, queue, deferredRuns }: Node): readonly Run[] {
  const firstWaiting = queue.findIndex((run) => run.startedAt === null);
  const begun = firstWaiting < 0 ? queue : queue.slice(0, firstWaiting);
  return [...begun, ...deferredRuns].filter((run) => run.units.some(({ slots }) => slots.has(name)));
}

/** Why the node is unavailable, in the first words that apply; undefined when it is not. */
function unavailableBecause(node: Node): string | undefined {
  if (node.administration !== 'in-service')
    return node.administration === 'maintenance' ? 'in maintenance' : node.administration;
  if (node.contact === 'unreachable') return 'unreachable';
  const [run] = runsWithSlot(node);
  return run === undefined ? undefined : `with a slot in run ${run.id}`;
}

const newStanding = (): Standing => ({ nodes: new Set(), unavailable: new Set() });

/** To look at only: a cluster without nodes has no standing, so that who asks about one changes nothing. */
export const standingOf = (
  state: State,
  cluster: string,
): { readonly nodes: ReadonlySet<Node>; readonly unavailable: ReadonlySet<Node> } =>
  state.standings.get(cluster) ?? newStanding();

/** How many nodes may be unavailable; at least one for a percentage, as in a strategy. */
export const budgetInNodes = (maxUnavailable: Amount, nodes: number): number =>
  'count' in maxUnavailable ? maxUnavailable.count : Math.max(1, amountFloor(maxUnavailable, nodes));

export function hasRoom(state: State, cluster: string): boolean {
  const budget = state.budgets.get(cluster);
  if (budget === undefined) return true;
  const { nodes, unavailable } = standingOf(state, cluster);
  return unavailable.size < budgetInNodes(budget.maxUnavailable, nodes.size);
}

/** Whether the budget lets the node become unavailable, which it may be already. */
export function mayBecomeUnavailable(state: State, node: Node): boolean {
  const cluster = clusterOf(node);
  return hasRoom(state, cluster) || standingOf(state, cluster).unavailable.has(node);
}

/**
 * The first in line for a slot that counts as unavailable already, as with a slot elsewhere in its run: it may take one
 * more when the budget leaves none for those before it.
 */
export function countedInLine(state: State, run: Run, unit: UnitState): string | undefined {
  const rankOf = ({ name }: Node): number => unit.rank.get(name) ?? 0;
  return [...standingOf(state, run.cluster).unavailable]
    .filter(({ name }) => unit.waiting.nodes.has(name) && hasDomainRoom(unit, unit.domains?.get(name) ?? ''))
    .sort((a, b) => rankOf(a) - rankOf(b))[0]?.name;
}

/** Whether another run has slots in the cluster of this one, and is at work. */
export const isGivenBack = (state: State, run: Run): boolean =>
  [...standingOf(state, run.cluster).unavailable].some((node) =>
    runsWithSlot(node).some((other) => other !== run && other.hold === null && other.jobsLive > 0),
  );

/** After anything changed that a node's availability, or the cluster that it counts in, depends on. */
export function refreshStanding(state: State, node: Node): void {
  const cluster = clusterOf(node);
  const before = node.countsIn;
  const hadRoom = hasRoom(state, cluster);
  // A retired node is no part of the cluster any more.
  const after = node.administration === 'retired' || state.nodes.get(node.name) !== node ? null : cluster;
  if (before !== null && before !== after) leaveStanding(state, node, before);
  node.countsIn = after;
  if (after !== null) {
    const standing = state.standings.get(after) ?? newStanding();
    state.standings.set(after, standing);
    standing.nodes.add(node);
    if (unavailableBecause(node) === undefined) standing.unavailable.delete(node);
    else standing.unavailable.add(node);
  }
  if (!hadRoom && hasRoom(state, cluster)) wakeCluster(state, cluster);
}

function leaveStanding(state: State, node: Node, cluster: string): void {
  const hadRoom = hasRoom(state, cluster);
  const standing = state.standings.get(cluster);
  standing?.nodes.delete(node);
  standing?.unavailable.delete(node);
  if (standing?.nodes.size === 0) state.standings.delete(cluster);
  if (!hadRoom && hasRoom(state, cluster)) wakeCluster(state, cluster);
}

/** Whoever stands in line for a slot, or is held for want of one, is looked at again, in the order of runs. */
export function wakeCluster(state: State, cluster: string): void {
  for (const run of state.activeRuns.values()) {
    if (run.cluster !== cluster || run.startedAt === null) continue;
    state.agenda.runs.add(run);
    for (const unit of run.units) {
      if (unit.unit.strategy.kind === 'rolling' && unit.waiting.nodes.size > 0)
        state.agenda.units.set(unit, run);
    }
  }
}

/** From nothing, as after a snapshot was read. */
export function deriveStandings(state: State): void {
  state.standings.clear();
  for (const node of state.nodes.values()) {
    node.countsIn = null;
    refreshStanding(state, node);
  }
}

export type Cause = { readonly cause: string; readonly nodes: readonly string[] };

/** The unavailable nodes of a cluster by cause, the most frequent first. */
export function causesIn(state: State, cluster: string): readonly Cause[] {
  const byCause = new Map<string, string[]>();
  for (const node of state.standings.get(cluster)?.unavailable ?? []) {
    const cause = unavailableBecause(node) ?? '';
    byCause.set(cause, [...(byCause.get(cause) ?? []), node.name]);
  }
  return [...byCause]
    .map(([cause, nodes]) => ({ cause, nodes: nodes.sort(compareNames) }))
    .sort((a, b) => b.nodes.length - a.nodes.length || compareNames(a.cause, b.cause));
}

/** What is allowed and how much of it is used, by cause; undefined without a budget. */
export function describeBudget(state: State, cluster: string): string | undefined {
  const budget = state.budgets.get(cluster);
  if (budget === undefined) return undefined;
  const { nodes, unavailable } = standingOf(state, cluster);
  const { maxUnavailable } = budget;
  const max = budgetInNodes(maxUnavailable, nodes.size);
  const percent = 'percent' in maxUnavailable ? ` (${maxUnavailable.percent}%)` : '';
  const causes = causesIn(state, cluster).map(
    ({ cause, nodes: names }) => `${names.length} ${cause} (${list(names)})`,
  );
  const are = unavailable.size === 1 ? 'is' : 'are';
  const now = causes.length === 0 ? 'none is' : `${unavailable.size} ${are}: ${causes.join(', ')}`;
  return `the disruption budget of cluster ${cluster} allows ${max} of ${nodes.size} nodes${percent} to be unavailable, and ${now}`;
}

/**
 * A step of the unit that the node would have to wait for others with, while it holds its slot. Where slots are scarce
 * over all of a cluster, those others may need the very same slot.
 */
export function waitsElsewhere(run: Run, unit: UnitState, node: string): Need | undefined {
  // It is in the middle of it, and what is done after a failure must not wait for what comes no more.
  if (hasBegun(run, unit, node)) return undefined;
  for (let index = unit.firstStep; index <= unit.lastStep; index += 1) {
    const step = run.steps[index];
    const job = step?.jobs.get(node);
    if (step === undefined || job === undefined || isSettled(job)) continue;
    const open = step.step.needs.find((need) => {
      const needed = run.steps[run.stepIndex.get(need.step) ?? -1];
      if (needed === undefined || needed.unit === unit) return false;
      if (!need.sameNode) return needed.jobsUnfinished > 0;
      const own = needed.jobs.get(node);
      return own !== undefined && !isSettled(own);
    });
    if (open !== undefined) return open;
  }
  return undefined;
}

/** The gate in front of a slot for the node, when it is closed. */
export function disruptionGate(state: State, { run, step, member, since }: Job): Gate | undefined {
  const { node } = member;
  const need = state.budgets.has(clusterOf(node)) ? waitsElsewhere(run, step.unit, node.name) : undefined;
  if (need !== undefined) {
    const where = need.sameNode ? 'there' : 'everywhere';
    const sentence = `waits: the cluster ${clusterOf(node)} has a disruption budget, so that no node is taken out of service to wait, and ${step.unit.unit.id} also needs ${need.step} to be done ${where}`;
    return { gate: 'disruption', sentence, since };
  }
  if (mayBecomeUnavailable(state, node)) return undefined;
  const sentence = `waits: ${describeBudget(state, clusterOf(node)) ?? ''}`;
  return { gate: 'disruption', sentence, since };
}
