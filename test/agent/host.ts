/** A test's host: a coordinator double, a state folder, and agents that are all ended when the test is. */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
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
      await endLeftOvers(host.state);
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

/** A program that an agent had handed over to, and what it was about to start, still write into the state folder. */
async function endLeftOvers(state: string): Promise<void> {
  for (let round = 0; round < 500; round += 1) {
    const left = processesAbout(state);
    if (left.length === 0) return;
    for (const pid of left) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended meanwhile.
      }
    }
    await sleep(10);
  }
  throw new Error(`processes of ${state} do not end: ${processesAbout(state).join(' ')}`);
}

const processesAbout = (state: string): number[] =>
  readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && pid !== process.pid && wordsOf(pid).includes(state));

function wordsOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

export function residentKilobytes(pid: number): number {
  return Number(/VmRSS:\s+([0-9]+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}
