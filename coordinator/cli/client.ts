/**
 * Requests to the coordinator's HTTP API and its answers, parsed by the schemas that the server answers by.
 * Whatever goes wrong becomes one LockstepError that says what was asked of whom and what to do; what a
 * command makes of the answers does not belong here.
 */
import { Agent, request } from 'undici';
import * as z from 'zod';
import { assert } from '../../shared/assert.ts';
import { type ErrorCode, LockstepError, messageOf } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import { problem } from '../http/resources.ts';
import type { Connection } from './connection.ts';

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
export type Query = Readonly<Record<string, string | number | boolean | undefined>>;
type Answer = Awaited<ReturnType<typeof request>>;
type Content = { readonly json: unknown } | { readonly bytes: Uint8Array };

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the connection was refused',
  ECONNRESET: 'the connection was broken off',
  UND_ERR_SOCKET: 'the connection was broken off',
  ENOTFOUND: 'its host name is not known',
  EAI_AGAIN: 'its host name could not be looked up',
  EHOSTUNREACH: 'there is no way to that host',
  ENETUNREACH: 'there is no way to that network',
  UND_ERR_CONNECT_TIMEOUT: `no connection within ${limits.clientConnectMs / 1000} s`,
  UND_ERR_HEADERS_TIMEOUT: `no answer within ${limits.clientAnswerMs / 1000} s`,
  UND_ERR_BODY_TIMEOUT: 'its answer stopped in the middle',
};

const reasonOf = (error: unknown): string => {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return reasons[code] ?? messageOf(error);
};

