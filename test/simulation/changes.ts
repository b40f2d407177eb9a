/**
 * What people change while it all runs: the versions of agents and of the coordinator. That is no trouble by
 * itself, and meets whatever trouble there is. What goes wrong is in faults.ts, what is said to runs in operators.ts.
 */
import type { Random } from '../coordinator/core/random-pipeline.ts';
import { type AgentProgram, installedPrograms, offeredPrograms } from './agent-programs.ts';
import { coordinatorPrograms } from './coordinator-programs.ts';
import type { Stage } from './faults.ts';
import type { Host } from './host.ts';

type Change = (cluster: Stage, host: Host, random: Random) => void;

const changes = {
  'agent offered': (cluster, _host, random) => cluster.operators.offerAgent(random.pick(offeredPrograms)),
  'agent replaced by hand': (cluster, host, random) =>
    replaceAgent(cluster, host, random.pick(installedPrograms), 5_000 * random.next()),
  'coordinator replaced': (cluster, _host, random) =>
    cluster.replaceCoordinator(random.pick(coordinatorPrograms)),
} as const satisfies Record<string, Change>;

/** Draws which of them this story has and lets each come again until the trouble ends. */
export function bringChanges(cluster: Stage, random: Random): void {
  for (const [name, change] of Object.entries(changes)) {
    if (!random.chance(0.25)) continue;
    const meanMs = random.pick([30_000, 120_000]);
    const happen = (): void => {
      if (!cluster.hasTrouble) return;
      const host = random.pick(cluster.hosts);
      cluster.judge.tell(() => `change: ${name} (${host.id})`);
      change(cluster, host, random);
      cluster.later(1_000 + 2 * meanMs * random.next(), happen);
    };
    cluster.later(10_000 + 2 * meanMs * random.next(), happen);
  }
}

/** As a package manager does it: the new file is there, then the service is restarted. */
export function replaceAgent(
  cluster: Pick<Stage, 'later'>,
  host: Host,
  program: AgentProgram,
  pauseMs: number,
): void {
  host.install(program);
  host.endAgent();
  cluster.later(pauseMs, () => host.startAgent());
}
