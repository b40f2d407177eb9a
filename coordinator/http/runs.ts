/** /api/runs and /api/jobs: what runs did, and what operators decide about them. */
import type * as z from 'zod';
import { assert } from '../../shared/assert.ts';
import { LockstepError } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import type { Command } from '../core/commands.ts';
import { explainRun } from '../core/explain.ts';
import { previewPlan } from '../core/plan-preview.ts';
import type { ArchivedRun } from '../core/run-parts.ts';
import { runStateOf } from '../core/shown-states.ts';
import type { Run, State } from '../core/state.ts';
import { acceptSubmission } from './accept-submission.ts';
import type { ApiPorts } from './ports.ts';
import * as resources from './resources.ts';
import {
  type ApiContext,
  answers,
  createRoute,
  idParam,
  jsonBody,
  pageOf,
  type Router,
  readState,
} from './routing.ts';
import { readSubmission } from './submission.ts';
import { viewExplanation } from './views/explanation.ts';
import { viewPlan } from './views/plan.ts';
import { type RunView, viewArchivedRun, viewRun, viewRunListed } from './views/run.ts';

const listRuns = createRoute({
  method: 'get',
  path: '/api/runs',
  request: { query: resources.runsQuery },
  responses: answers(200, resources.runPage, 'Runs, the newest first'),
});

const getRun = createRoute({
  method: 'get',
  path: '/api/runs/{id}',
  request: { params: idParam, query: resources.runQuery },
  responses: answers(200, resources.run, 'The run with its jobs'),
});

const explain = createRoute({
  method: 'get',
  path: '/api/runs/{id}/why',
  request: { params: idParam },
  responses: answers(200, resources.explanations, 'What each unfinished job waits for'),
});

const decided = answers(200, resources.run, 'The run after the decision');

const approve = createRoute({
  method: 'post',
  path: '/api/runs/{id}/approve',
  request: { params: idParam, ...jsonBody(resources.approval) },
  responses: decided,
});

const reject = createRoute({
  method: 'post',
  path: '/api/runs/{id}/reject',
  request: { params: idParam, ...jsonBody(resources.approval) },
  responses: decided,
});

const cancel = createRoute({
  method: 'post',
  path: '/api/runs/{id}/cancel',
  request: { params: idParam, ...jsonBody(resources.reasonGiven) },
  responses: decided,
});

const resume = createRoute({
  method: 'post',
  path: '/api/runs/{id}/resume',
  request: { params: idParam, ...jsonBody(resources.resumption) },
  responses: decided,
});

const decideJob = createRoute({
  method: 'post',
  path: '/api/jobs/decide',
  request: jsonBody(resources.jobDecision),
  responses: decided,
});

const submit = createRoute({
  method: 'post',
  path: '/api/runs',
  request: jsonBody(resources.submission),
  responses: answers(201, resources.run, 'The run that was created'),
});

const plan = createRoute({
  method: 'post',
  path: '/api/plans',
  request: jsonBody(resources.submission),
  responses: answers(200, resources.plan, 'What the run would do; nothing is run'),
});

