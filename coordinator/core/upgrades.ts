/**
 * Other versions of the agent: an operator offers one, and the nodes that it is meant for take it, one first and
 * then a few at a time; after a failure nobody else is asked. Whether a node took it shows in the version with which
 * it connects. Which agents can do what is in agent-versions.ts.
 */
import { evaluateSelector } from '../../shared/expressions/evaluate.ts';
import { limits } from '../../shared/limits.ts';
import type { Hello } from '../../shared/messages.ts';
import { hasFeature } from './agent-versions.ts';
import type { Command, Lookup } from './commands.ts';
import type { AgentOffer, Event } from './events.ts';
import { compareNames } from './order.ts';
import type { Node, State } from './state.ts';
import { Rejection, type Turn } from './turn.ts';

export type OfferState = AgentOffer & {
  readonly by: string;
  readonly at: number;
  /** Nodes that were told and are not heard of yet as one version or the other. */
  readonly taking: Set<string>;
  /** Nodes that connected with the new version after they were told. */
  taken: number;
  /** Node and reason, in order; with the first one the offer stops. */
  readonly failed: Map<string, string>;
};

/** What a node has to do with the offer that stands. */
export type Place =
  | { readonly kind: 'taking' | 'taken' | 'not-meant' | 'incapable' | 'away' }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'waits'; readonly for: string };

export function offerAgent(turn: Turn, command: Extract<Command, { type: 'OfferAgent' }>): void {
  const { by, program } = command;
  turn.emit({ type: 'AgentOffered', offer: (turn.state.offer?.offer ?? 0) + 1, ...program, by });
}

export function evolveOffer(
  state: State,
  event: Extract<Event, { type: 'AgentOffered' | 'AgentUpgradeBegan' | 'AgentUpgradeFailed' }>,
): void {
  switch (event.type) {
    case 'AgentOffered': {
      const { type: _type, seq: _seq, ...offer } = event;
      state.offer = { ...offer, taking: new Set(), taken: 0, failed: new Map() };
      break;
    }
    case 'AgentUpgradeBegan':
      state.offer?.taking.add(event.node);
      break;
    case 'AgentUpgradeFailed':
      state.offer?.taking.delete(event.node);
      state.offer?.failed.set(event.node, event.reason);
      break;
  }
  state.agenda.offer = true;
}

/** A node has connected: part of the fold of that event. */
export function settleTaking(state: State, node: Node): void {
  const { offer } = state;
  if (offer === null) return;
  state.agenda.offer = true;
  if (node.version !== offer.version || !offer.taking.delete(node.name)) return;
  offer.taken += 1;
}

/** What an agent says of offers when it connects: failures that it could not tell, and the offer again. */
export function resumeTaking(turn: Turn, node: Node, failed: Hello['upgradesFailed']): void {
  for (const failure of failed ?? []) reportUpgradeFailed(turn, node.name, failure);
  const { offer } = turn.state;
  if (offer?.taking.has(node.name) === true) turn.effect({ kind: 'upgrade', node: node.name, offer });
}

export function reportUpgradeFailed(
  turn: Turn,
  name: string,
  failure: { readonly offer: number; readonly digest: string; readonly reason: string },
): void {
  const { offer } = turn.state;
  if (offer === null || !turn.state.nodes.has(name)) return;
  const isThis = failure.offer === offer.offer && failure.digest === offer.digest;
  if (isThis && offer.failed.get(name) === undefined) {
    turn.emit({ type: 'AgentUpgradeFailed', node: name, ...failure, version: offer.version });
    return;
  }
  // It was at an earlier offer until now, and did not listen.
  if (!isThis && offer.taking.has(name)) turn.effect({ kind: 'upgrade', node: name, offer });
}

const atOnce = (offer: OfferState): number => (offer.taken === 0 ? 1 : offer.atOnce);

/** Tells those whose turn it is. */
export function considerOffer(turn: Turn): void {
  const { offer, nodes } = turn.state;
  if (offer === null || offer.failed.size > 0 || offer.taking.size >= atOnce(offer)) return;
  for (const node of [...nodes.values()].sort((a, b) => compareNames(a.name, b.name))) {
    if (placeOf(turn.state, node, turn.lookup)?.kind !== 'waits') continue;
    turn.emit({ type: 'AgentUpgradeBegan', node: node.name, offer: offer.offer, version: offer.version });
    turn.effect({ kind: 'upgrade', node: node.name, offer });
    if (offer.taking.size >= atOnce(offer)) return;
  }
}

/** Undefined without an offer. */
export function placeOf(state: State, node: Node, lookup: Lookup): Place | undefined {
  const { offer } = state;
  if (offer === null) return undefined;
  if (offer.taking.has(node.name)) return { kind: 'taking' };
  const reason = offer.failed.get(node.name);
  if (reason !== undefined) return { kind: 'failed', reason };
  if (node.version === offer.version) return { kind: 'taken' };
  if (!isMeant(offer, node, lookup)) return { kind: 'not-meant' };
  if (!hasFeature(node, 'upgrade')) return { kind: 'incapable' };
  if (node.contact !== 'connected') return { kind: 'away' };
  return { kind: 'waits', for: obstacle(offer) };
}

function isMeant(offer: OfferState, node: Node, lookup: Lookup): boolean {
  if (node.administration === 'retired' || node.administration === 'quarantined') return false;
  const facts = node.factsDigest === null ? undefined : lookup.facts(node.factsDigest);
  const { architecture, where } = offer;
  if (architecture !== null && architecture !== architectureOf(facts)) return false;
  if (where === null) return true;
  const { name, labels } = node;
  const fits = evaluateSelector(where, { name, labels, facts: facts ?? {} });
  return fits.ok && fits.value;
}

function architectureOf(facts: object | undefined): unknown {
  const cpu: unknown = facts !== undefined && 'cpu' in facts ? facts.cpu : undefined;
  return typeof cpu === 'object' && cpu !== null && 'architecture' in cpu ? cpu.architecture : undefined;
}

function obstacle(offer: OfferState): string {
  const [failed] = offer.failed;
  if (failed !== undefined)
    return `nobody else is asked since it failed on ${failed[0]} (${failed[1]}); offer it anew with lockstep upgrade agents`;
  const first = offer.taken === 0 ? ', which goes first,' : '';
  const [holder = 'nobody'] = offer.taking;
  return `${holder}${first} takes it now, and ${atOnce(offer)} at once may`;
}

/** Of what is asked by an operator; shapes were checked. */
export function checkOffer(program: Omit<AgentOffer, 'offer'>): void {
  if (program.atOnce < 1 || program.atOnce > limits.upgradesAtOnceMax)
    throw new Rejection('invalid', `at once 1 to ${limits.upgradesAtOnceMax} nodes may take an upgrade`);
}
