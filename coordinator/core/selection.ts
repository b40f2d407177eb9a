/**
 * Which nodes are in a role, and who leads it. Every node that is left out is left out for a named reason,
 * so that "too few" can be explained.
 */
import { present } from '../../shared/assert.ts';
import {
  evaluatePreference,
  evaluateSelector,
  type Reference,
  referencesInTemplate,
  referencesOf,
} from '../../shared/expressions/evaluate.ts';
import type { Pipeline, RoleDeclaration, Step } from '../../shared/pipeline/model.ts';
import { awaitedByRole, inOrder } from './awaited.ts';
import type { Lookup } from './commands.ts';
import { compareNames } from './order.ts';
import type { Node, State } from './state.ts';
import { clusterOf, leaderKeyOf } from './state.ts';

export type RoleSelection = {
  readonly role: RoleDeclaration;
  /** In order of names; already cut to `count`. */
  readonly nodes: readonly string[];
  /** Why each other node of the cluster is not in it. */
  readonly others: readonly { readonly node: string; readonly because: string }[];
  /** How many it needs; 0 for an optional role. */
  readonly needed: number;
  readonly enough: boolean;
  /** Nodes that are expected and would be in it, or may be when their facts are known. */
  readonly awaited: readonly string[];
  readonly warnings: readonly string[];
};

export type Selection = {
  readonly roles: ReadonlyMap<string, RoleSelection>;
  /** An expression that could not be evaluated: the run cannot be planned. */
  readonly faults: readonly string[];
};

/** Reachable and in service first: they are taken when there are more than needed. */
const isUsable = (node: Node): boolean =>
  node.contact !== 'unreachable' && node.administration === 'in-service';

export function selectRoles(
  state: State,
  pipeline: Pipeline,
  cluster: string,
  limit: string | null,
  lookup: Lookup,
): Selection {
  const inCluster = [...state.nodes.values()]
    .filter((node) => clusterOf(node) === cluster)
    .sort((a, b) => compareNames(a.name, b.name));
  const roles = new Map<string, RoleSelection>();
  const faults: string[] = [];
  const awaitedIn = awaitedByRole(state, pipeline, cluster, limit);
  for (const role of inOrder(pipeline)) {
    const taken = new Map<string, string>();
    for (const name of role.except) for (const node of roles.get(name)?.nodes ?? []) taken.set(node, name);
    const missing = new Map<string, number>();
    const others: { node: string; because: string }[] = [];
    const matched: Node[] = [];
    for (const node of inCluster) {
      const because = whyNot(node, role, limit, taken, lookup, missing, faults);
      if (because === null) matched.push(node);
      else others.push({ node: node.name, because });
    }
    const leader = state.leaders.get(leaderKeyOf(cluster, role.name));
    const chosen = role.count === undefined ? matched : spreadOver(matched, role.count, role.spread, leader);
    const isChosen = new Set(chosen);
    for (const node of matched) {
      if (!isChosen.has(node))
        others.push({
          node: node.name,
          because:
            role.count === 1 ? `${role.name} has its node` : `${role.name} has its ${role.count} nodes`,
        });
    }
    const needed = role.optional ? 0 : (role.count ?? 1);
    const awaited = awaitedIn.get(role.name) ?? [];
    for (const node of awaited)
      if (!state.nodes.has(node)) others.push({ node, because: 'it is expected and has not joined yet' });
    roles.set(role.name, {
      role,
      nodes: chosen.map((node) => node.name).sort(compareNames),
      others,
      needed,
      enough: chosen.length >= needed,
      awaited,
      warnings: [...missing].map(
        ([path, count]) => `role ${role.name}: ${path} is missing on ${count} of ${inCluster.length} nodes`,
      ),
    });
  }
  return { roles, faults };
}

function whyNot(
  node: Node,
  role: RoleDeclaration,
  limit: string | null,
  taken: ReadonlyMap<string, string>,
  lookup: Lookup,
  missing: Map<string, number>,
  faults: string[],
): string | null {
  if (node.administration === 'retired' || node.administration === 'quarantined')
    return `it is ${node.administration}`;
  const facts = node.factsDigest === null ? undefined : lookup.facts(node.factsDigest);
  for (const [what, text] of [
    ['select', role.select],
    ['limit', limit],
  ] as const) {
    if (text === null) continue;
    const result = evaluateSelector(text, { name: node.name, labels: node.labels, facts: facts ?? {} });
    if (!result.ok) {
      const fault = `role ${role.name}: ${what}: ${result.reason}`;
      if (!faults.includes(fault)) faults.push(fault);
      return result.reason;
    }
    for (const path of result.missing) missing.set(path, (missing.get(path) ?? 0) + 1);
    if (result.value) continue;
    const [path] = result.missing;
    if (path !== undefined)
      return facts === undefined && path.startsWith('facts')
        ? 'its facts are not known yet'
        : `it has no ${path}`;
    return what === 'select' ? 'select is false' : 'it is outside --limit';
  }
  const other = taken.get(node.name);
  return other === undefined ? null : `it is in role ${other}`;
}

