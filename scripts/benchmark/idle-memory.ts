/** What a coordinator weighs with agents that are connected, with their facts known, and have nothing to do. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Coordinator } from './coordinator.ts';
import type { Fleet } from './fleet.ts';
import { type Memory, memoryOf } from './process-usage.ts';

export type IdleMemory = { readonly agents: number; readonly memory: Memory };

const settleMs = 3_000;

/** Without agents first, then with each of the numbers. The coordinator must not have worked before. */
export async function measureIdleMemory(
  coordinator: Coordinator,
  fleet: Fleet,
  counts: readonly number[],
): Promise<IdleMemory[]> {
  const token = await coordinator.createJoinToken();
  const found: IdleMemory[] = [];
  for (const agents of [0, ...counts]) {
    await fleet.grow({ url: coordinator.url, token }, agents);
    await sleep(settleMs);
    found.push({ agents, memory: memoryOf(coordinator.process.pid) });
  }
  return found;
}
