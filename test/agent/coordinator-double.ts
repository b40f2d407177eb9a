/**
 * A coordinator for tests: real sockets, the real messages, no decisions of its own beyond answering `hello`
 * and acknowledging what comes, each of which a test may withhold. It records every message it got.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type WebSocket, WebSocketServer } from 'ws';
import {
  type AgentMessage,
  type AttemptResult,
  type CoordinatorMessage,
  type Hello,
  type JobSpecification,
  parseAgentFrame,
} from '../../shared/messages.ts';

type MessageOf<Type extends AgentMessage['type']> = AgentMessage & { readonly type: Type };

const waitMs = 30_000;

export class CoordinatorDouble {
  readonly received: AgentMessage[] = [];
  /** Frames as they came. */
  readonly frames: string[] = [];
  readonly blobs = new Map<string, Buffer>();
  readonly requests: string[] = [];
  /** The log of each attempt and stream as far as it was taken, `attempt stream` → bytes; gaps as `[n cut]`. */
  readonly logs = new Map<string, { text: Buffer[]; length: number }>();
  lineage = 'lineage-1';
  epoch = 1;
  heartbeatMs = 15_000;
  welcomes = true;
  acknowledgesResults = true;
  acknowledgesLogs = true;
  /** Answers the upgrade with this status instead of a websocket. */
  refuseWith: number | undefined;
  /** Answers the next upgrades with 503 and this many seconds to wait. */
  readonly putOffWith: number[] = [];
  /** Cuts the next bodies of blobs after so many bytes. */
  breakBlobsAfter: number[] = [];
  /** Takes so many bytes of the next uploads, keeps them, and breaks the connection. */
  breakUploadsAfter: number[] = [];
  /** What came of uploads that broke, by digest. */
  readonly partial = new Map<string, Buffer>();
  connections = 0;
  readonly #server: Server;
  readonly #sockets = new WebSocketServer({ noServer: true, maxPayload: 1024 * 1024 });
  #socket: WebSocket | undefined;
  #changed = Promise.withResolvers<void>();

  private constructor() {
    this.#server = createServer((request, response) => this.#serve(request, response));
    this.#server.on('upgrade', (request, socket, head) => {
      if (this.refuseWith !== undefined) {
        socket.end(`HTTP/1.1 ${this.refuseWith} No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
        return;
      }
      const seconds = this.putOffWith.shift();
      if (seconds !== undefined) {
        socket.end(
          `HTTP/1.1 503 Busy\r\nRetry-After: ${seconds}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
        );
        return;
      }
      this.#sockets.handleUpgrade(request, socket, head, (websocket) => this.#greet(websocket));
    });
  }

  static async start(port = 0, host = '127.0.0.1'): Promise<CoordinatorDouble> {
    const double = new CoordinatorDouble();
    double.#server.listen(port, host);
    await once(double.#server, 'listening');
    return double;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get port(): number {
    const address: AddressInfo | string | null = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('not listening');
    return address.port;
  }

  async stop(): Promise<void> {
    this.#socket?.terminate();
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  send(...messages: CoordinatorMessage[]): void {
    this.sendText(JSON.stringify(messages));
  }

  sendText(text: string | Buffer): void {
    this.#socket?.send(text);
  }

  /** The TCP connection under the websocket, for what websockets do not do. */
  get socket(): WebSocket {
    if (this.#socket === undefined) throw new Error('no agent is connected');
    return this.#socket;
  }

  dropLink(): void {
    this.#socket?.terminate();
    this.#socket = undefined;
  }

  grant(...jobs: JobSpecification[]): void {
    this.send({ type: 'grant', lineage: this.lineage, epoch: this.epoch, jobs });
  }

  /** Waits until the messages received so far satisfy it. */
  async until<T>(
    what: string,
    find: (received: readonly AgentMessage[]) => T | undefined | false,
  ): Promise<T> {
    const deadline = Date.now() + waitMs;
    for (;;) {
      const found = find(this.received);
      if (found !== undefined && found !== false) return found;
      if (Date.now() > deadline) {
        throw new Error(`never came: ${what}; received ${this.received.map((m) => m.type).join(' ')}`);
      }
      await Promise.race([this.#changed.promise, sleep(100)]);
    }
  }

  ofType<Type extends AgentMessage['type']>(type: Type): MessageOf<Type>[] {
    return this.received.filter((message): message is MessageOf<Type> => message.type === type);
  }

  hello(count = 1): Promise<Hello> {
    return this.until(`hello ${count}`, () => this.ofType('hello')[count - 1]);
  }

  pull(count = 1): Promise<unknown> {
    return this.until(`pull ${count}`, () => this.ofType('pull')[count - 1]);
  }

  async result(attempt: string): Promise<AttemptResult> {
    const message = await this.until(`result of ${attempt}`, () =>
      this.ofType('result').find(({ result }) => result.attempt === attempt),
    );
    return message.result;
  }

  /** The whole log, once it has the length that the result says. */
  async log(attempt: string, stream: 'stdout' | 'stderr' = 'stdout'): Promise<Buffer> {
    const { logs } = await this.result(attempt);
    return this.until(`log of ${attempt}`, () => {
      const taken = this.logs.get(`${attempt} ${stream}`);
      if (logs[stream] === 0) return Buffer.alloc(0);
      return taken?.length === logs[stream] && Buffer.concat(taken.text);
    });
  }

  #greet(websocket: WebSocket): void {
    this.connections += 1;
    this.#socket = websocket;
    websocket.on('error', () => undefined);
    websocket.on('message', (bytes) => this.#take(websocket, bytes.toString()));
    const { lineage, epoch } = this;
    this.send({ type: 'challenge', protocol: 1, protocolMin: 1, lineage, epoch, nonce: 'n' });
  }

  #take(websocket: WebSocket, text: string): void {
    if (websocket !== this.#socket) return;
    const frame = parseAgentFrame(text);
    if (!frame.ok) throw new Error(`the agent sent a bad frame: ${frame.reason}`);
    this.frames.push(text);
    for (const message of frame.messages) {
      this.received.push(message);
      this.#answer(message);
    }
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  #answer(message: AgentMessage): void {
    if (message.type === 'hello' && this.welcomes) {
      const { heartbeatMs } = this;
      this.send({ type: 'welcome', node: message.name, heartbeatMs, factsWanted: true });
    }
    if (message.type === 'ping') this.send({ type: 'pong' });
    if (message.type === 'result' && this.acknowledgesResults) {
      this.send({ type: 'ack-results', upTo: message.number });
    }
    if (message.type === 'log') this.#takeLog(message);
  }

  #takeLog({ attempt, stream, offset, base64, gapBytes }: MessageOf<'log'>): void {
    const key = `${attempt} ${stream}`;
    const log = this.logs.get(key) ?? { text: [], length: 0 };
    this.logs.set(key, log);
    const bytes =
      gapBytes === undefined ? Buffer.from(base64 ?? '', 'base64') : Buffer.from(`[${gapBytes} cut]`);
    if (offset > log.length) throw new Error(`${key} has a hole at ${log.length}: ${offset} came`);
    const known = log.length - offset;
    const length = gapBytes ?? bytes.length;
    if (known < length) {
      log.text.push(gapBytes === undefined ? bytes.subarray(known) : bytes);
      log.length = offset + length;
    }
    if (this.acknowledgesLogs) this.send({ type: 'ack-log', attempt, stream, upTo: log.length });
  }

  #takeUpload(digest: string, request: IncomingMessage, response: ServerResponse): void {
    const start = Number(/^bytes ([0-9]+)-/.exec(request.headers['content-range'] ?? '')?.[1] ?? 0);
    const chunks = [(this.partial.get(digest) ?? Buffer.alloc(0)).subarray(0, start)];
    const breakAfter = this.breakUploadsAfter.shift();
    request.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      const content = Buffer.concat(chunks);
      if (breakAfter === undefined || content.length - start < breakAfter) return;
      this.partial.set(digest, content);
      request.destroy();
    });
    request.on('end', () => {
      this.blobs.set(digest, Buffer.concat(chunks));
      response.writeHead(204).end();
    });
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const { range } = request.headers;
    const place = range ?? request.headers['content-range'];
    this.requests.push(`${request.method} ${request.url}${place === undefined ? '' : ` ${place}`}`);
    const [digest = '', question] = request.url?.replace('/blobs/', '').split('/') ?? [];
    if (question === 'offset') {
      response.end(
        JSON.stringify({ complete: this.blobs.has(digest), offset: this.partial.get(digest)?.length ?? 0 }),
      );
      return;
    }
    if (request.method === 'PUT') {
      this.#takeUpload(digest, request, response);
      return;
    }
    const blob = this.blobs.get(digest);
    if (blob === undefined) {
      response.writeHead(404).end();
      return;
    }
    const start = Number(/^bytes=([0-9]+)-$/.exec(range ?? '')?.[1] ?? 0);
    response.writeHead(start > 0 ? 206 : 200, { 'content-length': blob.length - start });
    const breakAfter = this.breakBlobsAfter.shift();
    if (breakAfter === undefined) response.end(blob.subarray(start));
    else
      response.write(blob.subarray(start, start + breakAfter), () =>
        setTimeout(() => response.destroy(), 50),
      );
  }
}

/** A job that runs a shell script; everything else as a pipeline has it by default. */
export function jobOf(attempt: string, text: string, more: Partial<JobSpecification> = {}): JobSpecification {
  return {
    attempt,
    attemptsMax: 1,
    backoffMs: 0,
    mode: 'normal',
    run: scriptOf(text),
    timeoutMs: 60_000,
    leaves: 'nothing',
    inputs: {},
    secretInputs: [],
    outputs: {},
    environment: {},
    ...more,
  };
}

export const scriptOf = (text: string) => ({ shell: ['/bin/sh'], source: { text } });
