/** Tokens, labels, params, modules, and what operators say of nodes. */
import type { ErrorCode } from '../../shared/errors.ts';
import { identifierPattern } from '../../shared/ids.ts';
import { limits } from '../../shared/limits.ts';
import { utf8Length } from '../../shared/utf8.ts';
import type { Command } from './commands.ts';
import type { ParamScope } from './event-values.ts';
import type { Node } from './state.ts';
import type { Turn } from './turn.ts';
import { Rejection } from './turn.ts';

type CommandOf<T extends Command['type']> = Extract<Command, { type: T }>;

export function requireThat(condition: boolean, code: ErrorCode, message: string): asserts condition {
  if (!condition) throw new Rejection(code, message);
}

/** After the last secret of the decision was concealed. */
export function requireRoomForSecrets(turn: Turn, what: string): void {
  const fault = turn.faultOfSecrets();
  if (fault !== undefined) throw new Rejection('too-many', `cannot keep the secret ${what}: ${fault}`);
}

export function requireNode(turn: Turn, name: string): Node {
  const node = turn.state.nodes.get(name);
  requireThat(
    node !== undefined || !turn.state.expected.has(name),
    'conflict',
    `node ${name} is expected and has not joined yet: change its line and import the file again, or forget it with lockstep node rm ${name}`,
  );
  if (node === undefined) throw new Rejection('not-found', `no node is named ${name}: see lockstep nodes`);
  return node;
}

export function changeToken(turn: Turn, command: CommandOf<'CreateToken' | 'RevokeToken'>): void {
  if (command.type === 'CreateToken') {
    const { token, hash, kind, by, expiresAt } = command;
    turn.emit({ type: 'TokenCreated', token, secretHash: hash, kind, by, expiresAt });
    return;
  }
  const token = turn.state.tokens.get(command.token);
  requireThat(
    token !== undefined,
    'not-found',
    `no token has the id ${command.token}: see lockstep token list`,
  );
  if (!token.revoked) turn.emit({ type: 'TokenRevoked', token: command.token, by: command.by });
}

const labelKeyPattern = /^[A-Za-z0-9]([A-Za-z0-9._/-]{0,251}[A-Za-z0-9])?$/;
const labelValueLengthMax = 253;

/** Why a node cannot have this label. */
export function faultOfLabel(key: string, value: string): string | undefined {
  if (!labelKeyPattern.test(key))
    return `label key ${JSON.stringify(key)} is not letters, digits, dots, dashes, underscores or slashes`;
  return value.length > labelValueLengthMax
    ? `label ${key} is longer than ${labelValueLengthMax}`
    : undefined;
}

type Labels = Readonly<Record<string, string>>;

const withoutKeys = (labels: Labels, keys: readonly string[]): Labels =>
  Object.fromEntries(Object.entries(labels).filter(([key]) => !keys.includes(key)));

/** Why a node may not have these labels. What it has already it keeps, also where that was more than is allowed. */
export function faultOfLabelCount(known: Node | undefined, labels: Labels): string | undefined {
  const count = Object.keys(labels).length;
  const before = Object.keys(known?.labels ?? {}).length;
  if (count <= Math.max(limits.labelsPerNodeMax, before)) return undefined;
  return `it would have ${count} labels, those of its agent included, and labelsPerNodeMax is ${limits.labelsPerNodeMax}`;
}

export function labelNode(turn: Turn, command: CommandOf<'LabelNode'>): void {
  const node = requireNode(turn, command.node);
  for (const [key, value] of Object.entries(command.set)) {
    const fault = faultOfLabel(key, value);
    requireThat(fault === undefined, 'invalid', fault ?? '');
  }
  const kept = withoutKeys(node.operatorLabels, command.unset);
  const expected = turn.state.expected.get(node.name)?.labels;
  const labels = { ...node.agentLabels, ...expected, ...kept, ...command.set };
  const fault = faultOfLabelCount(node, labels);
  requireThat(fault === undefined, 'invalid', `cannot label ${node.name}: ${fault ?? ''}`);
  const changes = Object.entries(command.set).some(([key, value]) => node.operatorLabels[key] !== value);
  const unset = command.unset.filter((key) => key in node.operatorLabels);
  if (!changes && unset.length === 0) return;
  turn.emit({ type: 'NodeLabelled', node: node.name, set: command.set, unset, by: command.by });
}

