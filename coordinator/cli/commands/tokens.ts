/** `lockstep token`: what lets an agent join or an operator work. The secret itself is shown once. */
import { LockstepError } from '../../../shared/errors.ts';
import { tokenCreated, tokenList } from '../../http/resources.ts';
import { exitCodes } from '../outcome.ts';
import { formatDate } from '../render/measures.ts';
import { type Cell, formatTable } from '../render/table.ts';
import { type CommonOptions, segment, withCoordinator } from '../session.ts';

export type CreateOptions = CommonOptions & { readonly kind: 'join' | 'operator'; readonly expires?: number };

export async function create(options: CreateOptions): Promise<number> {
  return withCoordinator(options, async ({ client, terminal }) => {
    const expiresAt =
      options.expires === undefined
        ? null
        : new Date(Date.now() + client.clockAheadMs + options.expires).toISOString();
    const { id, token } = await client.send(
      'POST',
      '/api/tokens',
      { kind: options.kind, expiresAt },
      tokenCreated,
    );
    if (options.output !== undefined) terminal.printJson({ id, token });
    else {
      terminal.write(`${token}\n`);
      terminal.note(
        options.kind === 'join'
          ? `token ${id} is shown only now. On a host: LOCKSTEP_TOKEN=… lockstep-agent run --coordinator ${client.connection.url} --state DIR`
          : `token ${id} is shown only now. Elsewhere: export LOCKSTEP_URL=${client.connection.url} LOCKSTEP_API_TOKEN=…`,
      );
    }
    return exitCodes.done;
  });
}

export async function listed(options: CommonOptions): Promise<number> {
  return withCoordinator(options, async ({ client, terminal }) => {
    const { items } = await client.read(tokenList, '/api/tokens');
    const now = Date.now() + client.clockAheadMs;
    if (options.output !== undefined) terminal.printJson(items);
    else
      terminal.print(
        formatTable(
          [{ head: 'TOKEN' }, { head: 'KIND' }, { head: 'STATE' }, { head: 'CREATED' }, { head: 'EXPIRES' }],
          items.map(({ id, kind, createdAt, expiresAt, revoked }): Cell[] => [
            id,
            kind,
            revoked ? 'revoked' : expiresAt !== null && Date.parse(expiresAt) <= now ? 'expired' : 'valid',
            formatDate(Date.parse(createdAt)),
            expiresAt === null ? 'never' : formatDate(Date.parse(expiresAt)),
          ]),
        ),
      );
    return exitCodes.done;
  });
}

export async function revoke(ids: readonly string[], options: CommonOptions): Promise<number> {
  if (ids.length === 0) throw new LockstepError('usage', 'name a token by its id: see `lockstep token list`');
  return withCoordinator(options, async ({ client, terminal }) => {
    for (const id of ids) {
      await client.order('DELETE', `/api/tokens/${segment(id)}`);
      if (options.output === undefined) terminal.note(`token ${id} is revoked`);
    }
    if (options.output !== undefined) terminal.printJson(ids.map((id) => ({ id, revoked: true })));
    return exitCodes.done;
  });
}