/** `count` nodes: the kept leader first, then usable ones, taking from each value of the label in turn. */
function spreadOver(
  matched: readonly Node[],
  count: number,
  label: string | undefined,
  leader: string | undefined,
): readonly Node[] {
  const preferred = (node: Node): number => (node.name === leader ? 0 : isUsable(node) ? 1 : 2);
  const ordered = [...matched].sort((a, b) => preferred(a) - preferred(b) || compareNames(a.name, b.name));
  if (label === undefined) return ordered.slice(0, count);
  const chosen: Node[] = [];
  const perValue = new Map<string, number>();
  const left = new Set(ordered);
  while (chosen.length < count && left.size > 0) {
    let best: Node | undefined;
    for (const node of left) {
      if (best === undefined || rankOf(node) < rankOf(best)) best = node;
    }
    const node = present(best, 'a node that is left');
    left.delete(node);
    chosen.push(node);
    const value = node.labels[label] ?? '';
    perValue.set(value, (perValue.get(value) ?? 0) + 1);
  }
  return chosen;

  /** How crowded the node's value already is; unusable nodes come after all others. */
  function rankOf(node: Node): number {
    return (isUsable(node) ? 0 : count + 1) + (perValue.get(node.labels[label ?? ''] ?? '') ?? 0);
  }
}

/** Whether anything in the pipeline asks for the leader of a role. */
export function usesLeader(pipeline: Pipeline, role: string): boolean {
  const steps = pipeline.units.flatMap((unit) => unit.steps);
  const targets = [
    ...[...pipeline.units, ...steps].flatMap(({ on }) => on),
    ...steps.flatMap(({ runOn }) => runOn ?? []),
  ];
  if (targets.some((target) => target.role === role && target.who !== 'all')) return true;
  return steps.some((step) =>
    referencesOfStep(step).some(
      ({ path }) => path[0] === 'roles' && path[1] === role && path[2] === 'leader',
    ),
  );
}

/** What its condition and its values read; what only its scripts see is not known. */
export function referencesOfStep(step: Step): readonly Reference[] {
  const conditions = [step.if, ...step.tasks.map((task) => task.if)].filter((text) => text !== undefined);
  const values = [...Object.values(step.with), step.provides?.port, step.provides?.address];
  return [
    ...conditions.flatMap(referencesOf),
    ...values.flatMap((value) => referencesInTemplate(value?.template ?? null)),
  ];
}

export type Leader =
  | { readonly kind: 'kept'; readonly node: string }
  | { readonly kind: 'elected'; readonly node: string; readonly reason: string }
  | { readonly kind: 'gone'; readonly node: string; readonly reason: string };

/** The kept leader, or the first election of one; a leader is never replaced by itself. */
export function leaderFor(
  state: State,
  cluster: string,
  selection: RoleSelection,
  lookup: Lookup,
): Leader | undefined {
  const { role, nodes } = selection;
  const kept = state.leaders.get(leaderKeyOf(cluster, role.name));
  if (kept !== undefined) {
    if (nodes.includes(kept)) return { kind: 'kept', node: kept };
    const because =
      selection.others.find((other) => other.node === kept)?.because ?? 'it is not known any more';
    return { kind: 'gone', node: kept, reason: because };
  }
  const first = firstToLead(state, selection, lookup);
  if (first === undefined) return undefined;
  const reason = role.prefer === undefined ? 'first by name' : `first by ${role.prefer}`;
  return { kind: 'elected', node: first, reason };
}

/** Who would be elected if nobody had been; undefined for a role without nodes. */
export function firstToLead(
  state: State,
  { role, nodes }: RoleSelection,
  lookup: Lookup,
): string | undefined {
  const members = nodes.map((name) => present(state.nodes.get(name), `node ${name}`));
  const reachable = members.filter(isUsable);
  const candidates = reachable.length > 0 ? reachable : members;
  const keyed = candidates.map((node) => ({ node, key: preferenceOf(node, role, lookup) }));
  keyed.sort((a, b) => compareKeys(a.key, b.key) || compareNames(a.node.name, b.node.name));
  return keyed[0]?.node.name;
}

type Key = string | number | boolean | null;

function preferenceOf(node: Node, role: RoleDeclaration, lookup: Lookup): Key {
  if (role.prefer === undefined) return null;
  const facts = node.factsDigest === null ? undefined : lookup.facts(node.factsDigest);
  const result = evaluatePreference(role.prefer, {
    name: node.name,
    labels: node.labels,
    facts: facts ?? {},
  });
  return result.ok ? result.value : null;
}

/** Nodes without a key come last; `true` before `false`, so that a condition reads as a wish. */
function compareKeys(a: Key, b: Key): number {
  if (a === b) return 0;
  if (a === null) return 1;
  if (b === null) return -1;
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  if (typeof a === 'boolean' && typeof b === 'boolean') return a ? -1 : 1;
  return compareNames(String(a), String(b));
}
