/**
 * The coordinator's journal as it grows, for as long as somebody reads: after a broken connection it goes on
 * after the last event that arrived.
 */
import { event } from '../http/resources.ts';
import type { CoordinatorClient } from './client.ts';
import { persistentStream, type StreamItem } from './persistent-stream.ts';
import type { JournalEvent } from './resources.ts';
import { ServerSentEventReader } from './server-sent-events.ts';

export type EventItem =
  | Exclude<StreamItem, { readonly kind: 'chunk' }>
  | { readonly kind: 'event'; readonly event: JournalEvent };

/** Comments and beats carry no JSON; what is not an event is passed over, as the wire's unknown types are. */
function parseEvent(text: string): JournalEvent | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  return event.safeParse(json).data;
}

/** Follows events after `since` until aborted. Throws `cursor-expired` when the journal no longer has them. */
export async function* followEvents(
  client: CoordinatorClient,
  query: { readonly since: string; readonly run?: string | undefined; readonly node?: string | undefined },
  signal: AbortSignal,
): AsyncGenerator<EventItem, void, void> {
  let cursor: string | undefined;
  let reader = new ServerSentEventReader();
  let decoder = new TextDecoder();
  const ask = () => {
    // Half an event that a broken connection left is sent again whole.
    reader = new ServerSentEventReader();
    decoder = new TextDecoder();
    return {
      path: '/api/events/stream',
      query: { ...query, follow: true },
      headers: { accept: 'text/event-stream', ...(cursor === undefined ? {} : { 'last-event-id': cursor }) },
    };
  };
  for await (const item of persistentStream(client, ask, true, signal)) {
    if (item.kind !== 'chunk') {
      yield item;
      continue;
    }
    for (const { id, data } of reader.push(decoder.decode(item.chunk, { stream: true }))) {
      const parsed = parseEvent(data);
      if (parsed === undefined) continue;
      if (id !== '') cursor = id;
      yield { kind: 'event', event: parsed };
    }
  }
}
