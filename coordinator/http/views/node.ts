/** A node of the state as the API shows it. */
import type * as z from 'zod';
import type { Lookup } from '../../core/commands.ts';
import { idOf } from '../../core/job-names.ts';
import type { Node, State } from '../../core/state.ts';
import { clusterOf, nodeStateOf } from '../../core/state.ts';
import type * as resources from '../resources.ts';
import { timeOf } from './value.ts';

export type NodeView = z.infer<typeof resources.node>;

export function viewNode(node: Node, lookup: Lookup, withFacts: boolean): NodeView {
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

/** Every node of the state, by name. */
export const nodesByName = (state: State): Node[] =>
  [...state.nodes.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