export function addRuns(api: Router, ports: ApiPorts): void {
  const { lookup, sequencer } = ports;

  /** Decides about a run, then shows it. */
  const decide = async (context: ApiContext, run: string, command: Command): Promise<RunView> => {
    await sequencer.submit(command);
    return readRun(context, ports, run, 'when-few');
  };

  api.openapi(listRuns, async (context) => {
    const query = context.req.valid('query');
    const page = await readState(context, ports, (state) => {
      const { items, next } = pageOf(
        runsNewestFirst(state).filter((run) => isWanted(run, query)),
        query,
        (run, seq) => run.createdSeq < Number(seq),
        (run) => String(run.createdSeq),
      );
      return { items: items.map((run) => (isKept(run) ? viewRunListed(run) : viewArchivedRun(run))), next };
    });
    return context.json(page, 200);
  });

  api.openapi(getRun, async (context) => {
    const { id } = context.req.valid('param');
    const { jobs } = context.req.valid('query');
    return context.json(await readRun(context, ports, id, jobs), 200);
  });

  api.openapi(explain, async (context) => {
    const { id } = context.req.valid('param');
    const items = await readState(context, ports, (state) => {
      const run = findRun(state, id);
      if (!isKept(run)) return [];
      return explainRun(state, run, ports.iterationOf).map((one) => viewExplanation(one, ports.stallOf));
    });
    return context.json({ items }, 200);
  });

  api.openapi(approve, async (context) => {
    const { id: run } = context.req.valid('param');
    const by = context.get('by');
    const command: Command = { type: 'ApproveUnit', run, ...context.req.valid('json'), by };
    return context.json(await decide(context, run, command), 200);
  });

  api.openapi(reject, async (context) => {
    const { id: run } = context.req.valid('param');
    const by = context.get('by');
    const command: Command = { type: 'RejectUnit', run, ...context.req.valid('json'), by };
    return context.json(await decide(context, run, command), 200);
  });

  api.openapi(cancel, async (context) => {
    const { id: run } = context.req.valid('param');
    const { reason } = context.req.valid('json');
    return context.json(
      await decide(context, run, { type: 'CancelRun', run, by: context.get('by'), reason }),
      200,
    );
  });

  api.openapi(resume, async (context) => {
    const { id: run } = context.req.valid('param');
    const { how, reason } = context.req.valid('json');
    const command: Command = { type: 'ResumeRun', run, how, by: context.get('by'), reason };
    return context.json(await decide(context, run, command), 200);
  });

  api.openapi(decideJob, async (context) => {
    const { job, as, reason } = context.req.valid('json');
    const run = job.split('/')[0] ?? '';
    return context.json(
      await decide(context, run, { type: 'DecideJob', job, as, by: context.get('by'), reason }),
      200,
    );
  });

  api.openapi(submit, async (context) => {
    const submission = context.req.valid('json');
    const { starts, warnings } = await acceptSubmission(ports, submission, context.get('by'));
    const events = await sequencer.submit(starts);
    const created = events.find((event) => event.type === 'RunCreated');
    assert(created !== undefined, 'creating a run creates a run');
    return context.json(
      { ...(await readRun(context, ports, created.run, 'when-few')), warnings: [...warnings] },
      201,
    );
  });

  api.openapi(plan, async (context) => {
    const submission = context.req.valid('json');
    const { command, warnings } = readSubmission(submission, lookup.digestOf);
    const { pipeline, cluster } = command;
    const preview = await readState(context, ports, (state) => previewPlan(state, command, lookup));
    return context.json(
      viewPlan(preview, { pipeline: pipeline.name, cluster, file: submission.file, warnings }),
      200,
    );
  });
}

/** The run as the state has it, or as it was when it was archived. */
async function readRun(
  context: ApiContext,
  ports: ApiPorts,
  id: string,
  jobs: boolean | 'when-few',
): Promise<RunView> {
  const found = await readState(context, ports, (state) => {
    const run = findRun(state, id);
    if (!isKept(run)) return run.digest;
    return viewRun(
      run,
      ports.lookup,
      jobs === 'when-few' ? run.jobsUnfinished <= limits.answerJobsMax : jobs,
      ports.iterationOf,
    );
  });
  if (typeof found !== 'string') return found;
  const archived: unknown = JSON.parse((await ports.blobs.read(found)).toString());
  const { jobs: all, ...run } = resources.run.parse(archived);
  return jobs !== false && all !== undefined ? { ...run, jobs: all } : run;
}

export const isKept = (run: Run | ArchivedRun): run is Run => 'steps' in run;

export function findRun(state: State, id: string): Run | ArchivedRun {
  const run = state.runs.get(id) ?? state.archive.get(id);
  if (run === undefined) throw new LockstepError('not-found', `no run has the id ${id}: see lockstep runs`);
  return run;
}

const runsNewestFirst = (state: State): (Run | ArchivedRun)[] =>
  [...state.archive.values(), ...state.runs.values()].sort((a, b) => b.createdSeq - a.createdSeq);

function isWanted(run: Run | ArchivedRun, query: z.output<typeof resources.runsQuery>): boolean {
  if (query.cluster !== undefined && run.cluster !== query.cluster) return false;
  const pipeline = typeof run.pipeline === 'string' ? run.pipeline : run.pipeline.name;
  if (query.pipeline !== undefined && pipeline !== query.pipeline) return false;
  if (query.state === undefined) return true;
  if (query.state === 'active') return run.end === null;
  return (isKept(run) ? runStateOf(run) : run.end.state) === query.state;
}
