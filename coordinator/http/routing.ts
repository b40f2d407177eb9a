/** What all routes share: who asks, how input is refused, how a read carries its seq. */
import type { HttpBindings } from '@hono/node-server';
import { createRoute, OpenAPIHono } from '@hono/zod-openapi';
import type { Context } from 'hono';
import * as z from 'zod';
import { LockstepError } from '../../shared/errors.ts';
import type { Actor } from '../core/event-values.ts';
import type { Node, State } from '../core/state.ts';
import type { ApiPorts } from './ports.ts';
import { refuseInput } from './problem-answer.ts';
import * as resources from './resources.ts';

export type ApiEnv = {
  Bindings: HttpBindings;
  Variables: {
    /** Id of the token that came with the request, and how the journal names whoever holds it. */
    token: string;
    by: Actor;
  };
};

export type ApiContext = Context<ApiEnv>;
export type Router = OpenAPIHono<ApiEnv>;

export function createRouter(): Router {
  return new OpenAPIHono<ApiEnv>({
    defaultHook: (result) => {
      if (!result.success) refuseInput(result.target, result.error);
    },
  });
}

export { createRoute };

export const nameParam = z.object({ name: z.string().max(64) });
export const idParam = z.object({ id: z.string().max(64) });

const jsonContent = <T extends z.ZodType>(schema: T) => ({ 'application/json': { schema } });

export const jsonBody = <T extends z.ZodType>(schema: T) => ({
  body: { required: true, content: jsonContent(schema) },
});

/** The answers of a route: one that is right, and problems. */
export const answers = <S extends 200 | 201, T extends z.ZodType>(
  status: S,
  schema: T,
  description: string,
) =>
  ({
    [status]: { description, content: jsonContent(schema) },
    default: problems,
  }) as { [K in S]: { description: string; content: { 'application/json': { schema: T } } } } & {
    default: typeof problems;
  };

export const problems = {
  description: 'What went wrong, by code',
  content: { 'application/problem+json': { schema: resources.problem } },
};

export const noContent = { 204: { description: 'Done' }, default: problems } as const;

/** Answers from the state once what was seen is durable, and says which seq that was. */
export async function readState<T>(
  context: ApiContext,
  ports: ApiPorts,
  view: (state: State) => T,
): Promise<T> {
  const { seq, value } = await ports.sequencer.read((state) => ({ seq: state.seq, value: view(state) }));
  context.header('lockstep-seq', String(seq));
  context.header('etag', etagOf(ports, seq));
  return value;
}

/** State is a function of lineage and seq, and what is read is a function of the state. */
export const etagOf = (ports: ApiPorts, seq: number): string => `W/"${ports.events.lineage}:${seq}"`;

export function findNode(state: State, name: string): Node {
  const node = state.nodes.get(name);
  if (node === undefined)
    throw new LockstepError('not-found', `no node is named ${name}: see lockstep nodes`);
  return node;
}

/** One page of what comes after the cursor; `keyOf` gives the place of an item, which the next cursor carries. */
export function pageOf<T>(
  items: readonly T[],
  query: { readonly limit: number; readonly cursor?: string | undefined },
  isAfter: (item: T, key: string) => boolean,
  keyOf: (item: T) => string,
): { readonly items: readonly T[]; readonly next: string | null } {
  const key = query.cursor === undefined ? undefined : decodeCursor(query.cursor);
  const rest = key === undefined ? items : items.filter((item) => isAfter(item, key));
  const page = rest.slice(0, query.limit);
  const last = page.at(-1);
  const next = last !== undefined && rest.length > page.length ? encodeCursor(keyOf(last)) : null;
  return { items: page, next };
}

const cursorPrefix = 'after:';

const encodeCursor = (key: string): string => Buffer.from(cursorPrefix + key).toString('base64url');

function decodeCursor(cursor: string): string {
  const text = Buffer.from(cursor, 'base64url').toString();
  if (text.startsWith(cursorPrefix)) return text.slice(cursorPrefix.length);
  throw new LockstepError('usage', `${cursor} is not a cursor: take the "next" of a page as it is`);
}
