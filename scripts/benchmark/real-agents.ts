/**
 * What one no-op job costs in the end: real agents, real processes, real disks. All CPU counts, of the
 * coordinator, the agents, and everything that the agents started.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Coordinator } from './coordinator.ts';
import { chainPipeline } from './pipelines.ts';
import { cpuOf, memoryOf, nowMs } from './process-usage.ts';
import { profiling, StartedProcess } from './started-process.ts';
import { sumOf } from './statistics.ts';

export type HostTaskFigures = {
  readonly agents: number;
  readonly tasks: number;
  /** CPU of both ends for one task: the sum of the three after it. */
  readonly cpuMsPerTask: number;
  readonly agentCpuMs: number;
  /** Of the supervisor and the script. */
  readonly processesCpuMs: number;
  readonly coordinatorCpuMs: number;
  readonly tasksPerSecond: number;
  /** Of one agent that has worked and is idle again; the mean of all. */
  readonly agentResidentBytes: number;
  readonly agentPrivateBytes: number;
};

const joinMsMax = 60_000;
const runMsMax = 300_000;
const settleMs = 1_000;
const warmUpSteps = 40;

export async function measureHostTasks(
  folder: string,
  count: number,
  steps: number,
  profileFolder: string | null,
): Promise<HostTaskFigures> {
  await mkdir(folder);
  const coordinator = await Coordinator.start(join(folder, 'coordinator'), null);
  const agents: StartedProcess[] = [];
  try {
    const token = await coordinator.createJoinToken();
    const start = (number: number, environment: NodeJS.ProcessEnv): StartedProcess => {
      const name = `real-${number}`;
      const words = ['run', '--coordinator', coordinator.url, '--state', join(folder, name), '--name', name];
      return new StartedProcess('lockstep-agent', words, {
        LOCKSTEP_TOKEN: token,
        LOCKSTEP_REBOOT_COMMAND: 'none',
        ...environment,
      });
    };
    // The first start after a change of the sources compiles them and keeps the compiler in memory.
    const first = start(0, {});
    agents.push(first);
    await coordinator.waitForAgents(1, joinMsMax);
    await first.end();
    agents.length = 0;
    // One profile is enough: all agents do the same.
    for (let number = 0; number < count; number += 1)
      agents.push(start(number, profiling(number === 0 ? profileFolder : null)));
    await coordinator.waitForAgents(count, joinMsMax);
    await coordinator.waitForRun(await coordinator.submit(chainPipeline(warmUpSteps)), runMsMax, agents);
    await sleep(settleMs);

    const cpu = () => ({
      agents: sumOf(agents.map(({ pid }) => cpuOf(pid).own)),
      processes: sumOf(agents.map(({ pid }) => cpuOf(pid).children)),
      coordinator: cpuOf(coordinator.process.pid).own,
    });
    const before = cpu();
    const startedAt = nowMs();
    await coordinator.waitForRun(await coordinator.submit(chainPipeline(steps)), runMsMax, agents);
    const seconds = (nowMs() - startedAt) / 1_000;
    await sleep(settleMs);
    const after = cpu();

    const tasks = steps * count;
    const agentCpuMs = (after.agents - before.agents) / tasks;
    const processesCpuMs = (after.processes - before.processes) / tasks;
    const coordinatorCpuMs = (after.coordinator - before.coordinator) / tasks;
    const memory = agents.map(({ pid }) => memoryOf(pid));
    return {
      agents: count,
      tasks,
      cpuMsPerTask: agentCpuMs + processesCpuMs + coordinatorCpuMs,
      agentCpuMs,
      processesCpuMs,
      coordinatorCpuMs,
      tasksPerSecond: tasks / seconds,
      agentResidentBytes: sumOf(memory.map(({ residentBytes }) => residentBytes)) / count,
      agentPrivateBytes: sumOf(memory.map(({ privateBytes }) => privateBytes)) / count,
    };
  } finally {
    await Promise.all(agents.map((agent) => agent.end()));
    await coordinator.process.end();
  }
}
