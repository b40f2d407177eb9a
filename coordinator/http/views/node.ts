/** A node of the state as the API shows it. */
import type * as z from 'zod';
import { present } from '../../../shared/assert.ts';
import type { Lookup } from '../../core/commands.ts';
import type { ExpectedNode } from '../../core/expectation.ts';
import { idOf } from '../../core/job-names.ts';
import { nodeStateOf } from '../../core/shown-states.ts';
import type { Node, State } from '../../core/state.ts';
import { clusterOf, clusterOfLabels } from '../../core/state.ts';
import { placeOf } from '../../core/upgrades.ts';
import type * as resources from '../resources.ts';
import { timeOf } from './value.ts';

export type NodeView = z.infer<typeof resources.node>;

function viewNode(state: State, node: Node, lookup: Lookup, withFacts: boolean): NodeView {
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
    administrationBy: node.administrationBy,
    administrationSince: node.administrationSince === null ? null : timeOf(node.administrationSince),
    address: node.address,
    machineId: node.machineId,
    version: node.version,
    features: [...node.features],
    upgrade: viewUpgrade(state, node, lookup),
    incarnation: node.incarnation,
    incarnationSince: timeOf(node.incarnationSince),
    formers: node.formers.map((former) => ({
      ...former,
      from: timeOf(former.from),
      until: timeOf(former.until),
    })),
    vacancy: node.vacancy === null ? null : { ...node.vacancy, since: timeOf(node.vacancy.since) },
    hardware: node.hardware,
    expectation: viewExpectation(state.expected.get(node.name)),
    unmet: node.unmet,
    boot: node.boot,
    diskless: node.diskless,
    joinedAt: timeOf(node.joinedAt),
    job: node.segment[0] === undefined ? null : idOf(node.segment[0]),
    runs: node.queue.map((run) => run.id),
    factsDigest: node.factsDigest,
    ...(withFacts ? { facts: facts ?? null } : {}),
  };
}

function viewExpectation(expected: ExpectedNode | undefined): NodeView['expectation'] {
  if (expected === undefined) return null;
  const { serial, uuid, macs, labels, address, bmc, by, since } = expected;
  return { serial, uuid, macs: [...macs], labels, address, bmc, by, since: timeOf(since) };
}

/** One that no machine has met yet. */
function viewExpected(expected: ExpectedNode): NodeView {
  const { node: name, labels, since, address } = expected;
  return {
    name,
    state: 'expected',
    labels,
    platform: labels.platform ?? null,
    cluster: clusterOfLabels(labels),
    contact: 'unreachable',
    contactSince: timeOf(since),
    administration: 'in-service',
    administrationReason: '',
    administrationBy: '',
    administrationSince: null,
    address,
    machineId: null,
    version: '',
    features: [],
    upgrade: null,
    incarnation: '',
    incarnationSince: null,
    formers: [],
    vacancy: null,
    hardware: null,
    expectation: viewExpectation(expected),
    unmet: null,
    boot: '',
    diskless: false,
    joinedAt: null,
    job: null,
    runs: [],
    factsDigest: null,
  };
}

/** A node, or what is expected of it; undefined when nothing is known of the name. */
export function viewNamed(
  state: State,
  name: string,
  lookup: Lookup,
  withFacts: boolean,
): NodeView | undefined {
  const node = state.nodes.get(name);
  if (node !== undefined) return viewNode(state, node, lookup, withFacts);
  const expected = state.expected.get(name);
  return expected === undefined ? undefined : viewExpected(expected);
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
const nodesByName = (state: State): Node[] =>
  [...state.nodes.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
