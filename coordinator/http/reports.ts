/**
 * /api/runs/:id/report: the run as a deployment note. Jobs and nodes come from the state or the archive, order and
 * deviations from the run's events as far as these are kept; what is missing is said.
 */

import type { Event } from '../core/events.ts';
import { StoryTeller } from '../core/run-story.ts';
import type { ApiPorts, EventsPort } from './ports.ts';
import * as resources from './resources.ts';
import { type ApiContext, answers, createRoute, idParam, type Router, readState } from './routing.ts';
import { findRun, isKept } from './runs.ts';
import { viewReport } from './views/report.ts';
import { type RunView, viewRun } from './views/run.ts';
import { type RunNote, viewNote } from './views/run-note.ts';

const getReport = createRoute({
  method: 'get',
  path: '/api/runs/{id}/report',
  request: { params: idParam },
  responses: answers(200, resources.report, 'What the run did, who decided, and where it left the plan'),
});

export function addReports(api: Router, ports: ApiPorts): void {
  api.openapi(getReport, async (context) => {
    const { id } = context.req.valid('param');
    const { run, note } = await readWhole(context, ports, id);
    const members = Object.values(run.roles).flatMap(({ nodes }) => nodes);
    const teller = new StoryTeller(id, members);
    const missing = await hearEvents(teller, run.seq, ports.events);
    const { story } = teller;
    return context.json(
      viewReport({ run, note, story, missing, now: ports.now(), lookup: ports.lookup }),
      200,
    );
  });
}

type Whole = { readonly run: RunView; readonly note: RunNote | undefined };

async function readWhole(context: ApiContext, ports: ApiPorts, id: string): Promise<Whole> {
  const { lookup } = ports;
  const found = await readState(context, ports, (state): Whole | string => {
    const run = findRun(state, id);
    if (!isKept(run)) return run.digest;
    return { run: viewRun(run, lookup, true, () => undefined), note: viewNote(run, lookup) };
  });
  if (typeof found !== 'string') return found;
  const archived: unknown = JSON.parse((await ports.blobs.read(found)).toString());
  const { note, ...run } = resources.archivedRun.parse(archived);
  return { run, note };
}

/** Gives what could not be heard, in sentences. */
export async function hearEvents(
  teller: StoryTeller,
  from: number,
  events: Pick<EventsPort, 'oldest' | 'audit' | 'read'>,
): Promise<string[]> {
  const oldest = await events.oldest();
  const missing: string[] = [];
  if (from < oldest) {
    missing.push(
      `events before seq ${oldest} are not kept any more: of that time waves, slots, retries, unknown periods and ` +
        'held jobs are not told, only what operators did',
    );
    for await (const page of events.audit(from)) hearAll(teller, page);
  }
  for await (const page of events.read({ from: Math.max(from, oldest) })) {
    hearAll(teller, page);
    if (teller.ended) break;
  }
  return missing;
}

function hearAll(teller: StoryTeller, page: readonly Event[]): void {
  for (const event of page) teller.hear(event);
}
