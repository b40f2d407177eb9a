/**
 * A whole cluster from one seed: hosts with agents, a coordinator, a network, operators, and trouble for a
 * while. Then the trouble stops, and within bounded time every run must end.
 */
import type { Event } from '../../coordinator/core/events.ts';
import { explainRun } from '../../coordinator/core/explain.ts';
import { runStateOf } from '../../coordinator/core/shown-states.ts';
import { Random } from '../coordinator/core/random-pipeline.ts';
import { type AgentProgram, installedPrograms, newestProgram, usualProgram } from './agent-programs.ts';
import { bringChanges, replaceAgent } from './changes.ts';
import { newCheckers } from './checks/all.ts';
import { CoordinatorDisk } from './coordinator-disk.ts';
import { CoordinatorProcess } from './coordinator-process.ts';
import { type CoordinatorProgram, newestCoordinator } from './coordinator-programs.ts';
import { bringTrouble, type Stage } from './faults.ts';
import { Host } from './host.ts';
import { BrokenPromise, Judge } from './judge.ts';
import { Network } from './network.ts';
import { Operators } from './operators.ts';
import { backupsKept, bringRestores } from './restores.ts';
import { Timeline } from './timeline.ts';
import { WorldRecord } from './world-record.ts';

export type Story = {
  readonly seed: number;
  readonly nodes: number;
  /** Of trouble, in simulated time. */
  readonly minutes: number;
};

export type Outcome = {
  readonly broken: BrokenPromise | null;
  readonly events: number;
  readonly executions: number;
  readonly simulatedMs: number;
  /** The journal as JSON lines. */
  readonly journal: () => string;
};

/** What a seed stands for when nothing else is said. */
export function storyOf(seed: number): Story {
  const random = new Random(seed ^ 0x5eed);
  return { seed, nodes: 3 + random.below(6), minutes: random.pick([2, 4, 8, 16]) };
}

export function* storiesOf(first: number, last: number): Generator<Story> {
  for (let seed = first; seed <= last; seed += 1) yield storyOf(seed);
}

const calmMsMax = 4 * 60 * 60_000;
const lookMs = 20_000;

export async function simulate(
  story: Story,
  listener: ((line: string) => void) | null = null,
): Promise<Outcome> {
  const cluster = new Cluster(story, listener);
  const restore = cluster.timeline.replaceTimers();
  try {
    await cluster.play();
  } catch (error) {
    cluster.judge.accuse(error);
  } finally {
    restore();
  }
  return {
    broken: cluster.judge.broken,
    events: cluster.disk.events.length,
    executions: cluster.record.executions.length,
    simulatedMs: cluster.timeline.now,
    journal: () => cluster.disk.events.map((event) => `${JSON.stringify(event)}\n`).join(''),
  };
}

class Cluster implements Stage {
  readonly timeline = new Timeline();
  readonly record = new WorldRecord('lineage 0');
  readonly judge: Judge;
  readonly network: Network;
  disk = new CoordinatorDisk('lineage 0');
  readonly hosts: Host[] = [];
  readonly #story: Story;
  readonly #random: Random;
  readonly operators: Operators;
  /** Of what was added to the stories later: seeds that found something before that go on telling the same. */
  readonly #changes: Random;
  #program = newestCoordinator;
  #copies: CoordinatorDisk[] = [];
  /** Newest first. */
  #backups: CoordinatorDisk[] = [];
  #restores = 0;
  #isRestoring = false;
  hasTrouble = true;

