/**
 * One agent without a host: it joins, reports facts, pulls, and answers every grant with a success. It keeps
 * to the protocol of shared/messages.ts and puts into one frame what the real agent puts into one: what is
 * true as soon as the job was accepted, then what is true when its script has ended. It waits for its turn and,
 * once it was told that the coordinator will go, comes back as the real one does.
 */
import { hash, randomBytes } from 'node:crypto';
import { WebSocket } from 'ws';
import { reconnectDelayMs, retryAfterMs } from '../../agent/link/addresses.ts';
import { assertNever } from '../../shared/assert.ts';
import { canonicalJson } from '../../shared/canonical-json.ts';
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
  readonly onWelcome: () => void;
};

export type Place = { readonly url: string; readonly token: string };

export class SimulatedAgent {
  /** Resolves when it has asked for work. */
  readonly joined: Promise<void>;
  readonly #name: string;
  readonly #number: number;
  readonly #observer: Observer;
  readonly #place: Place;
  readonly #incarnation = randomBytes(16).toString('hex');
  readonly #boot = `${randomBytes(16).toString('hex')}-1`;
  readonly #machineId = randomBytes(16).toString('hex');
  #socket: WebSocket;
  #tellJoined: () => void = () => undefined;
  #connections = 0;
  #failures = 0;
  #comesBack = false;
  #results = 0;
  #acknowledged = 0;
  #spokeAt = 0;

  constructor(number: number, place: Place, observer: Observer) {
    this.#number = number;
    this.#name = simulatedName(number);
    this.#place = place;
    this.#observer = observer;
    this.joined = new Promise((resolve) => {
      this.#tellJoined = resolve;
    });
    this.#socket = this.#connect();
  }

  /** From now on a lost link is no fault. */
  comeBack(): void {
    this.#comesBack = true;
  }

  #connect(): WebSocket {
    const { url, token } = this.#place;
    const socket = new WebSocket(`${url.replace('http', 'ws')}/agent`, {
      headers: { authorization: `Bearer ${token}` },
      perMessageDeflate: false,
    });
    let problem = 'the coordinator closed the connection';
    let waitMs: number | undefined;
    socket.on('unexpected-response', (_request, response) => {
      problem = `HTTP ${response.statusCode}`;
      waitMs = retryAfterMs(response.headers['retry-after']);
      response.destroy();
      socket.terminate();
    });
    socket.on('message', (content: Buffer) => this.#receive(content.toString()));
    socket.on('error', (error) => {
      problem = error.message;
    });
    socket.on('close', (code, reason) => {
      if (waitMs !== undefined) this.#connectIn(waitMs + Math.random() * 1_000);
      else if (this.#comesBack) {
        this.#failures += 1;
        this.#connectIn(reconnectDelayMs(this.#failures, 1, Math.random()));
      } else this.#observer.onBroken(`${this.#name}: ${problem} (${code}) ${reason.toString()}`);
    });
    return socket;
  }

  #connectIn(ms: number): void {
    setTimeout(() => {
      this.#socket = this.#connect();
    }, ms);
  }

  pingIfQuietFor(ms: number): void {
    if (performance.now() - this.#spokeAt >= ms) this.#send({ type: 'ping' });
  }

  #send(...messages: readonly AgentMessage[]): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
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
        this.#failures = 0;
        if (message.factsWanted) this.#send({ type: 'facts', ...this.#facts() });
        this.#send({ type: 'pull', credit: 1 });
        this.#observer.onWelcome();
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

  #facts() {
    const facts = hostFacts(this.#name, this.#number);
    return { facts, digest: `sha256:${hash('sha256', canonicalJson(facts), 'hex')}` };
  }

  #hello(): AgentMessage {
    this.#connections += 1;
    return {
      type: 'hello',
      protocol: protocolVersion,
      version: '0.1.0',
      name: this.#name,
      labels: { rack: `rack-${this.#number % 40}`, site: 'bench' },
      incarnation: this.#incarnation,
      boot: this.#boot,
      counter: this.#connections,
      machineId: this.#machineId,
      diskless: false,
      features: [],
      address: '127.0.0.1',
      factsDigest: this.#facts().digest,
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
