/**
 * A small coordinator for tests of the command line: it answers by the real schemas over real sockets, with
 * what a test has put into it, and can break its connections.
 */
import type { Socket } from 'node:net';
import { type ServerType, serve } from '@hono/node-server';
import { Hono } from 'hono';
import { streamSSE } from 'hono/streaming';
import type {
  Explanation,
  JournalEvent,
  LogChunk,
  Node,
  Plan,
  Run,
} from '../../../coordinator/cli/resources.ts';
import * as resources from '../../../coordinator/http/resources.ts';
import { type ErrorCode, errorCodes } from '../../../shared/errors.ts';

export type Asked = { readonly method: string; readonly path: string; readonly body: unknown };

export const problem = (code: ErrorCode, detail: string, diagnostics?: readonly object[]): Response =>
  Response.json(
    {
      type: `https://lockstep.example/problems/${code}`,
      title: code,
      status: errorCodes[code].httpStatus,
      code,
      detail,
      retryable: errorCodes[code].retry,
      ...(diagnostics === undefined ? {} : { diagnostics }),
    },
    { status: errorCodes[code].httpStatus, headers: { 'content-type': 'application/problem+json' } },
  );

export class CoordinatorDouble {
  readonly token = 'secret-of-the-operator';
  readonly asked: Asked[] = [];
  readonly runs = new Map<string, Run>();
  readonly events: JournalEvent[] = [];
  readonly logs: LogChunk[] = [];
  readonly blobs = new Map<string, Buffer>();
  nodes: Node[] = [];
  explanations: Explanation[] = [];
  plan: Plan | undefined;
  /** Answers a submission. */
  submitted: (submission: unknown) => Response | Run = () => problem('invalid', 'not expected here');
  /** How often the event stream was asked for, and after which cursor. */
  readonly cursors: (string | undefined)[] = [];
  #wake: (() => void)[] = [];
  #server: ServerType | undefined;
  readonly #sockets = new Set<Socket>();
  url = '';

  async open(): Promise<void> {
    const app = this.#routes();
    await new Promise<void>((resolve) => {
      this.#server = serve({ fetch: app.fetch, hostname: '127.0.0.1', port: 0 }, ({ port }) => {
        this.url = `http://127.0.0.1:${port}`;
        resolve();
      });
    });
    this.#server?.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  /** Breaks all connections, as a link that drops does. */
  breakConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.breakConnections();
    await new Promise((resolve) => this.#server?.close(resolve));
  }

  /** Publishes an event to all streams. */
  publish(type: string, fields: Readonly<Record<string, unknown>>): void {
    const seq = (this.events.at(-1)?.seq ?? 0) + 1;
    this.events.push({ seq, at: new Date(Date.UTC(2026, 2, 1, 12, 0, seq)).toISOString(), type, ...fields });
    for (const wake of this.#wake.splice(0)) wake();
  }

  #seq(): number {
    return this.events.at(-1)?.seq ?? 0;
  }

  #routes(): Hono {
    const app = new Hono();
    app.use('/api/*', async (context, next) => {
      if (context.req.header('authorization') !== `Bearer ${this.token}`)
        return problem('unauthorized', 'the token is not valid');
      const isJson = context.req.header('content-type') === 'application/json';
      const { pathname, search } = new URL(context.req.url);
      this.asked.push({
        method: context.req.method,
        path: pathname + search,
        body: isJson ? await context.req.raw.clone().json() : null,
      });
      await next();
      context.res.headers.set('lockstep-seq', String(this.#seq()));
      return;
    });
    app.get('/health', (context) =>
      context.json({
        status: 'ok',
        detail: null,
        version: '0.1.0',
        lineage: 'l',
        epoch: 1,
        seq: this.#seq(),
        agents: 0,
        uptimeMs: 1,
      }),
    );
    app.get('/api/runs', (context) => {
      const all = [...this.runs.values()].map((run) => resources.runListed.parse(run));
      const from = Number(context.req.query('cursor') ?? 0);
      // Small pages, so that lists have to be put together.
      return context.json({
        items: all.slice(from, from + 2),
        next: from + 2 < all.length ? String(from + 2) : null,
      });
    });
    app.post('/api/runs', async (context) => {
      const answer = this.submitted(resources.submission.parse(await context.req.json()));
      if (answer instanceof Response) return answer;
      this.runs.set(answer.id, answer);
      return context.json(answer, 201);
    });
    app.post('/api/plans', (context) =>
      this.plan === undefined ? problem('invalid', 'not expected here') : context.json(this.plan),
    );
    app.get('/api/runs/:id', (context) => {
      const found = this.runs.get(context.req.param('id'));
      if (found === undefined) return problem('not-found', `there is no run ${context.req.param('id')}`);
      const { jobs, ...rest } = found;
      return context.json(context.req.query('jobs') === 'false' ? rest : { ...rest, jobs });
    });
    app.get('/api/runs/:id/why', (context) => context.json({ items: this.explanations }));
    app.get('/api/runs/:id/logs', (context) => {
      const { step, node, stream } = context.req.query();
      const chunks = this.logs.filter(
        (chunk) =>
          (step === undefined || chunk.step === step) &&
          (node === undefined || chunk.node === node) &&
          (stream === undefined || chunk.stream === stream),
      );
      return context.body(chunks.map((chunk) => `${JSON.stringify(chunk)}\n`).join(''));
    });
    for (const action of ['approve', 'reject', 'cancel', 'resume'])
      app.post(`/api/runs/:id/${action}`, (context) => {
        const found = this.runs.get(context.req.param('id'));
        return found === undefined ? problem('not-found', 'there is no such run') : context.json(found);
      });
    app.get('/api/nodes', (context) => context.json({ items: this.nodes, next: null }));
    app.get('/api/params', (context) => context.json({ items: [] }));
    app.put('/api/params', (context) => context.body(null, 204));
    app.post('/api/tokens', (context) => context.json({ id: 't1', token: 'join-me' }, 201));
    app.post('/blobs/missing', async (context) => {
      const { digests } = resources.digests.parse(await context.req.json());
      return context.json({ digests: digests.filter((digest) => !this.blobs.has(digest)) });
    });
    app.put('/blobs/:digest', async (context) => {
      this.blobs.set(context.req.param('digest'), Buffer.from(await context.req.arrayBuffer()));
      return context.body(null, 204);
    });
    app.get('/api/events/stream', (context) => {
      const cursor = context.req.header('last-event-id');
      this.cursors.push(cursor);
      let from = Number(cursor?.split(':')[1] ?? context.req.query('since') ?? 0);
      return streamSSE(context, async (stream) => {
        while (!stream.aborted) {
          for (const event of this.events.filter(({ seq }) => seq > from)) {
            from = event.seq;
            await stream.writeSSE({ id: `l:${event.seq}`, event: event.type, data: JSON.stringify(event) });
          }
          await new Promise<void>((resolve) => {
            this.#wake.push(resolve);
            stream.onAbort(resolve);
          });
        }
      });
    });
    return app;
  }
}
