/**
 * Which connections have something to send, and when it leaves. Each frame costs a system call, and a thousand
 * of them in a row would keep the loop from what is coming in; so they leave in slices. What tells an agent to
 * act goes first. Acknowledgements wait a moment for company: the next grant takes them along.
 */
import { limits } from '../../shared/limits.ts';
import type { CoordinatorMessage } from '../../shared/messages.ts';
import type { AgentConnection } from './connection.ts';

const patientTypes: ReadonlySet<CoordinatorMessage['type']> = new Set<CoordinatorMessage['type']>([
  'ack-results',
  'ack-log',
  'pong',
]);

/** How often the clock is looked at while frames are sent. */
const framesPerLook = 8;

export class Outbox {
  readonly #urgent = new Set<AgentConnection>();
  readonly #patient = new Set<AgentConnection>();
  #next: NodeJS.Immediate | undefined;
  #later: NodeJS.Timeout | undefined;

  add(connection: AgentConnection, message: CoordinatorMessage): void {
    connection.enqueue(message);
    if (!patientTypes.has(message.type)) {
      this.#patient.delete(connection);
      this.#urgent.add(connection);
      this.#next ??= setImmediate(() => this.#flushUrgent());
    } else if (!this.#urgent.has(connection)) {
      this.#patient.add(connection);
      this.#later ??= setTimeout(() => this.#flushPatient(), limits.acknowledgementDelayMs);
    }
  }

  /** Lets what is urgent leave now, as far as a slice of time goes; the rest follows by itself. */
  flush(): void {
    clearImmediate(this.#next);
    this.#flushUrgent();
  }

  /** It is gone. */
  drop(connection: AgentConnection): void {
    this.#urgent.delete(connection);
    this.#patient.delete(connection);
  }

  close(): void {
    clearImmediate(this.#next);
    clearTimeout(this.#later);
  }

  #flushUrgent(): void {
    this.#next = undefined;
    if (!sendSlice(this.#urgent)) this.#next = setImmediate(() => this.#flushUrgent());
  }

  #flushPatient(): void {
    this.#later = undefined;
    if (!sendSlice(this.#patient)) this.#later = setTimeout(() => this.#flushPatient(), 1);
  }
}

/** False when the time was over before the end. */
function sendSlice(connections: Set<AgentConnection>): boolean {
  const until = performance.now() + limits.sendSliceMs;
  let sent = 0;
  for (const connection of connections) {
    connections.delete(connection);
    connection.flush();
    sent += 1;
    if (sent % framesPerLook === 0 && performance.now() > until) return connections.size === 0;
  }
  return true;
}