export function administerNode(turn: Turn, command: CommandOf<'AdministerNode'>): void {
  const node = requireNode(turn, command.node);
  const { administration, by, reason } = command;
  const isTold = reason === '' || reason === node.administrationReason;
  if (node.administration === administration && isTold) return;
  turn.emit({ type: 'NodeAdministered', node: node.name, administration, by, reason });
}

/** Forgets a node and what was expected of it. */
export function removeNode(turn: Turn, command: CommandOf<'RemoveNode'>): void {
  const { by, reason } = command;
  if (!turn.state.nodes.has(command.node) && turn.state.expected.has(command.node)) {
    turn.emit({ type: 'NodeRemoved', node: command.node, by, reason });
    return;
  }
  const node = requireNode(turn, command.node);
  const run = node.queue[0] ?? node.deferredRuns[0];
  requireThat(
    run === undefined,
    'conflict',
    `node ${node.name} takes part in run ${run?.id ?? ''}: let it end or cancel it, then remove the node; or say lockstep node retire ${node.name}, which holds what it has still to do`,
  );
  requireThat(
    node.contact !== 'connected',
    'conflict',
    `node ${node.name} is connected: stop its agent first, or it joins again`,
  );
  turn.emit({ type: 'NodeRemoved', node: node.name, by, reason });
}

const scopeName = (scope: ParamScope): string =>
  'node' in scope ? `node/${scope.node}` : `cluster/${scope.cluster}`;

export function changeParam(turn: Turn, command: CommandOf<'SetParam' | 'UnsetParam'>): void {
  const { scope, name, by } = command;
  if ('node' in scope) requireNode(turn, scope.node);
  if (command.type === 'UnsetParam') {
    const params =
      'node' in scope
        ? turn.state.nodes.get(scope.node)?.params
        : turn.state.clusterParams.get(scope.cluster);
    requireThat(params?.has(name) === true, 'not-found', `${scopeName(scope)} has no param ${name}`);
    turn.emit({ type: 'ParamUnset', scope, name, by });
    return;
  }
  requireThat(
    identifierPattern.test(name),
    'invalid',
    `${JSON.stringify(name)} is not a param name: letters, digits and underscores, not beginning with a digit`,
  );
  requireThat(
    utf8Length(JSON.stringify(command.value)) <= limits.jobInputsBytesMax,
    'too-large',
    `param ${name} is longer than ${limits.jobInputsBytesMax} bytes`,
  );
  const value = command.secret
    ? turn.conceal(`param/${scopeName(scope)}/${name}/${turn.state.seq + 1}`, command.value)
    : turn.store(command.value, limits.jobInputInlineBytesMax);
  requireRoomForSecrets(turn, `param ${name}`);
  turn.emit({ type: 'ParamSet', scope, name, value, by });
}

/** A version of a module means one content, for ever. */
export function pinModule(turn: Turn, command: CommandOf<'PinModule'>): void {
  const pinned = turn.state.modules.get(command.module);
  if (pinned === command.digest) return;
  requireThat(
    pinned === undefined,
    'conflict',
    `module ${command.module} is known with other content (${pinned ?? ''}): give the changed module a new version`,
  );
  turn.emit({ type: 'ModulePinned', module: command.module, digest: command.digest, by: command.by });
}

/** Nobody who is unavailable is made available by it: as long as there are more, no slot is given. */
export function setDisruptionBudget(turn: Turn, command: CommandOf<'SetDisruptionBudget'>): void {
  const { budgets } = turn.state;
  const { cluster, maxUnavailable, by } = command;
  const known = budgets.get(cluster)?.maxUnavailable ?? null;
  if (JSON.stringify(known) === JSON.stringify(maxUnavailable)) return;
  requireThat(
    maxUnavailable === null || budgets.has(cluster) || budgets.size < limits.budgetsMax,
    'too-many',
    `${budgets.size} clusters have a disruption budget; at most ${limits.budgetsMax} may`,
  );
  turn.emit({ type: 'DisruptionBudgetSet', cluster, maxUnavailable, by });
}
