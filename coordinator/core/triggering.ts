/** When a trigger starts a run: what it waits for has happened, and the last time is long enough ago. */

import { nextTime } from '../../shared/cron.ts';
import type { LockstepError } from '../../shared/errors.ts';
import { checkExpression } from '../../shared/expressions/check.ts';
import { evaluateSelector } from '../../shared/expressions/evaluate.ts';
import { limits } from '../../shared/limits.ts';
import { selectPlace } from '../../shared/pipeline/places.ts';
import { createRun } from './create-run.ts';
import { clusterOf, type Node } from './state.ts';
import { plainValueOf } from './stored-values.ts';
import { actorOf, type Trigger, type TriggerState } from './triggers.ts';
import { Rejection, type Turn } from './turn.ts';

/** Why the CEL of a trigger says nothing about nodes, or undefined. */
export function faultsOfSelector(where: string): string | undefined {
  const { faults } = checkExpression(where, selectPlace('where'), 'bool');
  if (faults.length === 0) return undefined;
  const reasons = faults.map(({ message, start }) => `character ${start + 1}: ${message}`);
  return `${JSON.stringify(where)} cannot be used: ${reasons.join('; ')}`;
}

/** Whether the node is one that the trigger waits for. */
export function joinsNow(
  { lookup }: Turn,
  { on, cluster }: Pick<Trigger, 'on' | 'cluster'>,
  node: Node,
): boolean {
  if (on.kind !== 'join' || node.contact !== 'connected' || clusterOf(node) !== cluster) return false;
  if (node.administration !== 'in-service') return false;
  const { name, labels, factsDigest } = node;
  const facts = factsDigest === null ? undefined : lookup.facts(factsDigest);
  const result = evaluateSelector(on.where, { name, labels, facts: facts ?? {} });
  return result.ok && result.value;
}

/** Nodes that changed may be such that join. */
export function meetJoined(turn: Turn, changed: Iterable<string>): void {
  const { triggers, nodes } = turn.state;
  const waiting = [...triggers.values()].filter(({ on }) => on.kind === 'join');
  if (waiting.length === 0) return;
  for (const name of changed) {
    const node = nodes.get(name);
    for (const trigger of waiting) {
      if (node === undefined || trigger.joined.has(name) || !joinsNow(turn, trigger, node)) continue;
      turn.emit({ type: 'TriggerMatched', trigger: trigger.trigger, from: name, what: `${name} has joined` });
    }
  }
}

/** Starts its run if it is time to; else it is looked at again when it may be. */
export function considerTrigger(turn: Turn, name: string): void {
  const { state, at } = turn;
  const trigger = state.triggers.get(name);
  if (trigger === undefined) return;
  const obstacle = obstacleOf(turn, trigger);
  if (obstacle === 'nothing') return;
  if (obstacle !== null) {
    state.deadlines.add({ at: Math.max(obstacle, at + 1), kind: 'trigger', trigger: name });
    return;
  }
  const what = trigger.pending?.what ?? `it was time (${new Date(trigger.nextAt ?? at).toISOString()})`;
  const started = startRun(turn, trigger, what);
  if (started.ok) return;
  const { message: reason } = started.error;
  turn.emit({ type: 'TriggerFailed', trigger: name, what, reason, nextAt: nextOf(turn, trigger) });
}

/** `nothing`: it has nothing to start. A time: not before that. Null: now. */
function obstacleOf({ state, at }: Turn, trigger: TriggerState): 'nothing' | number | null {
  const isTime = trigger.nextAt !== null && trigger.nextAt <= at;
  if (!isTime && trigger.pending === null) return 'nothing';
  if (trigger.notBefore > at) return trigger.notBefore;
  // It would only wait behind the one before it; where it takes that one's place, it may come.
  if (waitsForItsTurn(state, trigger)) return at + Math.max(trigger.atMostEveryMs, limits.triggerRecheckMs);
  return null;
}

/** Whether the run that it started last has not begun yet. */
function waitsForItsTurn({ runs }: Turn['state'], { lastRun, pipeline }: TriggerState): boolean {
  const last = runs.get(lastRun?.run ?? '');
  return (
    last !== undefined &&
    last.end === null &&
    last.startedAt === null &&
    pipeline.concurrency?.policy !== 'replace'
  );
}

const nextOf = ({ at }: Turn, { on }: Trigger): number | null =>
  on.kind === 'cron' ? nextTime(on, at) : null;

type Started = { readonly ok: true } | { readonly ok: false; readonly error: LockstepError };

export function startRun(turn: Turn, trigger: TriggerState, what: string): Started {
  const { trigger: name, cluster, pipeline, checkOnly } = trigger;
  const kept = turn.secrets.length;
  const params = Object.fromEntries(
    Object.entries(trigger.params).map(([param, stored]) => [param, plainValueOf(stored, turn.lookup)]),
  );
  try {
    const limit = limitOf(trigger);
    createRun(turn, {
      type: 'CreateRun',
      ...{ cluster, pipeline, params, limit, checkOnly, generated: {}, by: actorOf(name) },
    });
  } catch (error) {
    if (!(error instanceof Rejection)) throw error;
    turn.dropSecrets(kept);
    return { ok: false, error: error.error };
  }
  const run = turn.events.findLast((event) => event.type === 'RunCreated')?.run ?? '';
  turn.emit({ type: 'TriggerFired', trigger: name, started: run, what, nextAt: nextOf(turn, trigger) });
  // A run's pipeline is in its event: one of them is enough for one append.
  turn.bytes += limits.turnBytesAim;
  return { ok: true };
}

function limitOf({ limit, onlyNew, pending }: TriggerState): string | null {
  if (!onlyNew || pending === null) return limit;
  const joined = `name in ${JSON.stringify(pending.nodes)}`;
  return limit === null ? joined : `(${limit}\n) && ${joined}`;
}

/** What a trigger waits for, in one sentence. */
export function explainTrigger(state: Turn['state'], trigger: TriggerState): string {
  const { trigger: name, pending, notBefore, nextAt, on } = trigger;
  if (pending !== null) {
    const more = pending.nodes.length > 1 ? ` (${pending.nodes.length} nodes in all)` : '';
    if (waitsForItsTurn(state, trigger))
      return `${name}: ${pending.what}${more}; its run ${trigger.lastRun?.run ?? ''} has to begin first`;
    const until =
      notBefore > state.at
        ? `waits until ${new Date(notBefore).toISOString()}, as it was here not long ago`
        : 'starts a run now';
    return `${name}: ${pending.what}${more}; ${until}`;
  }
  if (nextAt !== null) return `${name} waits for its time: ${new Date(nextAt).toISOString()}`;
  if (on.kind === 'join') return `${name} waits for a node to join: ${on.where}`;
  if (on.kind === 'service') return `${name} waits for the service ${on.service}`;
  return on.kind === 'webhook' ? `${name} waits for its webhook to be called` : `${name} never comes again`;
}
