/** The whole HTTP API on one router: who may ask what, and where errors become answers. Routes are in the files beside. */
import { bodyLimit } from 'hono/body-limit';
import { LockstepError } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import { addBlobs } from './blobs.ts';
import { addClusters } from './clusters.ts';
import { addEvents } from './events.ts';
import { addLogs } from './logs.ts';
import { addNodes } from './nodes.ts';
import { addParams } from './params.ts';
import type { ApiPorts, TokenKind } from './ports.ts';
import { answerProblem, notFoundHere } from './problem-answer.ts';
import { addProfiles } from './profiles.ts';
import { addReceivers } from './receivers.ts';
import { addReports } from './reports.ts';
import { type ApiContext, createRouter, etagOf, type Router } from './routing.ts';
import { addRuns } from './runs.ts';
import { addStatus } from './status.ts';
import { addTokens } from './tokens.ts';
import { addTriggers } from './triggers.ts';
import { addUpkeep } from './upkeep.ts';

export function createApi(ports: ApiPorts, onBug: (error: unknown) => void): Router {
  const api = createRouter();
  api.onError((error) => answerProblem(error, onBug));
  api.notFound(notFoundHere);

  const admitAs =
    (...kinds: readonly TokenKind[]) =>
    async (context: ApiContext, next: () => Promise<void>): Promise<void> => {
      const admission = ports.admit(context.req.header('authorization'));
      if (!admission.ok) throw new LockstepError(admission.code, admission.detail);
      if (!kinds.includes(admission.kind))
        throw new LockstepError(
          'forbidden',
          `${context.req.path} needs an operator token, this is a token to join`,
        );
      context.set('token', admission.token);
      context.set('by', `operator:${admission.token}`);
      await next();
    };
  api.use('/api/*', admitAs('operator'));
  api.use('/blobs/*', admitAs('operator', 'join'));

  const limited = bodyLimit({
    maxSize: limits.httpBodyBytesMax,
    onError: () => {
      throw new LockstepError(
        'too-large',
        `the body of a request has at most ${limits.httpBodyBytesMax} bytes`,
      );
    },
  });
  api.use('/api/*', limited);
  api.use('/blobs/missing', limited);

  api.get('/api/*', async (context, next) => {
    const condition = context.req.header('if-none-match');
    if (condition === undefined) return next();
    const etag = etagOf(ports, await ports.sequencer.read(({ seq }) => seq));
    return condition === etag ? context.body(null, 304, { etag }) : next();
  });

  addStatus(api, ports);
  addNodes(api, ports);
  addClusters(api, ports);
  addRuns(api, ports);
  addReports(api, ports);
  addLogs(api, ports);
  addEvents(api, ports);
  addParams(api, ports);
  addTokens(api, ports);
  addReceivers(api, ports);
  addProfiles(api, ports);
  addTriggers(api, ports);
  addUpkeep(api, ports);
  addBlobs(api, ports);
  api.openAPIRegistry.registerComponent('securitySchemes', 'bearer', { type: 'http', scheme: 'bearer' });
  return api;
}
