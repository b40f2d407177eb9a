/**
 * From a run that was created to one whose nodes are known: at once, or when the nodes it waits for have
 * come. Membership is frozen here, and so is everything that an approval is bound to.
 */

import { limits } from '../../shared/limits.ts';
import { formatDuration } from '../../shared/pipeline/duration.ts';
import type { Pipeline } from '../../shared/pipeline/model.ts';
import type { SecretRoom } from './commands.ts';
import { replaceOlder } from './concurrency.ts';
import type { RolePlan } from './event-values.ts';
import { faultsOfSecretNeed } from './secret-need.ts';
import type { RoleSelection, Selection } from './selection.ts';
import { firstToLead, type Leader, leaderFor, selectRoles, usesLeader } from './selection.ts';
import type { Run, State } from './state.ts';
import { clusterOf } from './state.ts';
import { bytesOfNames, type Turn } from './turn.ts';

/** What is wrong with a selection, in full sentences; empty when the run can be planned. */
export function faultsOfSelection(
  pipeline: Pipeline,
  selection: Selection,
  room: SecretRoom,
): readonly string[] {
  const faults = [...selection.faults];
  for (const role of selection.roles.values()) if (!role.enough) faults.push(explainShortage(role));
  return [...faults, ...faultsOfSize(pipeline, selection, room)];
}

/** The plan stands in one event, and whoever is in it is looked at again and again. */
export function faultsOfSize(pipeline: Pipeline, selection: Selection, room: SecretRoom): readonly string[] {
  const { roles } = selection;
  const faults: string[] = [];
  const nodes = new Set([...roles.values()].flatMap((role) => role.nodes));
  if (nodes.size > limits.runNodesMax) {
    faults.push(`the run would have ${nodes.size} nodes; at most ${limits.runNodesMax} are allowed`);
  }
  const places = [...roles.values()].reduce((sum, role) => sum + role.nodes.length, 0);
  if (places > limits.runPlacesMax) {
    faults.push(
      `the roles of the run would have ${places} places for ${nodes.size} nodes, who are in several; at most ` +
        `${limits.runPlacesMax} are allowed: merge roles, or split the run with --limit`,
    );
  }
  return [...faults, ...faultsOfSecretNeed(pipeline, selection, room)];
}

const listedMax = 10;

/** Who matched, and why the others did not: nodes with the same reason together. */
function explainShortage({ role, nodes, needed, others, awaited }: RoleSelection): string {
  if (role.waitForMs !== undefined && role.count === undefined && awaited.length > 0)
    return `role ${role.name} needs all that are expected, and ${someOf(awaited)} ${awaited.length === 1 ? 'has' : 'have'} not joined; ${nodes.length === 0 ? 'nobody else matched' : `${someOf(nodes)} matched`}`;
  const matched = nodes.length === 0 ? 'none matched' : `${nodes.length} matched (${someOf(nodes)})`;
  const byReason = new Map<string, string[]>();
  for (const { node, because } of others) {
    const names = byReason.get(because);
    if (names === undefined) byReason.set(because, [node]);
    else names.push(node);
  }
  const reasons = [...byReason].map(([because, names]) => `${someOf(names)} (${because})`);
  const why =
    others.length === 0
      ? `the cluster has no ${nodes.length === 0 ? 'node' : 'other node'}`
      : `not in it are ${reasons.join('; ')}`;
  return `role ${role.name} needs ${needed} ${needed === 1 ? 'node' : 'nodes'} and ${matched}; ${why}`;
}

function someOf(names: readonly string[]): string {
  const more = names.length - listedMax;
  return more > 0 ? `${names.slice(0, listedMax).join(', ')} and ${more} more` : names.join(', ');
}

/** Where only checks are executed nobody is elected: whoever would lead is looked at in the leader's place. */
function leaderOf({ state, lookup }: Turn, run: Run, role: RoleSelection): Leader | undefined {
  const leader = leaderFor(state, run.cluster, role, lookup);
  if (!run.checkOnly || leader === undefined || leader.kind === 'kept') return leader;
  const node = firstToLead(state, role, lookup);
  return node === undefined ? undefined : { kind: 'kept', node };
}

