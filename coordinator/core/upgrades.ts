/**
 * Other versions of the agent: an operator offers one, and the nodes that it is meant for take it, one first and
 * then a few at a time; after a failure nobody else is asked. Whether a node took it shows in the version with which
 * it connects. Which agents can do what is in agent-versions.ts.
 */
import { assertNever } from '../../shared/assert.ts';
import { evaluateSelector } from '../../shared/expressions/evaluate.ts';
import type { Hello } from '../../shared/messages.ts';
import { hasFeature } from './agent-versions.ts';
import type { Command, Lookup } from './commands.ts';
import type { Explanation } from './explain.ts';
import type { OfferState } from './offer.ts';
import { compareNames } from './order.ts';
import type { Node, State } from './state.ts';
import type { Turn } from './turn.ts';

/** What a node that does not run the version that is offered has to do with it. */
export type Place =
  | { readonly kind: 'taking' | 'incapable' | 'away' }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'waits'; readonly for: string };

export function offerAgent(turn: Turn, command: Extract<Command, { type: 'OfferAgent' }>): void {
  const { by, program } = command;
  turn.emit({ type: 'AgentOffered', offer: (turn.state.offer?.offer ?? 0) + 1, ...program, by });
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
  { offer: number, digest, reason }: NonNullable<Hello['upgradesFailed']>[number],
): void {
  const { offer } = turn.state;
  if (offer === null || !turn.state.nodes.has(name)) return;
  const isThis = number === offer.offer && digest === offer.digest;
  if (isThis) {
    if (offer.failed.has(name)) return;
    const { version } = offer;
    turn.emit({ type: 'AgentUpgradeFailed', node: name, offer: number, version, digest, reason });
    return;
  }
  // It was at an earlier offer until now, and did not listen.
  if (offer.taking.has(name)) turn.effect({ kind: 'upgrade', node: name, offer });
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

/** What `why` says of it; undefined when the node has nothing to do with an offer. */
export function explainPlace(state: State, node: Node, lookup: Lookup): Explanation | undefined {
  const place = placeOf(state, node, lookup);
  const { offer } = state;
  if (place === undefined || offer === null) return undefined;
  const since = offer.taking.get(node.name) ?? offer.at;
  const sentence = `${node.name} runs agent ${node.version} and ${sentenceOf(place, offer)}`;
  return {
    job: null,
    run: null,
    node: node.name,
    state: node.contact,
    gate: 'agent-version',
    sentence,
    since,
  };
}

function sentenceOf(place: Place, { version }: OfferState): string {
  switch (place.kind) {
    case 'taking':
      return `takes ${version} now; it goes on with its job meanwhile`;
    case 'failed':
      return `stays with it: ${version} failed there (${place.reason}); offer it anew with lockstep upgrade agents`;
    case 'incapable':
      return `cannot take ${version} by itself: install it there`;
    case 'away':
      return `is offered ${version} when it is back`;
    case 'waits':
      return `waits for its turn to take ${version}: ${place.for}`;
    default:
      return assertNever(place);
  }
}

/** Undefined when there is no offer, or the node has it, or it is not meant for the node. */
export function placeOf(state: State, node: Node, lookup: Lookup): Place | undefined {
  const { offer } = state;
  if (offer === null) return undefined;
  if (offer.taking.has(node.name)) return { kind: 'taking' };
  const reason = offer.failed.get(node.name);
  if (reason !== undefined) return { kind: 'failed', reason };
  if (node.version === offer.version || !isMeant(offer, node, lookup)) return undefined;
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
  const [holder = 'nobody'] = offer.taking.keys();
  return `${holder}${first} takes it now, and ${atOnce(offer)} at once may`;
}
