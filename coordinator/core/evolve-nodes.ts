/** The part of the fold that concerns nodes and their links. See evolve.ts. */
import { assertNever, present } from '../../shared/assert.ts';
import { limits } from '../../shared/limits.ts';
import { refreshStanding } from './disruption.ts';
import type { Event } from './events.ts';
import { expectNode, forgetExpectation } from './evolve-expectations.ts';
import { followOffer } from './evolve-offers.ts';
import { forgetJoined } from './evolve-triggers.ts';
import type { Former } from './expectation.ts';
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
      | 'NodesExpected'
      | 'NodeReplaced'
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
  if (event.type !== 'NodesExpected') followOffer(state, event);
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
      node.hardware = event.hardware ?? node.hardware;
      node.agentLabels = event.labels;
      relabel(state, node);
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
      relabel(state, node);
      refreshStanding(state, node);
      state.agenda.gathering.add(event.node);
      return;
    }
    case 'NodeAdministered': {
      const node = nodeOf(state, event.node);
      node.administration = event.administration;
      node.administrationReason = event.reason;
      node.administrationBy = event.by;
      node.administrationSince = event.at;
      refreshNode(state, node);
      return;
    }
    case 'NodesExpected':
      for (const one of event.nodes) {
        expectNode(state, one, event.by);
        const node = state.nodes.get(one.node);
        if (node !== undefined) {
          relabel(state, node);
          refreshStanding(state, node);
        }
        state.agenda.gathering.add(one.node);
      }
      return;
    case 'NodeReplaced':
      vacate(state, nodeOf(state, event.node), event);
      forgetJoined(state, event.node);
      return;
    case 'NodeRemoved': {
      // One that was only expected is none yet.
      const node = state.nodes.get(event.node);
      state.nodes.delete(event.node);
      if (node !== undefined) refreshStanding(state, node);
      forgetExpectation(state, event.node);
      state.agenda.gathering.add(event.node);
      forgetJoined(state, event.node);
      return;
    }
    default:
      assertNever(event);
  }
}

/** Labels of operators win over those that are expected, and these over what the agent brings. */
function relabel(state: State, node: Node): void {
  const expected = state.expected.get(node.name)?.labels;
  node.labels = { ...node.agentLabels, ...expected, ...node.operatorLabels };
}

function joinNode(state: State, event: Extract<Event, { type: 'NodeJoined' }>): void {
  const known = state.nodes.get(event.node);
  if (known === undefined) {
    const node = newNode(event);
    state.nodes.set(node.name, node);
    relabel(state, node);
    refreshStanding(state, node);
    return;
  }
  if (known.vacancy === null) known.formers = withFormer(known, event.at, null);
  known.vacancy = null;
  known.incarnation = event.incarnation;
  known.incarnationSince = event.at;
  known.machineId = event.machineId;
  known.hardware = event.hardware ?? null;
  known.unmet = event.unmet ?? null;
  known.factsDigest = null;
}

/** Nobody is the node until another machine joins as it: it counts as out of reach. */
function vacate(state: State, node: Node, event: Extract<Event, { type: 'NodeReplaced' }>): void {
  const { by, reason, at } = event;
  node.formers = withFormer(node, at, { by, reason });
  node.vacancy = { by, reason, since: at };
  node.hardware = null;
  node.contact = 'unreachable';
  node.contactSince = at;
  node.credit = 0;
  refreshNode(state, node);
}

/** The last ones; what was replaced, and has to be refused, is kept longer than what came back by itself. */
function withFormer(node: Node, until: number, replaced: Former['replaced']): readonly Former[] {
  const { incarnation, machineId, hardware, version, address, incarnationSince: from } = node;
  const former = { incarnation, machineId, hardware, version, address, from, until, replaced };
  const all = [...node.formers, former];
  if (all.length <= limits.formersKept) return all;
  const dropped = all.find((one) => one.replaced === null) ?? all[0];
  return all.filter((one) => one !== dropped);
}

const newNode = (event: Extract<Event, { type: 'NodeJoined' }>): Node => ({
  name: event.node,
  incarnation: event.incarnation,
  boot: '',
  counter: 0,
  machineId: event.machineId,
  hardware: event.hardware ?? null,
  incarnationSince: event.at,
  formers: [],
  vacancy: null,
  unmet: event.unmet ?? null,
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
  administrationBy: '',
  administrationSince: null,
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
  countsIn: null,
});
