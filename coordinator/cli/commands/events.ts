/** `lockstep events`: the journal as it is and as it grows. */
import * as z from 'zod';
import { LockstepError } from '../../../shared/errors.ts';
import { event as eventSchema, health } from '../../http/resources.ts';
import { followEvents } from '../event-stream.ts';
import { exitCodes } from '../outcome.ts';
import { type Line, span } from '../render/line.ts';
import { formatClock } from '../render/measures.ts';
import type { JournalEvent } from '../resources.ts';
import { type CommonOptions, interruption, type Session, withCoordinator } from '../session.ts';

export type EventsOptions = CommonOptions & {
  readonly since?: string;
  readonly follow?: boolean;
  readonly run?: string;
  readonly node?: string;
};

const valueText = (value: unknown): string =>
  typeof value === 'string' && /^[^\s"{}[\]]+$/.test(value) ? value : JSON.stringify(value);

function drawEvent({ seq, at, type, ...fields }: JournalEvent): Line {
  const told = Object.entries(fields)
    .map(([name, value]) => `${name}=${valueText(value)}`)
    .join(' ');
  return [
    span(`${String(seq).padStart(6)}  ${formatClock(Date.parse(at))}  `, 'dim'),
    span(type, 'strong'),
    span(told === '' ? '' : `  ${told}`),
  ];
}

/** What is in the journal now, as one line each; bounded by the journal itself, so nothing is kept here. */
async function* readEvents({ client }: Session, options: EventsOptions): AsyncGenerator<JournalEvent> {
  const { since, run, node } = options;
  const body = await client.open('/api/events', { query: { since, run, node, follow: false } });
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for await (const chunk of body) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (line !== '') yield eventSchema.parse(JSON.parse(line));
    }
  } catch (error) {
    if (error instanceof z.ZodError || error instanceof SyntaxError) throw error;
    throw client.unreachable(error);
  }
}

export async function events(options: EventsOptions): Promise<number> {
  if (options.follow && options.output === 'json')
    throw new LockstepError('usage', 'with -f there is no end to make one document of: use -o jsonl');
  return withCoordinator(options, async (session) => {
    const { client, terminal } = session;
    const { signal } = interruption();
    const all: JournalEvent[] = [];
    const print = (event: JournalEvent): void => {
      if (options.output === 'json') all.push(event);
      else if (options.output === 'jsonl') terminal.printJsonLine(event);
      else terminal.print([drawEvent(event)]);
    };
    if (options.follow) {
      // Without a seq to begin after, only what is yet to come is news.
      const since = options.since ?? String((await client.read(health, '/health')).seq);
      const { run, node } = options;
      for await (const item of followEvents(client, { since, run, node }, signal)) {
        if (item.kind === 'event') print(item.event);
        else if (item.kind === 'interrupted') terminal.note(item.sentence);
      }
      return exitCodes.interrupted;
    }
    for await (const event of readEvents(session, options)) print(event);
    if (options.output === 'json') terminal.printJson(all);
    return exitCodes.done;
  });
}
