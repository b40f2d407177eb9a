/** The websocket that the gateway holds, as `ws` behaves, on a simulated connection. */
import { WebSocket } from 'ws';
import type { AgentSocket } from '../../coordinator/ws/connection.ts';
import { limits } from '../../shared/limits.ts';
import { type CoordinatorMessage, parseCoordinatorFrame } from '../../shared/messages.ts';
import type { Random } from '../coordinator/core/random-pipeline.ts';
import type { Side } from './connection.ts';
import type { Timeline } from './timeline.ts';

export type SocketParts = {
  readonly timeline: Timeline;
  readonly random: Random;
  readonly side: Side;
  /** Once, as `ws` says it, with the code of the close frame. */
  readonly closed: (code: number) => void;
  readonly said: (message: CoordinatorMessage) => void;
};

const lostCode = 1006;

export class SimulatedSocket implements AgentSocket {
  readonly side: Side;
  readonly bufferedAmount = 0;
  readyState: AgentSocket['readyState'] = WebSocket.OPEN;
  readonly #parts: SocketParts;

  constructor(parts: SocketParts) {
    this.#parts = parts;
    this.side = parts.side;
  }

  send(frame: string): void {
    const parsed = parseCoordinatorFrame(frame);
    if (!parsed.ok) throw new Error(`the coordinator says what it should not: ${parsed.reason}`);
    for (const message of parsed.messages) this.#parts.said(message);
    this.side.send(frame);
  }

  /** The other side answers soon, or is given up after a while. */
  close(code: number): void {
    if (this.readyState !== WebSocket.OPEN) return;
    this.readyState = WebSocket.CLOSING;
    this.side.close();
    const { random, timeline } = this.#parts;
    const waitMs = random.chance(0.9) ? 60 * random.next() : limits.closeWaitMs;
    timeline.after(waitMs, () => this.#gone(code));
  }

  terminate(): void {
    if (this.readyState === WebSocket.CLOSED) return;
    this.side.close();
    this.#parts.timeline.after(0, () => this.#gone(lostCode));
  }

  /** The other side closed it, or it broke. */
  gone(): void {
    this.#gone(lostCode);
  }

  /** Reading is never stopped here: what would stop it is more than a simulation produces. */
  pause(): void {}
  resume(): void {}

  #gone(code: number): void {
    if (this.readyState === WebSocket.CLOSED) return;
    this.readyState = WebSocket.CLOSED;
    this.side.forget();
    this.#parts.closed(code);
  }
}
