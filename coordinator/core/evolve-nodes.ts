/** The part of the fold that concerns nodes and their links. See evolve.ts. */
import { assertNever, present } from '../../shared/assert.ts';
import { limits } from '../../shared/limits.ts';
import type { Event } from './events.ts';
import { followOffer } from './evolve-offers.ts';
import type { Node, State } from './state.ts';
import { refreshNode } from './transitions.ts';

export const nodeOf = (state: State, name: string): Node => present(state.nodes.get(name), `node ${name}`);

type NodeEvent = Extract<
  Event,
  {
    type:
      | 'NodeJoined'
      | 'NodeConnected'
      | 'NodeDisconnected'
      | 'NodeUnreachable'
      | 'FactsReported'
      | 'NodeLabelled'
      | 'NodeAdministered'
      | 'NodeRemoved';
  }
>;

/**
 * Contact timers start anew: the coordinator was away itself and knows nothing of the links meanwhile. They run
 * for long enough that agents which are told to wait for their turn do not count as lost.
 */
export function beginReign(state: State, lineage: string, epoch: number): void {
  state.lineage = lineage;
  state.epoch = epoch;
  for (const node of state.nodes.values()) {
    watchReboot(state, node);
    if (node.contact === 'unreachable') continue;
    node.contact = 'disconnected';
    node.contactSince = state.at;
    node.credit = 0;
    watchContact(state, node, limits.returnGraceMs);
  }
}

/** A node that was to be back meanwhile could not say so while the coordinator was away. */
function watchReboot(state: State, node: Node): void {
  const { reboot } = node.segment[0] ?? {};
  if (reboot === null || reboot === undefined) return;
  const at = Math.max(reboot.until, state.at + limits.returnGraceMs);
  state.deadlines.add({ at, kind: 'reboot', node: node.name });
}

function watchContact(state: State, node: Node, atLeastMs = 0): void {
  const contactMs = Math.max(limits.unknownAfterDefaultMs, atLeastMs);
  state.deadlines.add({ at: state.at + contactMs, kind: 'contact', node: node.name });
  for (const afterMs of new Set(node.segment.map(({ step }) => step.step.unknownAfterMs))) {
    state.deadlines.add({ at: state.at + Math.max(afterMs, atLeastMs), kind: 'unknown', node: node.name });
  }
}

export function evolveNode(state: State, event: NodeEvent): void {
  evolve(state, event);
  followOffer(state, event);
}

function evolve(state: State, event: NodeEvent): void {
  switch (event.type) {
    case 'NodeJoined':
      joinNode(state, event);
      return;
    case 'NodeConnected': {
      const node = nodeOf(state, event.node);
      node.boot = event.boot;
      node.counter = event.counter;
      node.version = event.version;
      node.features = event.features ?? [];
      node.address = event.address;
      node.diskless = event.diskless;
      node.agentLabels = event.labels;
      node.labels = { ...event.labels, ...node.operatorLabels };
      node.lineage = state.lineage;
      node.contact = 'connected';
      node.contactSince = event.at;
      node.credit = 0;
      refreshNode(state, node);
      return;
    }
    case 'NodeDisconnected': {
      const node = nodeOf(state, event.node);
      node.contact = 'disconnected';
      node.contactSince = event.at;
      node.credit = 0;
      watchContact(state, node);
      return;
    }
    case 'NodeUnreachable': {
      const node = nodeOf(state, event.node);
      node.contact = 'unreachable';
      node.contactSince = event.since;
      refreshNode(state, node);
      return;
    }
    case 'FactsReported': {
      nodeOf(state, event.node).factsDigest = event.digest;
      state.agenda.gathering.add(event.node);
      return;
    }
    case 'NodeLabelled': {
      const node = nodeOf(state, event.node);
      const unset = new Set(event.unset);
      const kept = Object.entries(node.operatorLabels).filter(([key]) => !unset.has(key));
      node.operatorLabels = { ...Object.fromEntries(kept), ...event.set };
      node.labels = { ...node.agentLabels, ...node.operatorLabels };
      state.agenda.gathering.add(event.node);
      return;
    }
    case 'NodeAdministered': {
      const node = nodeOf(state, event.node);
      node.administration = event.administration;
      node.administrationReason = event.reason;
      refreshNode(state, node);
      return;
    }
    case 'NodeRemoved':
      state.nodes.delete(event.node);
      return;
    default:
      assertNever(event);
  }
}

function joinNode(state: State, event: Extract<Event, { type: 'NodeJoined' }>): void {
  const known = state.nodes.get(event.node);
  if (known !== undefined) {
    known.incarnation = event.incarnation;
    known.machineId = event.machineId;
    known.factsDigest = null;
    return;
  }
  state.nodes.set(event.node, {
    name: event.node,
    incarnation: event.incarnation,
    boot: '',
    counter: 0,
    machineId: event.machineId,
    version: '',
    features: [],
    address: null,
    diskless: false,
    agentLabels: event.labels,
    operatorLabels: {},
    labels: event.labels,
    factsDigest: null,
    params: new Map(),
    administration: 'in-service',
    administrationReason: '',
    contact: 'disconnected',
    contactSince: event.at,
    joinedAt: event.at,
    lineage: '',
    credit: 0,
    queue: [],
    deferredRuns: [],
    segment: [],
    attended: [],
    awaitedBy: new Set(),
  });
}
