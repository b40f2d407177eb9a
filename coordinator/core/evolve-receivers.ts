/** How declarations of receivers change the state. */
import { present } from '../../shared/assert.ts';
import type { Event } from './events.ts';
import type { State } from './state.ts';

export function evolveReceiver(
  state: State,
  event: Extract<Event, { type: 'ReceiverDeclared' | 'ReceiverRemoved' }>,
): void {
  if (event.type === 'ReceiverRemoved') {
    present(state.receivers.get(event.receiver), `receiver ${event.receiver}`);
    state.receivers.delete(event.receiver);
    return;
  }
  const { receiver, target, filter, by, seq, at } = event;
  state.receivers.set(receiver, { receiver, target, filter, by, declaredSeq: seq, declaredAt: at });
}
