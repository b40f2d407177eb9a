/**
 * What a coordinator weighs with very many agents, and how they come back when it is killed and started anew:
 * in what time, and whether any of them counted as lost meanwhile.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Coordinator } from './coordinator.ts';
import type { Fleet } from './fleet.ts';
import { type Memory, memoryOf, nowMs } from './process-usage.ts';

export type ReturnFigures = {
  readonly agents: number;
  /** From the kill until it listens again. */
  readonly restartMs: number;
  /** From then until the last agent was welcomed. */
  readonly backMs: number;
  readonly nodesUnreachable: number;
  /** Before the kill, and when all are back. */
  readonly memoryBefore: Memory;
  readonly memoryAfter: Memory;
};

const settleMs = 3_000;

/** `restart` starts a coordinator on the same data and port; the one that was given is killed. */
export async function measureReturn(
  coordinator: Coordinator,
  restart: () => Promise<Coordinator>,
  fleet: Fleet,
  agents: number,
): Promise<ReturnFigures> {
  const token = await coordinator.createJoinToken();
  await fleet.grow({ url: coordinator.url, token }, agents);
  await sleep(settleMs);
  const memoryBefore = memoryOf(coordinator.process.pid);
  const back = fleet.comeBack();
  const killedAt = nowMs();
  const restarting = coordinator.process
    .kill()
    .then(restart)
    .then((again) => ({ again, listeningAt: nowMs() }));
  const [{ again, listeningAt }, backAt] = await Promise.all([restarting, back]);
  await sleep(settleMs);
  return {
    agents,
    restartMs: listeningAt - killedAt,
    backMs: backAt - listeningAt,
    nodesUnreachable: await again.nodesUnreachable(),
    memoryBefore,
    memoryAfter: memoryOf(again.process.pid),
  };
}
