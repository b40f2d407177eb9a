/** Stands between agent and coordinator on loopback, counts what passes, and can cut it. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

type Teardown = { teardown(work: () => unknown): void };

/** Bytes of each go to the other, and so does the end. */
export function join(one: Socket, other: Socket): void {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.on('error', () => to.destroy());
    from.on('close', () => to.destroy());
    from.pipe(to);
  }
}

export class Relay {
  /** From the agent to the coordinator. */
  upBytes = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(port: number) {
    this.#server = createServer((socket) => {
      const target = connect(port, '127.0.0.1');
      for (const one of [socket, target]) this.#sockets.add(one);
      socket.on('data', (chunk) => {
        this.upBytes += chunk.length;
      });
      join(socket, target);
    });
  }

  static async start(t: Teardown, port: number): Promise<Relay> {
    const relay = new Relay(port);
    relay.#server.listen(0, '127.0.0.1');
    await once(relay.#server, 'listening');
    t.teardown(() => {
      relay.#server.close();
      for (const socket of relay.#sockets) socket.destroy();
    });
    return relay;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }
}
