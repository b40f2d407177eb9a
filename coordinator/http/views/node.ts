/** A node of the state as the API shows it. */
import type * as z from 'zod';
import { present } from '../../../shared/assert.ts';
import type { Lookup } from '../../core/commands.ts';
import { idOf } from '../../core/job-names.ts';
import { nodeStateOf } from '../../core/shown-states.ts';
import type { Node, State } from '../../core/state.ts';
import { clusterOf } from '../../core/state.ts';
import { placeOf } from '../../core/upgrades.ts';
import type * as resources from '../resources.ts';
import { timeOf } from './value.ts';

export type NodeView = z.infer<typeof resources.node>;

export function viewNode(state: State, node: Node, lookup: Lookup, withFacts: boolean): NodeView {
  const facts = withFacts && node.factsDigest !== null ? lookup.facts(node.factsDigest) : undefined;
  return {
    name: node.name,
    state: nodeStateOf(node),
    labels: node.labels,
    platform: node.labels.platform ?? null,
    cluster: clusterOf(node),
    contact: node.contact,
    contactSince: timeOf(node.contactSince),
    administration: node.administration,
    administrationReason: node.administrationReason,
    address: node.address,
    machineId: node.machineId,
    version: node.version,
    features: [...node.features],
    upgrade: viewUpgrade(state, node, lookup),
    incarnation: node.incarnation,
    boot: node.boot,
    diskless: node.diskless,
    joinedAt: timeOf(node.joinedAt),
    job: node.segment[0] === undefined ? null : idOf(node.segment[0]),
    runs: node.queue.map((run) => run.id),
    factsDigest: node.factsDigest,
    ...(withFacts ? { facts: facts ?? null } : {}),
  };
}

/** What the node has to do with the agent that is offered; null when that is nothing, or no more. */
function viewUpgrade(state: State, node: Node, lookup: Lookup): NodeView['upgrade'] {
  const place = placeOf(state, node, lookup);
  if (place === undefined || state.offer === null) return null;
  const reason = place.kind === 'failed' ? place.reason : null;
  return { version: state.offer.version, state: place.kind, reason };
}

/** The offer that stands, with the nodes that are to take it. */
export function viewOffer(state: State, lookup: Lookup): z.infer<typeof resources.agentOffered> {
  const { offer, version, digest } = present(state.offer, 'the offer that was made');
  const nodes = nodesByName(state).filter((node) => {
    const place = placeOf(state, node, lookup);
    return place !== undefined && place.kind !== 'incapable';
  });
  return { offer, version, digest, nodes: nodes.map(({ name }) => name) };
}

/** Every node of the state, by name. */
export const nodesByName = (state: State): Node[] =>
  [...state.nodes.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