  /**
   * One of restores and of what is done after steps (`rescue`, `always`), in turns: together they are played when all
   * that a restore may leave half done of the latter ends by itself.
   */
  get #hasRestores(): boolean {
    return this.#story.seed % 2 === 0;
  }

  constructor(story: Story, listener: ((line: string) => void) | null) {
    this.#story = story;
    const random = new Random(story.seed);
    this.#random = random;
    const tell =
      listener === null
        ? null
        : (line: string) => listener(`${(this.timeline.now / 1000).toFixed(3)} ${line}`);
    this.judge = new Judge(newCheckers(this.record), tell);
    this.network = new Network(this.timeline, random);
    this.#changes = new Random(story.seed ^ 0xc4a9e);
    this.operators = new Operators(
      random,
      this.#changes,
      new Random(story.seed ^ 0x7a1e5),
      () => this.#coordinator,
      !this.#hasRestores,
    );
    const isMixed = this.#changes.chance(0.4);
    for (let index = 0; index < story.nodes; index += 1) {
      const labels = { rack: `r${index % 3}`, kind: index % 2 === 0 ? 'even' : 'odd' };
      this.hosts.push(
        this.#newHost(
          `n${index + 1}`,
          `n${index + 1}`,
          labels,
          random.chance(0.15),
          isMixed ? this.#changes.pick(installedPrograms) : usualProgram,
        ),
      );
    }
  }

  later(ms: number, run: () => void): void {
    this.timeline.after(ms, run, this.timeline.world);
  }

  async play(): Promise<void> {
    const { timeline, judge } = this;
    const troubleMs = this.#story.minutes * 60_000;
    this.startCoordinator();
    for (const host of this.hosts) this.later(2_000 * this.#random.next(), () => host.powerOn());
    const runs = 1 + this.#random.below(3);
    for (let run = 0; run < runs; run += 1)
      this.later(5_000 + 0.6 * troubleMs * this.#random.next() * Math.min(run, 1), () =>
        this.operators.submitRun(),
      );
    this.later(8_000, () => bringTrouble(this, this.#random));
    this.later(9_000, () => bringChanges(this, this.#changes));
    if (this.#hasRestores)
      this.later(10_000, () => bringRestores(this, new Random(this.#story.seed ^ 0xbac1e)));
    const meddleMs = this.#random.pick([5_000, 20_000, 90_000]);
    const meddle = (): void => {
      if (!this.hasTrouble) return;
      this.operators.meddle();
      this.later(2 * meddleMs * this.#random.next(), meddle);
    };
    this.later(15_000, meddle);
    this.#look();
    await timeline.run(() => judge.broken !== null || timeline.now >= troubleMs);
    if (judge.broken !== null) return;
    this.#endTrouble();
    const until = timeline.now + calmMsMax;
    await timeline.run(() => judge.broken !== null || timeline.now >= until || this.#isDone());
    if (judge.broken !== null) return;
    if (!this.#isDone())
      throw new BrokenPromise(
        `liveness: after ${calmMsMax / 60_000} minutes without trouble ${this.#whatIsOpen()}`,
      );
    const state = this.#coordinator?.state;
    if (state === undefined) return;
    const { events, logs } = this.disk;
    const hosts = this.hosts.map(({ node, disk, agent }) => ({
      node,
      identity: disk.identity,
      ledger: agent?.state.ledger ?? disk.ledger,
    }));
    judge.show((checker) => checker.finished?.({ events, logs, hosts, state, record: this.record }));
  }

  get #coordinator(): CoordinatorProcess | null {
    const { coordinator } = this.network;
    return coordinator?.isListening === true && coordinator === this.#true ? coordinator : null;
  }

  /** The one whose journal counts, as long as it lives. */
  #true: CoordinatorProcess | null = null;

  startCoordinator(): void {
    if (this.network.coordinator !== null || this.#isRestoring) return;
    // A day wrong now and then: its clock must neither stop nor expire everything.
    const wrongMs = this.#random.chance(0.1) ? 24 * 60 * 60_000 * (this.#random.next() - 0.5) : 0;
    this.#true = this.#newCoordinator(this.disk, false, Date.UTC(2026, 0, 1) + this.timeline.now + wrongMs);
    this.network.reaches = () => true;
  }

  /** Its service is stopped, and started as another version. */
  replaceCoordinator(program: CoordinatorProgram): void {
    this.#program = program;
    this.stopCoordinator(`version ${program.version} is installed`, true);
  }

  stopCoordinator(why: string, kernelLives: boolean): void {
    this.network.coordinator?.kill(why, kernelLives);
  }

  /**
   * Somebody starts a copy of the data that is at least a reign older, in the place of the true one. Hosts that
   * know nothing newer could not tell: they do not reach it.
   */
  startOldCopy(forMs: number): void {
    const copy = this.#copies.shift();
    if (copy === undefined || this.#isRestoring) return;
    this.stopCoordinator('an old copy is started in its place', true);
    const old = this.#newCoordinator(copy, true, Date.UTC(2026, 0, 1) + this.timeline.now);
    const { epoch, restoration } = old.state;
    this.network.reaches = (host) =>
      host.disk.identity.epochs.some((seen) =>
        seen.lineage === copy.lineage
          ? seen.epoch > epoch + 1
          : // Who does not know where a lineage comes from cannot tell either.
            (seen.begunAt ?? 0) >= (restoration?.begunAt ?? 1),
      );
    this.later(forMs, () => {
      if (this.network.coordinator === old) this.stopCoordinator('it was an old copy', true);
    });
  }

  takeBackup(withLogs: boolean): void {
    const backup = this.disk.copy();
    if (!withLogs) backup.logs.clear();
    this.#backups = [backup, ...this.#backups].slice(0, backupsKept);
    this.judge.tell(() => `backup taken at seq ${backup.durableSeq} of ${backup.lineage}`);
  }

  restoreBackup(age: number, takesMs: number): void {
    const backup = this.#backups[age];
    if (backup === undefined || this.#isRestoring) return;
    this.#isRestoring = true;
    this.stopCoordinator('its data is put back', true);
    this.later(takesMs, () => {
      this.#isRestoring = false;
      this.#putBack(backup);
      this.startCoordinator();
    });
  }

  /** As a coordinator advises that has been replaced and should go on: then its lineage is the newest. */
  #restoreAnew(): void {
    this.takeBackup(true);
    this.restoreBackup(0, 1_000);
  }

  /** What was there before is moved aside, and somebody may start it again. */
  #putBack(backup: CoordinatorDisk): void {
    const before = this.disk;
    this.#restores += 1;
    this.disk = backup.copy(`lineage ${this.#restores}`);
    this.#copies.push(before);
    const { lineage, events, durableSeq: seq } = this.disk;
    const runsFrom = 1 + events.filter(({ type }) => type === 'RunCreated').length;
    this.record.histories.begin({ lineage, continues: backup.lineage, runsFrom });
    this.judge.tell(() => `data of ${backup.lineage} put back at seq ${seq}, as ${lineage}`);
    // Of two lineages the same seq may be two events.
    const isKept = (event: Event): boolean => events[event.seq - 1] === event;
    const lostEvents = before.events.filter((event) => !isKept(event));
    this.judge.show((checker) => checker.restored?.({ events, lostEvents }));
  }

  /** The state folder is copied to a host that comes up beside the first. */
  clone(host: Host): void {
    if (this.record.cloned.has(host.node) || !host.isUp) return;
    this.record.cloned.add(host.node);
    const copy = this.#newHost(
      `${host.id}-clone`,
      host.node,
      host.labels,
      false,
      host.installed,
      host.disk.copy(),
    );
    copy.powerOn();
    this.later(120_000, () => copy.powerOff(true));
  }

  #newHost(
    id: string,
    node: string,
    labels: Readonly<Record<string, string>>,
    isDiskless: boolean,
    installed: AgentProgram,
    disk?: Host['disk'],
  ): Host {
    const { timeline, record, judge, network } = this;
    return new Host(
      { id, node, labels, isDiskless, timeline, random: this.#random, record, judge, network, installed },
      disk,
    );
  }

  #newCoordinator(disk: CoordinatorDisk, isImpostor: boolean, wallMs: number): CoordinatorProcess {
    const { timeline, judge } = this;
    const process = new CoordinatorProcess({
      timeline,
      random: this.#random,
      judge,
      disk,
      program: this.#program,
      wallMs: Math.floor(wallMs),
      isImpostor,
      onEnd: () => {
        this.network.coordinator = null;
        if (!isImpostor && this.#random.chance(0.6)) this.#copies.push(disk.copy());
        // A service manager starts it again.
        this.later(1_000 + 2_000 * this.#random.next(), () => this.startCoordinator());
      },
    });
    this.network.coordinator = process;
    process.start();
    return process;
  }

  #look(): void {
    const coordinator = this.#coordinator;
    if (coordinator !== null)
      this.judge.show((checker) => checker.looked?.(coordinator.state, coordinator.lookup));
    this.later(lookMs, () => this.#look());
  }

  #endTrouble(): void {
    this.judge.tell(() => 'the trouble ends');
    this.hasTrouble = false;
    this.disk.isFull = false;
    this.disk.isFailing = false;
    this.#copies = [];
    this.#backups = [];
    const settle = (): void => {
      for (const host of this.hosts) {
        this.network.unblock(host);
        host.fillDisk(false);
        host.powerOn();
        host.startAgent();
        if (host.agent?.program.isOld === true) replaceAgent(this, host, newestProgram, 1_000);
      }
      if (this.#program !== newestCoordinator) this.replaceCoordinator(newestCoordinator);
      if (this.#coordinator?.state.fence != null) this.#restoreAnew();
      this.operators.settle();
      this.later(10_000, settle);
    };
    this.later(300_000, settle);
  }

  #isDone(): boolean {
    const coordinator = this.#coordinator;
    if (coordinator === null || coordinator.state.activeRuns.size > 0 || !coordinator.isQuiet) return false;
    return this.hosts.every(({ agent }) => {
      const ledger = agent?.state.ledger;
      return ledger !== undefined && ledger.jobs.length === 0 && ledger.ended.length === 0;
    });
  }

  #whatIsOpen(): string {
    const state = this.#coordinator?.state;
    if (state === undefined) return 'there is no coordinator';
    const runs = [...state.activeRuns.values()].map((run) => {
      const sentences = explainRun(state, run, () => undefined).map(({ sentence }) => sentence);
      return `${run.id} is ${runStateOf(run)}: ${sentences.join(' | ')}`;
    });
    const hosts = this.hosts.flatMap(({ id, disk: { ledger } }) =>
      ledger.jobs.length + ledger.ended.length > 0
        ? [`${id} still holds ${JSON.stringify(ledger).slice(0, 500)}`]
        : [],
    );
    return [...runs, ...hosts].join('; ');
  }
}
