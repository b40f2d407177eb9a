/** How triggers change: declared, met by what they wait for, and what came of it. */
import { assertNever, present } from '../../shared/assert.ts';
import { limits } from '../../shared/limits.ts';
import type { Event } from './events.ts';
import type { State } from './state.ts';
import { leaderKeyOf } from './state.ts';
import { actorOf, type TriggerEvent, type TriggerState } from './triggers.ts';

export function evolveTrigger(
  state: State,
  event: TriggerEvent & { readonly seq: number; readonly at: number },
): void {
  if (event.type === 'TriggerDeclared') {
    const { type: _type, seq: _seq, at, joined, ...declared } = event;
    state.triggers.set(event.trigger, {
      ...declared,
      declaredAt: at,
      joined: new Set(joined),
      pending: null,
      notBefore: 0,
      lastRun: null,
      lastFailure: null,
    });
    lookAgainAt(state, event.trigger, event.nextAt);
    return;
  }
  if (event.type === 'TriggerRemoved') {
    state.triggers.delete(event.trigger);
    return;
  }
  const trigger = present(state.triggers.get(event.trigger), `trigger ${event.trigger}`);
  switch (event.type) {
    case 'TriggerMatched':
      if (event.from !== null) trigger.joined.add(event.from);
      notePending(state, trigger, event.what, event.from);
      return;
    case 'TriggerFired':
      trigger.lastRun = { run: event.started, at: event.at };
      trigger.lastFailure = null;
      break;
    case 'TriggerFailed':
      trigger.lastFailure = { reason: event.reason, at: event.at };
      break;
    default:
      assertNever(event);
  }
  trigger.pending = null;
  trigger.nextAt = event.nextAt;
  trigger.notBefore = event.at + trigger.atMostEveryMs;
  lookAgainAt(state, event.trigger, event.nextAt);
}

const lookAgainAt = (state: State, trigger: string, at: number | null): void => {
  if (at !== null) state.deadlines.add({ at, kind: 'trigger', trigger });
};

/** The first is told in words; the nodes are all kept, as far as one run may have them. */
function notePending(state: State, trigger: TriggerState, what: string, node: string | null): void {
  const { what: first, since, nodes } = trigger.pending ?? { what, since: state.at, nodes: [] };
  const more = node === null || nodes.includes(node) || nodes.length >= limits.triggerNodesMax ? [] : [node];
  trigger.pending = { what: first, since, nodes: [...nodes, ...more] };
  state.agenda.triggers.add(trigger.trigger);
}

/** What a trigger's own runs provide does not start the next one. Called before the service is recorded. */
export function meetService(state: State, event: Extract<Event, { type: 'ServiceProvided' }>): void {
  if (state.triggers.size === 0) return;
  const { cluster, service, node, address, port, run } = event;
  const known = state.services.get(leaderKeyOf(cluster, service))?.get(node);
  if (known !== undefined && known.address === address && known.port === port) return;
  for (const trigger of state.triggers.values()) {
    const { on } = trigger;
    if (on.kind !== 'service' || on.service !== service || trigger.cluster !== cluster) continue;
    if (state.runs.get(run)?.by === actorOf(trigger.trigger)) continue;
    notePending(state, trigger, `${node} provides ${service}`, node);
  }
}

/** A node that goes for good, or comes back as another one, joins anew. */
export function forgetJoined(state: State, node: string): void {
  for (const { joined } of state.triggers.values()) joined.delete(node);
}
