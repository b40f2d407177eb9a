/** /api/tokens: who may join and who may ask. The secret of a token is shown once and kept nowhere. */
import { LockstepError } from '../../shared/errors.ts';
import type { ApiPorts } from './ports.ts';
import * as resources from './resources.ts';
import { answers, createRoute, idParam, jsonBody, noContent, type Router, readState } from './routing.ts';
import { timeOf, timeOrNull } from './views/value.ts';

const create = createRoute({
  method: 'post',
  path: '/api/tokens',
  request: jsonBody(resources.tokenRequest),
  responses: answers(201, resources.tokenCreated, 'The token; its secret is not shown again'),
});

const list = createRoute({
  method: 'get',
  path: '/api/tokens',
  responses: answers(200, resources.tokenList, 'Every token, without its secret'),
});

const revoke = createRoute({
  method: 'delete',
  path: '/api/tokens/{id}',
  request: { params: idParam },
  responses: noContent,
});

export function addTokens(api: Router, ports: ApiPorts): void {
  const { sequencer } = ports;

  api.openapi(create, async (context) => {
    const { kind, expiresAt: expires } = context.req.valid('json');
    const expiresAt = expires === null ? null : Date.parse(expires);
    if (expiresAt !== null && expiresAt <= ports.now())
      throw new LockstepError('invalid', `a token that expired at ${expires} would be of no use`);
    const { id, token, hash } = ports.createToken(kind);
    await sequencer.submit({ type: 'CreateToken', token: id, hash, kind, by: context.get('by'), expiresAt });
    return context.json({ id, token }, 201);
  });

  api.openapi(list, async (context) => {
    const items = await readState(context, ports, (state) =>
      [...state.tokens.values()].map(({ id, kind, createdAt, expiresAt, revoked }) => ({
        id,
        kind,
        createdAt: timeOf(createdAt),
        expiresAt: timeOrNull(expiresAt),
        revoked,
      })),
    );
    return context.json({ items }, 200);
  });

  api.openapi(revoke, async (context) => {
    const { id } = context.req.valid('param');
    await sequencer.submit({ type: 'RevokeToken', token: id, by: context.get('by') });
    ports.dropToken(id);
    return context.body(null, 204);
  });
}
