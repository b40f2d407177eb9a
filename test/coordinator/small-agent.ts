/**
 * An agent written by hand on a bare websocket: it says exactly what a test tells it to and does nothing by
 * itself, so that a test can be early, late, wrong or silent.
 */
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { WebSocket } from 'ws';
import {
  type AgentMessage,
  type AttemptResult,
  type CoordinatorMessage,
  formatFrame,
  type Hello,
  type JobSpecification,
  parseCoordinatorFrame,
} from '../../shared/messages.ts';

export type Closed = { readonly code: number; readonly reason: string };

const waitMsMax = 15_000;

export class SmallAgent {
  readonly socket: WebSocket;
  readonly closed: Promise<Closed>;
  #heard: CoordinatorMessage[] = [];
  #wake: (() => void) | undefined;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('message', (content) => {
      const frame = parseCoordinatorFrame(content.toString());
      if (!frame.ok) throw new Error(`the coordinator sent a wrong frame: ${frame.reason}`);
      this.#heard.push(...frame.messages);
      this.#wake?.();
    });
    this.closed = new Promise((resolve) => {
      socket.on('close', (code, reason) => {
        resolve({ code, reason: reason.toString() });
        this.#wake?.();
      });
    });
    socket.on('error', () => {});
  }

  /** Connected and greeted, not more. */
  static async connect(url: string, token: string): Promise<SmallAgent> {
    const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/agent`, {
      headers: { authorization: `Bearer ${token}` },
      perMessageDeflate: false,
    });
    const agent = new SmallAgent(socket);
    await once(socket, 'open', { signal: AbortSignal.timeout(waitMsMax) });
    await agent.hear('challenge');
    return agent;
  }

  /** Connected and welcomed. */
  static async join(
    url: string,
    token: string,
    name: string,
    more: Partial<Hello> = {},
  ): Promise<SmallAgent> {
    const agent = await SmallAgent.connect(url, token);
    agent.say(helloOf(name, more));
    await agent.hear('welcome');
    return agent;
  }

  say(...messages: AgentMessage[]): void {
    this.socket.send(formatFrame(messages));
  }

  /** The next message of this type; those before it are dropped. */
  async hear<Type extends CoordinatorMessage['type']>(
    type: Type,
  ): Promise<CoordinatorMessage & { type: Type }> {
    const until = performance.now() + waitMsMax;
    for (;;) {
      for (let message = this.#heard.shift(); message !== undefined; message = this.#heard.shift())
        if (isOf(message, type)) return message;
      if (performance.now() > until) throw new Error(`heard no ${type} within ${waitMsMax} ms`);
      if (this.socket.readyState === WebSocket.CLOSED) throw new Error(`closed before a ${type} came`);
      await Promise.race([
        new Promise<void>((resolve) => {
          this.#wake = resolve;
        }),
        delay(500),
      ]);
    }
  }

  /** What was heard and not asked for yet. */
  get unheard(): readonly CoordinatorMessage[] {
    return this.#heard;
  }

  async grant(): Promise<JobSpecification> {
    const { jobs } = await this.hear('grant');
    const [job] = jobs;
    if (job === undefined) throw new Error('a grant without a job');
    return job;
  }

  end(): void {
    this.socket.terminate();
  }
}

const isOf = <Type extends CoordinatorMessage['type']>(
  message: CoordinatorMessage,
  type: Type,
): message is CoordinatorMessage & { type: Type } => message.type === type;

export const helloOf = (name: string, more: Partial<Hello> = {}): Hello => ({
  type: 'hello',
  protocol: 1,
  version: 'test',
  name,
  labels: {},
  incarnation: `incarnation-of-${name}`,
  boot: 'boot-1',
  counter: 1,
  diskless: false,
  features: [],
  held: [],
  ...more,
});

export const resultOf = (attempt: string, more: Partial<AttemptResult> = {}): AttemptResult => ({
  attempt,
  outcome: 'succeeded',
  final: true,
  unchanged: false,
  exitCode: 0,
  signal: null,
  reason: null,
  phase: 'run',
  iterations: 1,
  startedAt: 1,
  finishedAt: 2,
  durationMs: 1,
  outputs: {},
  logs: { stdout: 0, stderr: 0 },
  ...more,
});
