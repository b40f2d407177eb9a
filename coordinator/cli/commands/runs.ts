/** `lockstep runs` and `lockstep runs show`: what ran, and one run as it is now. */
import { LockstepError } from '../../../shared/errors.ts';
import { nearestWord } from '../../../shared/nearest.ts';
import { runPage, run as runSchema, runStateWords } from '../../http/resources.ts';
import { exitCodeOfRun, exitCodes } from '../outcome.ts';
import { describeRun, listRuns } from '../render/lists.ts';
import { listParts } from '../render/parts.ts';
import { drawRun } from '../render/run-picture.ts';
import { summarise } from '../render/run-summary.ts';
import type { RunListed } from '../resources.ts';
import { readExplanations } from '../run-reading.ts';
import { type CommonOptions, segment, withCoordinator } from '../session.ts';

export type RunsOptions = CommonOptions & {
  readonly state?: string;
  readonly cluster?: string;
  readonly pipeline?: string;
  readonly number: number;
};

function checkState(state: string | undefined): void {
  if (state === undefined || runStateWords.some((word) => word === state)) return;
  const nearest = nearestWord(state, runStateWords);
  const meant = nearest === undefined ? '' : ` (did you mean "${nearest}"?)`;
  throw new LockstepError(
    'usage',
    `no run is ever "${state}"${meant}: --state takes ${runStateWords.join(', ')}`,
  );
}

export async function listed(options: RunsOptions): Promise<number> {
  checkState(options.state);
  return withCoordinator(options, async ({ client, terminal }) => {
    const { state, cluster, pipeline, number } = options;
    const runs: RunListed[] = [];
    for await (const run of client.list(runPage, '/api/runs', { state, cluster, pipeline })) {
      if (options.output === 'jsonl') terminal.printJsonLine(run);
      else runs.push(run);
      if (runs.length === number) break;
    }
    if (options.output === 'json') terminal.printJson(runs);
    else if (options.output === undefined && runs.length > 0)
      terminal.print(listRuns(runs, Date.now() + client.clockAheadMs));
    else if (options.output === undefined)
      terminal.note('there are no such runs; start one with `lockstep run FILE`');
    return exitCodes.done;
  });
}

export async function show(id: string, options: CommonOptions): Promise<number> {
  return withCoordinator(options, async ({ client, terminal }) => {
    const run = await client.read(runSchema, `/api/runs/${segment(id)}`);
    if (options.output !== undefined) {
      terminal.printJson(run);
      return exitCodes.done;
    }
    const view = {
      run,
      now: Date.now() + client.clockAheadMs,
      explanations: run.finishedAt === null ? await readExplanations(client, id) : [],
      tails: new Map(),
      lost: null,
    };
    const size = { columns: terminal.columns, rows: Number.POSITIVE_INFINITY };
    const ways = exitCodeOfRun(run.state) === exitCodes.held ? [[], ...summarise(run, view.now, true)] : [];
    const parts = listParts(run);
    const told = parts.length === 0 ? [] : [[], ...parts];
    terminal.print([...drawRun(view, size), [], ...describeRun(run), ...told, ...ways]);
    return exitCodes.done;
  });
}
