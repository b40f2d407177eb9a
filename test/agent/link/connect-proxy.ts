/** A proxy for tests that knows CONNECT and nothing else, on loopback. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { join } from './relay.ts';

type Teardown = { teardown(work: () => unknown): void };

export class ConnectProxy {
  /** What it was asked for, with the credentials that came along. */
  readonly asked: string[] = [];
  /** `user:password` that it wants. */
  credentials: string | null = null;
  /** Takes the request and says nothing. */
  hangs = false;
  /** Where names lead that only this proxy knows. */
  readonly names = new Map<string, string>();
  readonly #server: Server = createServer();
  readonly #sockets = new Set<Socket>();

  static async start(t: Teardown): Promise<ConnectProxy> {
    const proxy = new ConnectProxy();
    proxy.#server.on('connection', (socket) => proxy.#sockets.add(socket));
    proxy.#server.on('connect', (request, socket: Socket) => {
      const credentials = Buffer.from(
        request.headers['proxy-authorization']?.replace('Basic ', '') ?? '',
        'base64',
      ).toString();
      proxy.asked.push(`${request.url} ${credentials}`.trim());
      socket.on('error', () => undefined);
      if (proxy.hangs) return;
      if (proxy.credentials !== null && proxy.credentials !== credentials) {
        socket.end('HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n');
        return;
      }
      const { hostname, port } = new URL(`http://${request.url}`);
      const target = connect(Number(port), proxy.names.get(hostname) ?? hostname.replace(/^\[|\]$/g, ''));
      target.once('error', () => socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n'));
      target.once('connect', () => {
        socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
        join(socket, target);
      });
    });
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    t.teardown(() => {
      proxy.#server.close();
      for (const socket of proxy.#sockets) socket.destroy();
    });
    return proxy;
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }
}
