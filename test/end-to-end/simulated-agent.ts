/**
 * A small agent that speaks the real protocol over a real websocket and executes nothing: it only remembers
 * what it was told to do, and when. It keeps the rules that the coordinator relies on: an attempt is executed
 * once, and a result is sent until it is acknowledged. What it remembers outlives its connections.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { jobIdOf, parseAttemptId } from '../../shared/ids.ts';
import { type AgentMessage, formatFrame, parseCoordinatorFrame } from '../../shared/messages.ts';

export type Execution = {
  readonly attempt: string;
  readonly step: string;
  readonly node: string;
  readonly order: number;
};

/** Counts executions and acknowledgements over all agents of a test, in the order in which they happened. */
export class Witness {
  readonly executions: Execution[] = [];
  /** Attempts whose result the coordinator has acknowledged. */
  readonly acknowledged = new Set<string>();
  readonly faults: string[] = [];
}

export type SimulatedAgentOptions = {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Asked at each connection: the address changes when the coordinator is started anew. */
  readonly url: () => string | undefined;
  readonly token: string;
  readonly jobMs: () => number;
  readonly witness: Witness;
};

const reconnectMs = 50;

export class SimulatedAgent {
  readonly #options: SimulatedAgentOptions;
  readonly #held = new Map<string, 'accepted' | 'running'>();
  readonly #known = new Set<string>();
  readonly #outbox: { number: number; attempt: string }[] = [];
  #number = 0;
  #counter = 0;
  #socket: WebSocket | undefined;
  #ended = false;
  readonly #done: Promise<void>;

  constructor(options: SimulatedAgentOptions) {
    this.#options = options;
    this.#done = this.#live();
  }

  /** Its link is lost; it comes back as soon as there is an address to go to. */
  unlink(): void {
    this.#socket?.terminate();
  }

  async end(): Promise<void> {
    this.#ended = true;
    this.#socket?.terminate();
    await this.#done;
  }

  async #live(): Promise<void> {
    while (!this.#ended) {
      const url = this.#options.url();
      if (url !== undefined) await this.#connect(url);
      await delay(reconnectMs);
    }
  }

  #connect(url: string): Promise<void> {
    const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/agent`, {
      headers: { authorization: `Bearer ${this.#options.token}` },
      perMessageDeflate: false,
    });
    this.#socket = socket;
    socket.on('message', (bytes) => this.#hear(bytes.toString()));
    return new Promise((resolve) => {
      socket.on('error', () => {});
      socket.on('close', () => resolve());
    });
  }

  #say(...messages: AgentMessage[]): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(formatFrame(messages));
  }

  #hear(text: string): void {
    const frame = parseCoordinatorFrame(text);
    if (!frame.ok) {
      this.#options.witness.faults.push(frame.reason);
      return;
    }
    for (const message of frame.messages) {
      switch (message.type) {
        case 'challenge':
          this.#hello();
          break;
        case 'welcome':
          for (const { number, attempt } of this.#outbox) this.#sendResult(number, attempt);
          this.#pull();
          break;
        case 'rejected':
          this.#options.witness.faults.push(`${this.#options.name} was rejected: ${message.reason}`);
          break;
        case 'grant':
          for (const job of message.jobs) void this.#execute(job.attempt);
          break;
        case 'ack-results':
          this.#forget(message.upTo);
          break;
        case 'ping':
          this.#say({ type: 'pong' });
          break;
        default:
          break;
      }
    }
  }

  #hello(): void {
    this.#counter += 1;
    const { name, labels } = this.#options;
    this.#say({
      type: 'hello',
      protocol: 1,
      version: 'simulated',
      name,
      labels: { ...labels },
      incarnation: `incarnation-${name}`,
      boot: 'boot-1',
      counter: this.#counter,
      diskless: false,
      features: [],
      held: [
        ...[...this.#held].map(([attempt, state]) => ({ attempt, state })),
        ...this.#outbox.map(({ attempt }) => ({ attempt, state: 'ended' as const })),
      ],
    });
  }

  async #execute(attempt: string): Promise<void> {
    if (this.#known.has(attempt)) return;
    this.#known.add(attempt);
    const { witness, name } = this.#options;
    const parsed = parseAttemptId(attempt);
    if (parsed === undefined || parsed.node !== name) {
      witness.faults.push(`${name} was granted ${attempt}`);
      return;
    }
    this.#held.set(attempt, 'running');
    witness.executions.push({ attempt, step: parsed.step, node: name, order: witness.executions.length });
    this.#say({ type: 'accepted', attempt }, { type: 'started', attempt, at: Date.now() });
    await delay(this.#options.jobMs());
    if (this.#ended) return;
    this.#held.delete(attempt);
    this.#number += 1;
    this.#outbox.push({ number: this.#number, attempt });
    this.#sendResult(this.#number, attempt);
    this.#pull();
  }

  #sendResult(number: number, attempt: string): void {
    this.#say({
      type: 'result',
      number,
      result: {
        attempt,
        outcome: 'succeeded',
        final: true,
        unchanged: false,
        exitCode: 0,
        signal: null,
        reason: null,
        phase: 'run',
        iterations: 1,
        startedAt: null,
        finishedAt: Date.now(),
        durationMs: 1,
        outputs: {},
        logs: { stdout: 0, stderr: 0 },
      },
    });
  }

  #pull(): void {
    if (this.#held.size === 0) this.#say({ type: 'pull', credit: 1 });
  }

  #forget(upTo: number): void {
    while (this.#outbox[0] !== undefined && this.#outbox[0].number <= upTo) {
      const first = this.#outbox.shift();
      if (first !== undefined) this.#options.witness.acknowledged.add(first.attempt);
    }
  }
}

/** The job of an attempt, by which the journal and the agents' memory are compared. */
export const jobOfAttempt = (attempt: string): string => {
  const name = parseAttemptId(attempt);
  return name === undefined ? attempt : jobIdOf(name.run, name.step, name.node);
};
