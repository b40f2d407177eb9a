/** Who reaches the coordinator: connections that agents make to it, and what keeps their words from arriving. */
import type { Random } from '../coordinator/core/random-pipeline.ts';
import type { AgentHost } from './agent-host.ts';
import { type AgentEnd, Connection } from './connection.ts';
import type { CoordinatorProcess } from './coordinator-process.ts';
import type { Life, Timeline } from './timeline.ts';

type Direction = 'up' | 'down';

/** Stands for the handshake of the websocket, in both directions. */
const handshake = '';

export class Network {
  readonly #timeline: Timeline;
  readonly #random: Random;
  readonly #connections = new Map<Connection, AgentHost>();
  readonly #blocked = new Map<AgentHost, Set<Direction>>();
  /** Who answers at the coordinator's address now, to those who may reach it. */
  coordinator: CoordinatorProcess | null = null;
  reaches: (host: AgentHost) => boolean = () => true;

  constructor(timeline: Timeline, random: Random) {
    this.#timeline = timeline;
    this.#random = random;
  }

  /** Undefined when it is refused at once. */
  dial(host: AgentHost, life: Life, end: AgentEnd): Connection | undefined {
    const { coordinator } = this;
    if (coordinator === null || !coordinator.isListening || !this.reaches(host)) return undefined;
    const accepted = coordinator.accept(() => connection, host.node);
    const baseMs = this.#random.chance(0.7) ? 2 * this.#random.next() : 80 * this.#random.next();
    const latencyMs = (): number =>
      baseMs * (1 + this.#random.next()) + (this.#random.chance(0.01) ? 1_500 * this.#random.next() : 0);
    const connection = new Connection(this.#timeline, latencyMs, {
      agent: {
        life,
        end: {
          receive: (frame) => (frame === handshake ? end.opened() : end.receive(frame)),
          closed: () => end.closed(),
        },
      },
      coordinator: {
        life: coordinator.life,
        end: {
          receive: (frame) => {
            if (frame !== handshake) return accepted.receive(frame);
            connection.coordinator.send(handshake);
            accepted.open();
          },
          closed: () => accepted.closed(),
        },
      },
    });
    for (const direction of this.#blocked.get(host) ?? []) connection.block(direction);
    for (const [old] of this.#connections) if (old.isOver) this.#connections.delete(old);
    this.#connections.set(connection, host);
    connection.agent.send(handshake);
    return connection;
  }

  fetch(host: AgentHost, digest: string): string | null | undefined {
    return this.#answers(host)?.content(digest);
  }

  upload(host: AgentHost, digest: string, text: string): boolean {
    return this.#answers(host)?.take(digest, text) === true;
  }

  #answers(host: AgentHost): CoordinatorProcess | undefined {
    const { coordinator } = this;
    const isThere = coordinator?.isListening === true && this.reaches(host) && !this.#blocked.has(host);
    return isThere ? coordinator : undefined;
  }

  /** Nothing gets through in these directions, and neither side is told. */
  block(host: AgentHost, directions: readonly Direction[]): void {
    this.#blocked.set(host, new Set(directions));
    for (const connection of this.#of(host)) for (const direction of directions) connection.block(direction);
  }

  unblock(host: AgentHost): void {
    this.#blocked.delete(host);
    for (const connection of this.#of(host)) connection.unblock();
  }

  /** Something between both forgets their connections: what is on its way may be lost, and a side may not notice. */
  break(host: AgentHost): void {
    const random = this.#random;
    const noticed = (): number | null => (random.chance(0.6) ? 200 * random.next() : null);
    for (const connection of this.#of(host)) {
      connection.break((onItsWay) => random.below(onItsWay + 1), noticed(), noticed());
    }
  }

  #of(host: AgentHost): readonly Connection[] {
    return [...this.#connections].flatMap(([connection, owner]) => (owner === host ? [connection] : []));
  }
}
