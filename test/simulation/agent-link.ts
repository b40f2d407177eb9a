/**
 * What agent/link/coordinator-link.ts does, on simulated connections: connects, comes back for ever, and
 * notices a peer that is gone.
 */
import { reconnectDelayMs } from '../../agent/link/addresses.ts';
import { limits } from '../../shared/limits.ts';
import {
  type AgentMessage,
  type CoordinatorMessage,
  formatFrame,
  parseCoordinatorFrame,
} from '../../shared/messages.ts';
import type { AgentHost } from './agent-host.ts';
import { type AgentProgram, heardBy, saidBy } from './agent-programs.ts';
import type { Connection, End } from './connection.ts';
import type { Life, Task } from './timeline.ts';

export type LinkParts = {
  readonly host: AgentHost;
  readonly life: Life;
  readonly program: AgentProgram;
  readonly onMessages: (messages: readonly CoordinatorMessage[]) => void;
  readonly onDown: () => void;
};

export class AgentLink {
  readonly #parts: LinkParts;
  #connection: Connection | undefined;
  #isOpen = false;
  #outgoing: AgentMessage[] = [];
  #joined = false;
  #failures = 0;
  #notBeforeMs = 0;
  #closed = false;
  #watchdog: { cancelled: boolean } | undefined;
  #handshake: Task | undefined;
  #openedAtMs = 0;
  #heardAtMs = 0;
  #sentAtMs = 0;

  constructor(parts: LinkParts) {
    this.#parts = parts;
  }

  connect(): void {
    const { host, life } = this.#parts;
    this.#isOpen = false;
    const isCurrent = (): boolean => this.#connection === connection;
    const end: End & { readonly opened: () => void } = {
      opened: () => {
        if (!isCurrent()) return;
        this.#isOpen = true;
        if (this.#handshake !== undefined) this.#handshake.cancelled = true;
        this.#openedAtMs = host.timeline.now;
        this.#watch(limits.helloWaitMs);
      },
      receive: (frame) => {
        if (!isCurrent()) return;
        this.#heardAtMs = host.timeline.now;
        const parsed = parseCoordinatorFrame(frame);
        if (parsed.ok) this.#take(parsed.messages);
        else this.hangUp(parsed.reason, 0);
      },
      closed: () => {
        if (isCurrent()) this.#down('the connection was closed');
      },
    };
    const connection = host.network.dial(host, life, end);
    this.#connection = connection;
    if (connection === undefined) {
      host.timeline.after(5, () => this.#down('nobody listens'), life);
      return;
    }
    const giveUp = (): void => {
      if (isCurrent() && !this.#isOpen) this.hangUp('no answer', 0);
    };
    this.#handshake = host.timeline.after(limits.helloWaitMs, giveUp, life);
  }

  #take(all: readonly CoordinatorMessage[]): void {
    const messages = all.flatMap((message) => heardBy(this.#parts.program, message) ?? []);
    for (const message of messages) {
      if (message.type === 'ping') this.send({ type: 'pong' });
      if (message.type === 'welcome') {
        this.#joined = true;
        this.#failures = 0;
        this.#watch(message.heartbeatMs);
      }
    }
    this.#parts.onMessages(messages);
  }

  send(full: AgentMessage): void {
    const { host, life, program } = this.#parts;
    const message = saidBy(program, full);
    if (!this.#isOpen || message === undefined) return;
    if (this.#outgoing.length === 0) host.timeline.after(0.1, () => this.#flush(), life);
    this.#outgoing.push(message);
  }

  hangUp(reason: string, retryAfterMs: number): void {
    if (this.#connection === undefined) return;
    this.#notBeforeMs = retryAfterMs;
    // What was said last should arrive.
    this.#flush();
    this.#connection.agent.close();
    this.#down(reason);
  }

  /** The process is told to end, and does. */
  close(): void {
    this.#closed = true;
    this.#flush();
    this.#connection?.agent.close();
  }

  /** The process is no more; its kernel, if that lives, ends the connection. */
  die(kernelLives: boolean): void {
    if (kernelLives) this.#connection?.agent.close();
    else this.#connection?.agent.forget();
  }

  #flush(): void {
    const messages = this.#outgoing;
    this.#outgoing = [];
    if (messages.length === 0 || !this.#isOpen) return;
    this.#sentAtMs = this.#parts.host.timeline.now;
    for (const message of messages) this.#parts.host.said(message);
    for (let first = 0; first < messages.length; first += limits.frameMessagesMax) {
      this.#connection?.agent.send(formatFrame(messages.slice(first, first + limits.frameMessagesMax)));
    }
  }

  #watch(intervalMs: number): void {
    const { timeline } = this.#parts.host;
    if (this.#watchdog !== undefined) this.#watchdog.cancelled = true;
    this.#watchdog = timeline.every(
      intervalMs / 2,
      () => {
        const isGone = this.#joined
          ? timeline.now - this.#heardAtMs >= 2 * intervalMs
          : timeline.now - this.#openedAtMs >= intervalMs;
        if (isGone) this.hangUp('the coordinator fell silent', 0);
        else if (this.#joined && timeline.now - Math.min(this.#heardAtMs, this.#sentAtMs) >= intervalMs)
          this.send({ type: 'ping' });
      },
      this.#parts.life,
    );
  }

  #down(reason: string): void {
    const { host, life } = this.#parts;
    this.#connection = undefined;
    this.#isOpen = false;
    this.#outgoing = [];
    this.#joined = false;
    if (this.#watchdog !== undefined) this.#watchdog.cancelled = true;
    this.#parts.onDown();
    if (this.#closed) return;
    host.judge.tell(() => `${host.id}: link down: ${reason}`);
    this.#failures += 1;
    const delayMs = Math.max(reconnectDelayMs(this.#failures, 1, host.random.next()), this.#notBeforeMs);
    this.#notBeforeMs = 0;
    host.timeline.after(delayMs, () => this.connect(), life);
  }
}
