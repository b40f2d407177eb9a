/** /api/runs/:id/logs: what the jobs of a run printed, or print. */
import { LockstepError } from '../../shared/errors.ts';
import { answerStream, Followers, ndjson } from './follow.ts';
import { LogText, lineOfPiece } from './log-text.ts';
import type { ApiPorts } from './ports.ts';
import * as resources from './resources.ts';
import { createRoute, idParam, problems, type Router } from './routing.ts';
import {
  type AttemptPiece,
  followRunLogs,
  type LogOutline,
  type LogQuery,
  outlineJobs,
  outlineRun,
  readRunLogs,
} from './run-logs.ts';

const getLogs = createRoute({
  method: 'get',
  path: '/api/runs/{id}/logs',
  request: { params: idParam, query: resources.logsQuery },
  responses: {
    200: {
      description: 'Text, or with format=ndjson one piece a line',
      content: { 'text/plain': { schema: { type: 'string' } }, [ndjson]: { schema: resources.logChunk } },
    },
    default: problems,
  },
});

export function addLogs(api: Router, ports: ApiPorts): void {
  const followers = new Followers();

  api.openapi(getLogs, async (context) => {
    const { id } = context.req.valid('param');
    const { follow, format, ...query } = context.req.valid('query');
    const first = await outlineOf(ports, id, query);
    const several = query.step === undefined || query.node === undefined;
    const outline = (): Promise<LogOutline> => outlineOf(ports, id, query);
    return answerStream({
      contentType: format === 'text' ? 'text/plain; charset=utf-8' : ndjson,
      followers: follow ? followers : null,
      generate: (signal) => {
        const pieces = follow
          ? followRunLogs(ports.logs, id, query, outline, signal)
          : readRunLogs(ports.logs, first, query);
        return format === 'text' ? textOf(pieces, new LogText(several)) : linesOf(pieces);
      },
      onError: ports.onStreamError,
      ending: ports.ending,
    });
  });
}

async function* linesOf(pieces: AsyncIterable<AttemptPiece | null>): AsyncGenerator<string> {
  for await (const piece of pieces) yield piece === null ? '\n' : lineOfPiece(piece);
}

async function* textOf(pieces: AsyncIterable<AttemptPiece | null>, text: LogText): AsyncGenerator<string> {
  // Plain text has no way to say nothing: who wants to know whether the connection lives asks for lines.
  for await (const piece of pieces) if (piece !== null) yield text.take(piece);
  yield text.end();
}

/** From the state, or for an archived run from its document. */
async function outlineOf(ports: ApiPorts, id: string, query: LogQuery): Promise<LogOutline> {
  const found = await ports.sequencer.read((state) => {
    const run = state.runs.get(id);
    return run === undefined ? (state.archive.get(id)?.digest ?? null) : outlineRun(run, query);
  });
  if (found === null) throw new LockstepError('not-found', `no run has the id ${id}: see lockstep runs`);
  if (typeof found !== 'string') return found;
  const { jobs = [] } = resources.run.parse(JSON.parse((await ports.blobs.read(found)).toString()));
  return outlineJobs(jobs, true, query);
}
