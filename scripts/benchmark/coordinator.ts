/** The coordinator under test: the real program on a folder of its own, and what an operator asks of it. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type * as z from 'zod';
import * as resources from '../../coordinator/http/resources.ts';
import { profiling, StartedProcess } from './started-process.ts';

const requestMsMax = 60_000;
const pollMs = 200;

export class Coordinator {
  readonly url: string;
  readonly process: StartedProcess;
  readonly #token: string;

  private constructor(started: StartedProcess, url: string, token: string) {
    this.process = started;
    this.url = url;
    this.#token = token;
  }

  /** `listen`: the host and port of one that was there before. */
  static async start(
    data: string,
    profileFolder: string | null,
    listen = '127.0.0.1:0',
  ): Promise<Coordinator> {
    const args = ['coordinator', '--data', data, '--listen', listen];
    const started = new StartedProcess('lockstep', args, profiling(profileFolder));
    try {
      const url = await started.printed(/listening on (http:\/\/[^\s"]+)/);
      const { token } = resources.operatorFile.parse(
        JSON.parse(await readFile(join(data, 'operator.json'), 'utf8')),
      );
      return new Coordinator(started, url.replace(/\/$/, ''), token);
    } catch (error) {
      await started.end();
      throw error;
    }
  }

  async createJoinToken(): Promise<string> {
    const { token } = await this.#ask(resources.tokenCreated, 'POST', '/api/tokens', { kind: 'join' });
    return token;
  }

  /** Id of the run. */
  async submit(text: string): Promise<string> {
    const body = { file: 'bench.yaml', text };
    const { id } = await this.#ask(resources.run.pick({ id: true }), 'POST', '/api/runs', body);
    return id;
  }

  /** Until it has ended well. Fails at once when one of the agents that it needs has ended. */
  async waitForRun(id: string, withinMs: number, agents: readonly StartedProcess[] = []): Promise<void> {
    await this.#until(`run ${id}`, withinMs, async () => {
      for (const agent of agents) agent.checkRunning();
      // A page of one, because a run with all its nodes would be work for the coordinator that is measured.
      const { items } = await this.#ask(resources.runPage, 'GET', '/api/runs?limit=1');
      const found = items.find((run) => run.id === id);
      if (found === undefined || found.state === 'queued' || found.state === 'running') return false;
      if (found.state === 'succeeded') return true;
      throw new Error(`run ${id} is ${found.state}: ${found.reason ?? 'no reason given'}`);
    });
  }

  async waitForAgents(count: number, withinMs: number): Promise<void> {
    await this.#until(`${count} agents`, withinMs, async () => {
      const { agents } = await this.#ask(resources.health, 'GET', '/health');
      return agents >= count;
    });
  }

  /** Nodes that count as lost, by the coordinator's own figures. */
  async nodesUnreachable(): Promise<number> {
    const text = await this.#request('GET', '/metrics');
    return Number(/^lockstep_nodes\{state="unreachable"\} ([0-9]+)$/m.exec(text)?.[1] ?? 0);
  }

  async #until(what: string, withinMs: number, isSo: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + withinMs;
    while (!(await isSo())) {
      this.process.checkRunning();
      if (performance.now() > deadline) throw new Error(`waited ${withinMs} ms in vain for ${what}`);
      await sleep(pollMs);
    }
  }

  async #ask<T>(schema: z.ZodType<T>, method: string, path: string, body?: unknown): Promise<T> {
    return schema.parse(JSON.parse(await this.#request(method, path, body)));
  }

  async #request(method: string, path: string, body?: unknown): Promise<string> {
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(requestMsMax),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text.slice(0, 2_000)}`);
    return text;
  }
}
