/** A test's host: a coordinator double, a state folder, and agents that are all ended when the test is. */
import { readFileSync } from 'node:fs';
import type { Test } from 'tap';
import { AgentProcess } from './agent-process.ts';
import { CoordinatorDouble } from './coordinator-double.ts';

export class Host {
  readonly coordinator: CoordinatorDouble;
  readonly state: string;
  readonly #agents: AgentProcess[] = [];

  private constructor(coordinator: CoordinatorDouble, state: string) {
    this.coordinator = coordinator;
    this.state = state;
  }

  static async make(t: Test): Promise<Host> {
    const host = new Host(await CoordinatorDouble.start(), t.testdir({}));
    t.teardown(async () => {
      for (const agent of host.#agents) await agent.end('SIGKILL');
      await host.coordinator.stop();
    });
    return host;
  }

  start(...more: string[]): AgentProcess {
    const agent = AgentProcess.run(this.coordinator.url, this.state, ...more);
    this.#agents.push(agent);
    return agent;
  }

  async startAndPull(...more: string[]): Promise<AgentProcess> {
    const pulls = this.coordinator.ofType('pull').length;
    const agent = this.start(...more);
    await this.coordinator.pull(pulls + 1);
    return agent;
  }
}

export function residentKilobytes(pid: number): number {
  return Number(/VmRSS:\s+([0-9]+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}