export class CoordinatorClient {
  readonly connection: Connection;
  readonly #agent = new Agent({
    connect: { timeout: limits.clientConnectMs },
    headersTimeout: limits.clientAnswerMs,
    bodyTimeout: limits.clientAnswerMs,
  });
  /** How far the coordinator's clock is ahead of ours, for times that people read; whole seconds. */
  clockAheadMs = 0;
  /** What the last answer showed was the state at this seq. */
  seq = 0;

  constructor(connection: Connection) {
    this.connection = connection;
  }

  async read<T>(schema: z.ZodType<T>, path: string, query: Query = {}): Promise<T> {
    return this.#parse(schema, 'GET', path, await this.#ask('GET', path, { query }));
  }

  /** Sends JSON and parses what comes back. */
  async send<T>(method: Method, path: string, body: unknown, schema: z.ZodType<T>): Promise<T> {
    return this.#parse(schema, method, path, await this.#ask(method, path, { content: { json: body } }));
  }

  /** A request whose answer has nothing to say. */
  async order(method: Method, path: string, more: { query?: Query; content?: Content } = {}): Promise<void> {
    const answer = await this.#ask(method, path, more);
    await answer.body.dump();
  }

  /** Every item of a list, page by page. */
  async *list<T>(
    page: z.ZodType<{ items: T[]; next: string | null }>,
    path: string,
    query: Query = {},
  ): AsyncGenerator<T, void, void> {
    let cursor: string | undefined;
    for (;;) {
      const { items, next } = await this.read(page, path, { limit: limits.pageSizeMax, ...query, cursor });
      yield* items;
      if (next === null) return;
      assert(next !== cursor, 'a page leads on to another one');
      cursor = next;
    }
  }

  /** The body of a long answer as it comes. Silence for longer than `streamSilenceMs` ends it with an error. */
  async open(
    path: string,
    more: { query?: Query; headers?: Record<string, string>; signal?: AbortSignal } = {},
  ): Promise<AsyncIterable<Buffer>> {
    const answer = await this.#ask('GET', path, { ...more, bodyTimeout: limits.streamSilenceMs });
    return answer.body;
  }

  /** Ends kept connections, so that the process can end. */
  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  /** What to tell when the coordinator could not be asked, or its answer broke off. */
  unreachable(cause: unknown): LockstepError {
    const { url, source, remedy } = this.connection;
    const message = `cannot reach the coordinator at ${url} (from ${source}): ${reasonOf(cause)}.\n  ${remedy}`;
    return new LockstepError('unreachable', message, { cause });
  }

  /** The same in short, while it is tried again. */
  describeLoss({ cause, message }: LockstepError): string {
    const reason = cause === undefined ? message : reasonOf(cause);
    return `no contact with the coordinator at ${this.connection.url}: ${reason}; trying again`;
  }

  async #ask(
    method: Method,
    path: string,
    more: {
      query?: Query;
      content?: Content;
      headers?: Record<string, string>;
      signal?: AbortSignal;
      bodyTimeout?: number;
    },
  ): Promise<Answer> {
    const url = new URL(this.connection.url + path);
    for (const [key, value] of Object.entries(more.query ?? {}))
      if (value !== undefined) url.searchParams.set(key, String(value));
    const { content } = more;
    const contentType =
      content === undefined
        ? {}
        : { 'content-type': 'json' in content ? 'application/json' : 'application/octet-stream' };
    let answer: Answer;
    try {
      answer = await request(url, {
        method,
        dispatcher: this.#agent,
        headers: {
          authorization: `Bearer ${this.connection.token}`,
          'user-agent': 'lockstep',
          ...contentType,
          ...more.headers,
        },
        body: content === undefined ? null : 'json' in content ? JSON.stringify(content.json) : content.bytes,
        ...(more.signal === undefined ? {} : { signal: more.signal }),
        ...(more.bodyTimeout === undefined ? {} : { bodyTimeout: more.bodyTimeout }),
      });
    } catch (error) {
      if (more.signal?.aborted) throw error;
      throw this.unreachable(error);
    }
    this.#noteClock(answer.headers.date);
    const seq = Number(answer.headers['lockstep-seq'] ?? Number.NaN);
    if (Number.isSafeInteger(seq)) this.seq = seq;
    if (answer.statusCode < 200 || answer.statusCode > 299) throw await this.#refusal(method, path, answer);
    return answer;
  }

  #noteClock(date: string | string[] | undefined): void {
    const theirs = Date.parse(typeof date === 'string' ? date : '');
    if (Number.isNaN(theirs)) return;
    const ahead = theirs - Date.now();
    // The header has whole seconds and took a moment to arrive: less than two seconds mean nothing.
    this.clockAheadMs = Math.abs(ahead) < 2_000 ? 0 : ahead;
  }

  async #refusal(method: Method, path: string, answer: Answer): Promise<LockstepError> {
    const { url, source } = this.connection;
    const parsed = problem.safeParse(await this.#json(answer).catch(() => undefined));
    if (!parsed.success) {
      // Another program or a proxy answered.
      const code: ErrorCode = answer.statusCode >= 500 ? 'unreachable' : 'version';
      return new LockstepError(
        code,
        `${url} (from ${source}) answered ${method} ${path} with status ${answer.statusCode}, and not as a coordinator does: is that its address, and is it of the same version?`,
      );
    }
    const { code, detail, diagnostics = [] } = parsed.data;
    const hint =
      code === 'unauthorized'
        ? `; the token came with ${source === '--url' || source === 'LOCKSTEP_URL' ? 'LOCKSTEP_API_TOKEN' : source}`
        : '';
    return new LockstepError(code, detail + hint, { diagnostics });
  }

  async #json(answer: Answer): Promise<unknown> {
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of answer.body) {
      assert(Buffer.isBuffer(chunk), 'a body comes as bytes');
      bytes += chunk.length;
      if (bytes > limits.clientAnswerBytesMax)
        throw new LockstepError(
          'too-large',
          `the answer of ${this.connection.url} is longer than ${limits.clientAnswerBytesMax} bytes`,
        );
      chunks.push(chunk);
    }
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  }

  async #parse<T>(schema: z.ZodType<T>, method: Method, path: string, answer: Answer): Promise<T> {
    let json: unknown;
    try {
      json = await this.#json(answer);
    } catch (error) {
      if (error instanceof LockstepError) throw error;
      if (!(error instanceof SyntaxError)) throw this.unreachable(error);
      json = undefined;
    }
    const parsed = schema.safeParse(json);
    if (parsed.success) return parsed.data;
    throw new LockstepError(
      'version',
      `${this.connection.url} answered ${method} ${path} in a form that this command line does not know: are both of the same version?\n${z.prettifyError(parsed.error)}`,
    );
  }
}
