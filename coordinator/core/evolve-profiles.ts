/** How profiles change the state: kept lowest first, which is how they are laid over each other. */
import type { Event } from './events.ts';
import { ranked } from './profiles.ts';
import type { State } from './state.ts';

export function evolveProfile(
  state: State,
  event: Extract<Event, { type: 'ProfileApplied' | 'ProfileRemoved' }>,
): void {
  if (event.type === 'ProfileRemoved') {
    state.profiles.delete(event.profile);
    return;
  }
  const { profile, priority, where, params, by, seq, at } = event;
  const others = [...state.profiles.values()].filter((other) => other.profile !== profile);
  const applied = { profile, priority, where, params, by, appliedSeq: seq, appliedAt: at };
  state.profiles.clear();
  for (const each of ranked([...others, applied])) state.profiles.set(each.profile, each);
}
