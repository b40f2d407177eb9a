/** A real HTTP server that answers webhooks as badly as a test wants, one behaviour after the other. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { present } from '../../../shared/assert.ts';

export type Received = {
  readonly path: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: string;
};

export type Behaviour = 'accept' | 'close-before' | 'close-within' | 'silence' | number;

export class WebhookReceiver {
  readonly received: Received[] = [];
  /** What it does next; then it accepts. */
  readonly next: Behaviour[] = [];
  #server: Server | undefined;
  readonly #sockets = new Set<Socket>();
  #port = 0;
  #wake: (() => void)[] = [];

  static async open(t: { teardown(work: () => unknown): void }): Promise<WebhookReceiver> {
    const receiver = new WebhookReceiver();
    await receiver.open();
    t.teardown(() => receiver.close());
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/hooks/token-of-the-url`;
  }

  /** On the port that it had before. */
  async open(): Promise<void> {
    const server = createServer((request, response) => void this.#take(request, response));
    server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve));
    this.#port = (server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    for (const socket of this.#sockets) socket.destroy();
    if (server !== undefined) await new Promise((resolve) => server.close(resolve));
  }

  /** The requests that came so far, when there are so many. */
  async count(number: number): Promise<readonly Received[]> {
    const deadline = Date.now() + 30_000;
    while (this.received.length < number) {
      if (Date.now() > deadline)
        throw new Error(`${this.received.length} requests came instead of ${number}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 1_000);
        this.#wake.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
    return this.received;
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const headers = Object.fromEntries(
      Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
    );
    this.received.push({
      path: present(request.url, 'path'),
      headers,
      body: Buffer.concat(chunks).toString(),
    });
    for (const wake of this.#wake.splice(0)) wake();
    const behaviour = this.next.shift() ?? 'accept';
    switch (behaviour) {
      case 'accept':
        response.end('ok');
        return;
      case 'close-before':
        request.socket.destroy();
        return;
      case 'close-within':
        response.writeHead(200, { 'content-length': '1000' });
        response.write('half of it', () => request.socket.destroy());
        return;
      case 'silence':
        return;
      default:
        response.writeHead(behaviour, { location: 'http://127.0.0.1:1/elsewhere' });
        response.end();
    }
  }
}
