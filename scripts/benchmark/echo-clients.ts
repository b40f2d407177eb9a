/** Bare connections that send a frame whenever they get one: what websockets alone cost on this machine. */

import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { nowMs } from './process-usage.ts';

/** Handshakes at once: below the backlog of a listening socket. */
const connectsAtOnce = 50;

export class EchoClients {
  readonly #sockets: readonly WebSocket[];

  private constructor(sockets: readonly WebSocket[]) {
    this.#sockets = sockets;
  }

  static async connect(url: string, count: number): Promise<EchoClients> {
    const sockets: WebSocket[] = [];
    while (sockets.length < count) {
      const batch = Array.from(
        { length: Math.min(connectsAtOnce, count - sockets.length) },
        () => new WebSocket(url, { perMessageDeflate: false }),
      );
      await Promise.all(batch.map((socket) => once(socket, 'open')));
      sockets.push(...batch);
    }
    return new EchoClients(sockets);
  }

  /** Begins only after a moment, so that others can look at what the idle connections cost. */
  async exchange(frame: string, forMs: number): Promise<{ frames: number; roundTripMs: number[] }> {
    await sleep(idleMs);
    const roundTripMs: number[] = [];
    const endsAt = nowMs() + forMs;
    let frames = 0;
    const ended = this.#sockets.map(
      (socket, index) =>
        new Promise<void>((resolve) => {
          let sentAt = nowMs();
          socket.on('message', () => {
            const at = nowMs();
            frames += 1;
            if (index === 0) roundTripMs.push(at - sentAt);
            if (at >= endsAt) return resolve();
            sentAt = at;
            socket.send(frame);
          });
          socket.send(frame);
        }),
    );
    await Promise.all(ended);
    return { frames, roundTripMs };
  }

  close(): void {
    for (const socket of this.#sockets) socket.terminate();
  }
}

export const idleMs = 500;
