/** The part of the fold that concerns the agent that is offered. See evolve.ts; who takes it when is in upgrades.ts. */
import type { Event } from './events.ts';
import type { State } from './state.ts';

type OfferEvent = Extract<Event, { type: 'AgentOffered' | 'AgentUpgradeBegan' | 'AgentUpgradeFailed' }>;

export function evolveOffer(state: State, event: OfferEvent): void {
  state.agenda.offer = true;
  switch (event.type) {
    case 'AgentOffered': {
      const { type: _type, seq: _seq, ...offer } = event;
      state.offer = { ...offer, taking: new Map(), taken: 0, failed: new Map() };
      return;
    }
    case 'AgentUpgradeBegan':
      state.offer?.taking.set(event.node, event.at);
      return;
    case 'AgentUpgradeFailed':
      state.offer?.taking.delete(event.node);
      state.offer?.failed.set(event.node, event.reason);
      return;
  }
}

/** What an event of a node means to the offer: a new version has arrived, or a selector may judge anew. */
export function followOffer(state: State, event: Event & { readonly node: string }): void {
  const { offer } = state;
  if (offer === null) return;
  state.agenda.offer = true;
  if (event.type === 'NodeRemoved') offer.taking.delete(event.node);
  if (event.type !== 'NodeConnected') return;
  if (event.version === offer.version) {
    if (offer.taking.delete(event.node)) offer.taken += 1;
  } else if (event.features?.includes('upgrade') !== true) {
    // Somebody put an older one there, which takes nothing: its turn is over.
    offer.taking.delete(event.node);
  }
}
