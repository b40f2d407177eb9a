/**
 * What goes wrong. Each story draws which kinds of trouble it has and how often: a story with all of them at
 * once would hide what only a quiet one shows.
 */
import type { Random } from '../coordinator/core/random-pipeline.ts';
import type { CoordinatorDisk } from './coordinator-disk.ts';
import type { CoordinatorProgram } from './coordinator-programs.ts';
import type { Host } from './host.ts';
import type { Judge } from './judge.ts';
import type { Network } from './network.ts';
import type { Operators } from './operators.ts';

const dayMs = 24 * 60 * 60_000;

/** Short mostly, and sometimes long enough that patience ends. */
const awhile = (random: Random): number =>
  random.chance(0.6)
    ? 5_000 * random.next()
    : random.chance(0.7)
      ? 60_000 * random.next()
      : 240_000 * random.next();

/** Where it goes wrong. */
export type Stage = {
  readonly hosts: readonly Host[];
  readonly network: Network;
  /** Of the coordinator that counts. */
  readonly disk: CoordinatorDisk;
  readonly judge: Judge;
  readonly operators: Operators;
  readonly hasTrouble: boolean;
  later(ms: number, run: () => void): void;
  startCoordinator(): void;
  stopCoordinator(why: string, kernelLives: boolean): void;
  startOldCopy(forMs: number): void;
  replaceCoordinator(program: CoordinatorProgram): void;
  clone(host: Host): void;
  takeBackup(withLogs: boolean): void;
  /** The newest but so many, if there is one. */
  restoreBackup(age: number, takesMs: number): void;
};

type Fault = (cluster: Stage, host: Host, random: Random) => void;

const faults = {
  'agent killed': (cluster, host, random) => {
    host.killAgent();
    cluster.later(awhile(random), () => host.startAgent());
  },
  'agent restarted': (cluster, host, random) => {
    host.endAgent();
    cluster.later(2_000 * random.next(), () => host.startAgent());
  },
  'host rebooted': (cluster, host, random) => {
    host.powerOff(true);
    cluster.later(3_000 + awhile(random), () => host.powerOn());
  },
  'host installed anew': (cluster, host, random) => {
    host.powerOff(false);
    cluster.later(10_000 + awhile(random), () => host.powerOn());
    // Sometimes it is another machine that comes, and an operator says so once the link is known to be lost.
    for (const waitMs of [5_000, 40_000])
      cluster.later(waitMs, () => {
        if (!host.isUp && host.disk.identity.counter === 0) cluster.operators.replaceMachine(host.node);
      });
  },
  'supervisor killed': (_cluster, host) => host.killSomeSupervisor(),
  'connection broken': (cluster, host) => cluster.network.break(host),
  'way blocked': (cluster, host, random) => {
    const directions = random.pick([['up'], ['down'], ['up', 'down'], ['up', 'down']] as const);
    cluster.network.block(host, directions);
    cluster.later(awhile(random), () => cluster.network.unblock(host));
  },
  'rack cut off': (cluster, host, random) => {
    const rack = cluster.hosts.filter((other) => other.labels.rack === host.labels.rack);
    const forMs = awhile(random);
    for (const other of rack) {
      cluster.network.block(other, ['up', 'down']);
      cluster.later(forMs, () => cluster.network.unblock(other));
    }
  },
  'clock set': (_cluster, host, random) =>
    host.setClock((random.chance(0.5) ? 1 : -1) * dayMs * random.next()),
  'host out of space': (cluster, host, random) => {
    host.fillDisk(true);
    cluster.later(awhile(random), () => host.fillDisk(false));
  },
  'coordinator killed': (cluster, _host, random) => {
    cluster.stopCoordinator('it was killed', random.chance(0.7));
    cluster.later(500 + awhile(random), () => cluster.startCoordinator());
  },
  'coordinator out of space': (cluster, _host, random) => {
    cluster.disk.isFull = true;
    cluster.later(awhile(random), () => {
      cluster.disk.isFull = false;
    });
  },
  'coordinator disk broken': (cluster) => {
    cluster.disk.isFailing = true;
  },
  'snapshot taken': (cluster) => cluster.disk.takeSnapshot(),
  'old copy started': (cluster, _host, random) => cluster.startOldCopy(10_000 + 40_000 * random.next()),
  'state folder copied': (cluster, host) => cluster.clone(host),
} as const satisfies Record<string, Fault>;

const rare: ReadonlySet<string> = new Set(['state folder copied', 'old copy started', 'host installed anew']);

/** Draws the troubles of this story and lets each come again and again until the faults stop. */
export function bringTrouble(cluster: Stage, random: Random): void {
  for (const [name, fault] of Object.entries(faults)) {
    if (!random.chance(rare.has(name) ? 0.15 : 0.45)) continue;
    const meanMs = random.pick([15_000, 60_000, 240_000]);
    const strike = (): void => {
      if (!cluster.hasTrouble) return;
      const host = random.pick(cluster.hosts);
      cluster.judge.tell(() => `fault: ${name} (${host.id})`);
      fault(cluster, host, random);
      cluster.later(200 + 2 * meanMs * random.next(), strike);
    };
    cluster.later(2 * meanMs * random.next(), strike);
  }
}
