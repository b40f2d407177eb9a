/**
 * /api/events: the sequence itself, from any place that is still kept, as lines or as server-sent events. A
 * reader that is slow is read for slowly: pages come from the journal only when the socket takes them.
 */
import { LockstepError } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import type { Event } from '../core/events.ts';
import type { Run } from '../core/state.ts';
import { answerStream, Followers, ndjson, quietly } from './follow.ts';
import type { ApiPorts, EventsPort, SequencerPort } from './ports.ts';
import { CursorExpired } from './problem-answer.ts';
import * as resources from './resources.ts';
import { createRoute, problems, type Router } from './routing.ts';
import { timeOf } from './views/value.ts';

const lines = createRoute({
  method: 'get',
  path: '/api/events',
  request: { query: resources.eventsQuery },
  responses: {
    200: {
      description: 'Events in order, one a line',
      content: { [ndjson]: { schema: resources.event } },
    },
    default: problems,
  },
});

const stream = createRoute({
  method: 'get',
  path: '/api/events/stream',
  request: { query: resources.eventsQuery },
  responses: {
    200: {
      description: 'Events in order, for as long as the reader stays',
      content: { 'text/event-stream': { schema: resources.event } },
    },
    default: problems,
  },
});

type Query = { readonly run?: string | undefined; readonly node?: string | undefined };

type Format = {
  readonly write: (event: Event) => string;
  /** What says that the connection lives, and means nothing. */
  readonly heartbeat: string;
};

export function addEvents(api: Router, ports: ApiPorts): void {
  const { events, onStreamError: onError, ending } = ports;
  const followers = new Followers();
  const select = (wanted: Query) => (page: readonly Event[]) => selectEvents(page, wanted, ports.sequencer);

  api.openapi(lines, async (context) => {
    const { since, follow, ...query } = context.req.valid('query');
    const from = await placeOf(since, events);
    const format: Format = { write: (event) => `${shown(event)}\n`, heartbeat: '\n' };
    return answerStream({
      contentType: ndjson,
      followers: follow ? followers : null,
      generate: (signal) => textOf(pages(events, from, follow, signal), select(query), format),
      onError,
      ending,
    });
  });

  api.openapi(stream, async (context) => {
    const { since, run, node } = context.req.valid('query');
    const from = await placeOf(context.req.header('last-event-id') ?? since, events);
    const format: Format = {
      write: (event) => `id: ${events.lineage}:${event.seq}\ndata: ${shown(event)}\n\n`,
      heartbeat: ':\n\n',
    };
    return answerStream({
      contentType: 'text/event-stream',
      followers,
      generate: (signal) => textOf(pages(events, from, true, signal), select({ run, node }), format),
      onError,
      ending,
    });
  });
}

/** The first seq to send. Throws `cursor-expired` when what comes after the cursor is not kept, or never was. */
async function placeOf(since: string | undefined, events: EventsPort): Promise<number> {
  const oldest = await events.oldest();
  if (since === undefined) return oldest;
  const [, lineage, digits] = /^(?:([A-Za-z0-9_-]{1,64}):)?(\d{1,15})$/.exec(since) ?? [];
  if (digits === undefined)
    throw new LockstepError('usage', `${since} is neither a seq nor a cursor "lineage:seq"`);
  const seq = Number(digits);
  const isOther = lineage !== undefined && lineage !== events.lineage;
  if (!isOther && seq + 1 >= oldest && seq <= events.last.seq) return seq + 1;
  const last = events.last.seq;
  const why = isOther
    ? `it is of another history (this one is ${events.lineage})`
    : seq > last
      ? `there is no event ${seq} yet, the last one is ${last}`
      : `events before ${oldest} are not kept any more`;
  throw new CursorExpired(`cannot go on after ${since}: ${why}`, `${events.lineage}:${oldest - 1}`);
}

/** Pages of durable events; an empty one says that nothing has happened for a while. */
async function* pages(
  events: EventsPort,
  from: number,
  follow: boolean,
  signal: AbortSignal,
): AsyncGenerator<readonly Event[]> {
  let next = from;
  while (!signal.aborted) {
    for await (const page of events.read({ from: next })) {
      yield page;
      next += page.length;
    }
    if (!follow) return;
    await quietly(signal, (either) => events.beyond(next - 1, either));
    if (events.last.seq < next) yield [];
  }
}

/** What is sent for each page. */
async function* textOf(
  pages: AsyncIterable<readonly Event[]>,
  select: (page: readonly Event[]) => Promise<readonly Event[]>,
  { write, heartbeat }: Format,
): AsyncGenerator<string> {
  let saidAt = performance.now();
  for await (const page of pages) {
    const wanted = await select(page);
    // Others may be busy all the time while nothing happens that this reader asked for.
    const silent = performance.now() - saidAt >= limits.followSilenceMs;
    const text =
      wanted.length > 0 ? wanted.map(write).join('') : silent || page.length === 0 ? heartbeat : '';
    if (text === '') continue;
    saidAt = performance.now();
    yield text;
  }
}

/** Of a run: its own events, and what becomes of the links of its nodes while it goes on and is not archived. */
async function selectEvents(
  page: readonly Event[],
  { run, node }: Query,
  sequencer: SequencerPort,
): Promise<readonly Event[]> {
  const ofNode = page.filter((event) => node === undefined || isAbout(event, node));
  if (run === undefined) return ofNode;
  const contacts = ofNode.filter(isContact);
  const concerning = new Set<Event>(
    contacts.length === 0
      ? []
      : await sequencer.read((state) => {
          const found = state.runs.get(run);
          return found === undefined ? [] : contacts.filter((contact) => concerns(contact, found));
        }),
  );
  return ofNode.filter((event) => ('run' in event && event.run === run) || concerning.has(event));
}

type Contact = Extract<Event, { type: 'NodeConnected' | 'NodeDisconnected' }>;

/** Also what was told of it before it was there, with others. */
const isAbout = (event: Event, name: string): boolean =>
  ('node' in event && event.node === name) ||
  (event.type === 'NodesExpected' && event.nodes.some(({ node }) => node === name));

const concerns = ({ seq, at, node }: Contact, { members, createdSeq, end }: Run): boolean =>
  seq > createdSeq && (end === null || at <= end.at) && members.has(node);

const isContact = (event: Event): event is Contact =>
  event.type === 'NodeConnected' || event.type === 'NodeDisconnected';

/** As JSON, with the time as the API writes it. Hashes of tokens stay here: nobody can use them for good. */
function shown(event: Event): string {
  const { seq, at, type, ...body } = event;
  const time = timeOf(at);
  if ('secretHash' in body) {
    const { secretHash: _, ...rest } = body;
    return JSON.stringify({ seq, at: time, type, ...rest });
  }
  return JSON.stringify({ seq, at: time, type, ...body });
}
