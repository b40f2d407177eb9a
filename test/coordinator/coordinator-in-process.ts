/** A whole coordinator on a data folder of its own and a free port, started by a test in its own process. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import * as z from 'zod';
import { type CoordinatorFlags, readConfig } from '../../coordinator/config.ts';
import { type RunningCoordinator, startCoordinator } from '../../coordinator/coordinator.ts';
import { operatorFile, problem } from '../../coordinator/http/resources.ts';
import { present } from '../../shared/assert.ts';

type Teardown = { teardown(work: () => unknown): void };

export type Answer = { readonly status: number; readonly headers: Headers; readonly text: string };

const tokenAnswer = z.object({ id: z.string(), token: z.string() });

export class TestCoordinator {
  readonly data: string;
  /** What it logged, one object a line. */
  readonly logged: string[] = [];
  #running: RunningCoordinator | undefined;
  #token = '';
  readonly #flags: CoordinatorFlags;

  private constructor(data: string, flags: CoordinatorFlags) {
    this.data = data;
    this.#flags = flags;
  }

  static async start(t: Teardown, flags: CoordinatorFlags = {}): Promise<TestCoordinator> {
    const folder = mkdtempSync(join(tmpdir(), 'lockstep-test-'));
    const coordinator = new TestCoordinator(join(folder, 'data'), flags);
    t.teardown(async () => {
      await coordinator.stop();
      rmSync(folder, { recursive: true, force: true });
    });
    await coordinator.start();
    return coordinator;
  }

  async start(): Promise<void> {
    const log = pino({}, { write: (line: string) => this.logged.push(line) });
    const config = readConfig({ listen: '127.0.0.1:0', ...this.#flags, data: this.data }, {});
    const onFatal = (what: string): never => {
      throw new Error(`the coordinator met its end: ${what}\n${this.logged.join('')}`);
    };
    this.#running = await startCoordinator({ config, version: 'test', log, onFatal });
    this.#token = operatorFile.parse(
      JSON.parse(readFileSync(join(this.data, 'operator.json'), 'utf8')),
    ).token;
  }

  async stop(): Promise<void> {
    await this.#running?.close();
    this.#running = undefined;
  }

  get url(): string {
    return present(this.#running, 'a running coordinator').url;
  }

  get token(): string {
    return this.#token;
  }

  /** Any request, with the operator's token unless other headers are given. */
  async ask(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const response = await this.open(method, path, body, headers);
    return { status: response.status, headers: response.headers, text: await response.text() };
  }

  /** The same, with the body still to be read. */
  open(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
    signal?: AbortSignal,
  ): Promise<Response> {
    const content =
      body === undefined ? {} : { body: body instanceof Uint8Array ? body : JSON.stringify(body) };
    return fetch(`${this.url}${path}`, {
      method,
      ...(signal === undefined ? {} : { signal }),
      headers: { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json', ...headers },
      ...content,
    });
  }

  /** A request that must succeed, by the schema of its answer. */
  async get<T>(schema: z.ZodType<T>, path: string): Promise<T> {
    return parsed(schema, await this.ask('GET', path));
  }

  async post<T>(schema: z.ZodType<T>, path: string, body: unknown): Promise<T> {
    return parsed(schema, await this.ask('POST', path, body));
  }

  /** A request that must be refused. */
  async refused(
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<z.infer<typeof problem>> {
    const answer = await this.ask(method, path, body, headers);
    if (answer.headers.get('content-type') !== 'application/problem+json')
      throw new Error(`${method} ${path} was answered ${answer.status} ${answer.text}`);
    return problem.parse(JSON.parse(answer.text));
  }

  async joinToken(): Promise<string> {
    return (await this.post(tokenAnswer, '/api/tokens', { kind: 'join' })).token;
  }
}

function parsed<T>(schema: z.ZodType<T>, answer: Answer): T {
  if (answer.status < 200 || answer.status > 299)
    throw new Error(`answered ${answer.status}: ${answer.text}`);
  return schema.parse(JSON.parse(answer.text));
}