/** Plans the run with the selection; leaders are kept from run to run, or elected for the first time. */
export function planRun(turn: Turn, run: Run, selection: Selection): void {
  const roles: Record<string, RolePlan> = {};
  const gone: string[] = [];
  const elected: { role: string; node: string; reason: string }[] = [];
  for (const [name, role] of selection.roles) {
    const leader = usesLeader(run.pipeline, name) ? leaderOf(turn, run, role) : undefined;
    if (leader?.kind === 'gone') {
      gone.push(`the leader of role ${name} is ${leader.node}, but ${leader.reason}`);
    }
    if (leader?.kind === 'elected') elected.push({ role: name, node: leader.node, reason: leader.reason });
    roles[name] = {
      nodes: role.nodes,
      leader: leader === undefined || leader.kind === 'gone' ? null : leader.node,
    };
  }
  for (const { role, node, reason } of elected) {
    turn.emit({
      type: 'LeaderElected',
      run: run.id,
      cluster: run.cluster,
      role,
      node,
      by: 'coordinator',
      reason,
    });
  }
  const digest = turn.lookup.digestOf(
    JSON.stringify([run.pipeline, run.params, roles, ...(run.from === null ? [] : [run.from])]),
  );
  turn.emit({ type: 'RunPlanned', run: run.id, digest, roles });
  for (const role of Object.values(roles)) turn.bytes += bytesOfNames(role.nodes.length);
  replaceOlder(turn, run);
  if (gone.length > 0) {
    const reason = `${gone.join('; ')}. A leader is never replaced by itself: say lockstep resume ${run.id} --elect NODE`;
    turn.emit({ type: 'RunHeld', run: run.id, needs: 'decision', reason });
  }
}

const mayWait = (role: RoleSelection): boolean => role.role.waitForMs !== undefined;

/**
 * Only nodes that are here count when a run waits for nodes: it will want to use them. A role that says how many is
 * content with so many; one that does not waits for all that are expected.
 */
export const isGathered = (role: RoleSelection, state: State): boolean => {
  if (!mayWait(role)) return role.enough;
  const present = role.nodes.filter((name) => state.nodes.get(name)?.contact === 'connected');
  if (present.length < Math.max(1, role.needed)) return false;
  return role.role.count !== undefined || role.awaited.length === 0;
};

/** Whether the run may be created although nodes are missing, because every role that lacks some waits for them. */
export const canWait = (selection: Selection): boolean =>
  selection.faults.length === 0 &&
  [...selection.roles.values()].every((role) => role.enough || mayWait(role));

/** Looks whether runs that wait for nodes have them now. */
export function gatherRuns(turn: Turn): void {
  const { state } = turn;
  const changed = [...state.agenda.gathering];
  state.agenda.gathering.clear();
  for (const run of state.activeRuns.values()) {
    if (run.planned || run.end !== null || run.cancel !== null) continue;
    if (turn.bytes >= limits.turnBytesAim) {
      for (const name of changed) state.agenda.gathering.add(name);
      return;
    }
    const concerned = changed.some((name) => {
      const node = state.nodes.get(name);
      return node === undefined || clusterOf(node) === run.cluster;
    });
    if (concerned) tryToPlan(turn, run);
  }
}

function tryToPlan(turn: Turn, run: Run): void {
  const selection = selectRoles(turn.state, run.pipeline, run.cluster, run.limit, turn.lookup);
  const gathered = [...selection.roles.values()].every((role) => isGathered(role, turn.state));
  if (!gathered || selection.faults.length > 0) return;
  const tooLarge = faultsOfSize(run.pipeline, selection, turn.lookup.secretRoom());
  if (tooLarge.length === 0) planRun(turn, run, selection);
  else turn.emit({ type: 'RunEnded', run: run.id, state: 'failed', reason: tooLarge.join('; ') });
}

/** The time for which a role waits is over. */
export function giveUpGathering(turn: Turn, runId: string): void {
  const run = turn.state.runs.get(runId);
  if (run === undefined || run.planned || run.end !== null || run.hold?.restored !== undefined) return;
  const selection = selectRoles(turn.state, run.pipeline, run.cluster, run.limit, turn.lookup);
  const late = [...selection.roles.values()].filter((role) => {
    const waitForMs = role.role.waitForMs;
    return waitForMs !== undefined && run.createdAt + waitForMs <= turn.at && !isGathered(role, turn.state);
  });
  const reasons = late.map(
    (role) => `waited ${formatDuration(role.role.waitForMs ?? 0)}: ${explainShortage(role)}`,
  );
  const longestMs = Math.max(...[...selection.roles.values()].map((role) => role.role.waitForMs ?? 0));
  // All are here, and it could not be planned all the same.
  if (run.createdAt + longestMs <= turn.at) reasons.push(...selection.faults);
  if (reasons.length === 0) return;
  const reason = reasons.join('; ');
  turn.emit({ type: 'RunEnded', run: run.id, state: 'failed', reason });
}
