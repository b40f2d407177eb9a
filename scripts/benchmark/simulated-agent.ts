/**
 * One agent without a host: it joins, reports facts, pulls, and answers every grant with a success. It keeps
 * to the protocol of shared/messages.ts and puts into one frame what the real agent puts into one: what is
 * true as soon as the job was accepted, then what is true when its script has ended.
 */
import { randomBytes } from 'node:crypto';
import { WebSocket } from 'ws';
import { assertNever } from '../../shared/assert.ts';
import {
  type AgentMessage,
  type AttemptResult,
  type CoordinatorMessage,
  formatFrame,
  parseCoordinatorFrame,
  protocolVersion,
} from '../../shared/messages.ts';
import { hostFacts } from './host-facts.ts';

export type Observer = {
  readonly jobMs: () => number;
  readonly onGrant: (attempt: string) => void;
  readonly onResult: (attempt: string) => void;
  readonly onAcknowledged: (results: number) => void;
  readonly onBroken: (reason: string) => void;
};

export type Place = { readonly url: string; readonly token: string };

export class SimulatedAgent {
  /** Resolves when it has asked for work. */
  readonly joined: Promise<void>;
  readonly #name: string;
  readonly #number: number;
  readonly #observer: Observer;
  readonly #socket: WebSocket;
  #tellJoined: () => void = () => undefined;
  #results = 0;
  #acknowledged = 0;
  #spokeAt = 0;

  constructor(number: number, { url, token }: Place, observer: Observer) {
    this.#number = number;
    this.#name = simulatedName(number);
    this.#observer = observer;
    this.joined = new Promise((resolve) => {
      this.#tellJoined = resolve;
    });
    this.#socket = new WebSocket(`${url.replace('http', 'ws')}/agent`, {
      headers: { authorization: `Bearer ${token}` },
      perMessageDeflate: false,
    });
    this.#socket.on('message', (content: Buffer) => this.#receive(content.toString()));
    this.#socket.on('error', (error) => observer.onBroken(`${this.#name}: ${error.message}`));
    this.#socket.on('close', (code, reason) =>
      observer.onBroken(
        `${this.#name}: the coordinator closed the connection (${code}) ${reason.toString()}`,
      ),
    );
  }

  pingIfQuietFor(ms: number): void {
    if (performance.now() - this.#spokeAt >= ms) this.#send({ type: 'ping' });
  }

  #send(...messages: readonly AgentMessage[]): void {
    this.#spokeAt = performance.now();
    this.#socket.send(formatFrame(messages));
  }

  #receive(text: string): void {
    const frame = parseCoordinatorFrame(text);
    if (!frame.ok) this.#observer.onBroken(`${this.#name}: ${frame.reason}`);
    else for (const message of frame.messages) this.#take(message);
  }

  #take(message: CoordinatorMessage): void {
    switch (message.type) {
      case 'challenge':
        this.#send(this.#hello());
        break;
      case 'welcome':
        this.#send(
          {
            type: 'facts',
            // The coordinator names facts by its own digest of them.
            digest: `sha256:${'0'.repeat(64)}`,
            facts: hostFacts(this.#name, this.#number),
          },
          { type: 'pull', credit: 1 },
        );
        this.#tellJoined();
        break;
      case 'grant':
        for (const { attempt } of message.jobs) this.#begin(attempt);
        break;
      case 'ack-results':
        this.#observer.onAcknowledged(message.upTo - this.#acknowledged);
        this.#acknowledged = message.upTo;
        break;
      case 'ping':
        this.#send({ type: 'pong' });
        break;
      case 'pong':
      case 'upgrade':
      case 'ack-log':
      case 'recall':
        break;
      case 'rejected':
      case 'cancel':
        this.#observer.onBroken(`${this.#name}: ${message.type}: ${message.reason}`);
        break;
      default:
        assertNever(message);
    }
  }

  #hello(): AgentMessage {
    return {
      type: 'hello',
      protocol: protocolVersion,
      version: '0.1.0',
      name: this.#name,
      labels: { rack: `rack-${this.#number % 40}`, site: 'bench' },
      incarnation: randomBytes(16).toString('hex'),
      boot: `${randomBytes(16).toString('hex')}-1`,
      counter: 1,
      machineId: randomBytes(16).toString('hex'),
      diskless: false,
      features: [],
      address: '127.0.0.1',
      held: [],
    };
  }

  #begin(attempt: string): void {
    this.#observer.onGrant(attempt);
    const startedAt = Date.now();
    this.#send({ type: 'accepted', attempt }, { type: 'started', attempt, at: startedAt });
    const ms = this.#observer.jobMs();
    if (ms === 0) setImmediate(() => this.#end(attempt, startedAt));
    else setTimeout(() => this.#end(attempt, startedAt), ms);
  }

  #end(attempt: string, startedAt: number): void {
    this.#results += 1;
    const finishedAt = Date.now();
    const result: AttemptResult = {
      attempt,
      outcome: 'succeeded',
      final: true,
      unchanged: false,
      exitCode: 0,
      signal: null,
      reason: null,
      phase: 'run',
      iterations: 1,
      startedAt,
      finishedAt,
      durationMs: finishedAt - startedAt,
      outputs: {},
      logs: { stdout: 0, stderr: 0 },
    };
    this.#observer.onResult(attempt);
    this.#send({ type: 'result', number: this.#results, result }, { type: 'pull', credit: 1 });
  }
}

export const simulatedName = (number: number): string => `sim-${String(number).padStart(5, '0')}`;
