/** One physical host: its power, its clocks, its disk, the scripts that run on it, and its agent while one runs. */
import type { LedgerRecord } from '../../agent/core/ledger.ts';
import { present } from '../../shared/assert.ts';
import type { AgentMessage, CoordinatorMessage } from '../../shared/messages.ts';
import type { Random } from '../coordinator/core/random-pipeline.ts';
import type { AgentHost } from './agent-host.ts';
import type { AgentProcess } from './agent-process.ts';
import type { AgentProgram } from './agent-programs.ts';
import { AgentService } from './agent-service.ts';
import { type AttemptFolder, type ExecutionFolder, HostDisk } from './host-disk.ts';
import type { Judge } from './judge.ts';
import type { Network } from './network.ts';
import { Script } from './script.ts';
import { type Life, newLife, type Timeline } from './timeline.ts';
import type { WorldRecord } from './world-record.ts';

export type HostParts = {
  readonly id: string;
  readonly node: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly isDiskless: boolean;
  readonly timeline: Timeline;
  readonly random: Random;
  readonly record: WorldRecord;
  readonly judge: Judge;
  readonly network: Network;
  readonly installed: AgentProgram;
};

type Grant = CoordinatorMessage & { readonly type: 'grant' };

const plenty = 2 ** 40;

export class Host implements AgentHost {
  readonly id: string;
  readonly node: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly isDiskless: boolean;
  readonly timeline: Timeline;
  readonly random: Random;
  readonly judge: Judge;
  readonly network: Network;
  readonly #record: WorldRecord;
  readonly #scripts = new Map<ExecutionFolder, Script>();
  disk: HostDisk;
  /** Null while the host has no power. */
  #boot: Life | null = null;
  #boots = 0;
  #disks = 0;
  #bootedAt = 0;
  #wallOffsetMs: number;
  #service: AgentService | null = null;
  installed: AgentProgram;
  readonly mayReboot: boolean;
  freeBytes = plenty;

  constructor(parts: HostParts, disk?: HostDisk) {
    const { id, node, labels, isDiskless, timeline, random, judge, network, record } = parts;
    this.id = id;
    this.node = node;
    this.labels = labels;
    this.isDiskless = isDiskless;
    this.timeline = timeline;
    this.random = random;
    this.judge = judge;
    this.network = network;
    this.#record = record;
    this.disk = disk ?? this.#newDisk();
    this.installed = parts.installed;
    this.mayReboot = random.chance(0.9);
    // Some clocks were never set.
    this.#wallOffsetMs = random.chance(0.1) ? 0 : Date.UTC(2026, 0, 1) + 60_000 * random.below(10);
  }

  get boot(): string {
    return `${this.id} boot ${this.#boots}`;
  }

  get isUp(): boolean {
    return this.#boot !== null;
  }

  get monotonicMs(): number {
    return 1_000 + this.timeline.now - this.#bootedAt;
  }

  get wallMs(): number {
    return Math.floor(this.#wallOffsetMs + this.timeline.now);
  }

  setClock(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  fillDisk(isFull: boolean): void {
    this.freeBytes = isFull ? 0 : plenty;
  }

  powerOn(): void {
    if (this.#boot !== null) return;
    this.#boots += 1;
    this.#bootedAt = this.timeline.now;
    this.#boot = newLife(this.boot);
    this.judge.tell(() => `${this.boot}, incarnation ${this.disk.identity.incarnation}`);
    this.startAgent();
  }

  /** As a job asked for: what was written is written before the host goes down. Now and then nothing comes of it. */
  rebootSoon(): void {
    const boot = this.#boot;
    const { random, timeline } = this;
    if (boot === null || random.chance(0.05)) return;
    const reboot = (): void => {
      this.powerOff(true, true);
      timeline.after(5_000 + 30_000 * random.next(), () => this.powerOn(), timeline.world);
    };
    timeline.after(100 + 3_000 * random.next(), reboot, boot);
  }

  /** Everything stops at once; nobody is told. `keepsDisk` is false when the host is installed anew. */
  powerOff(keepsDisk: boolean, isOrderly = false): void {
    if (this.#boot === null) return;
    this.judge.tell(() => `${this.id}: power cut${keepsDisk ? '' : ', its disk is gone'}`);
    this.#service?.kill(isOrderly);
    this.#service = null;
    this.#boot.alive = false;
    this.#boot = null;
    for (const script of this.#scripts.values()) script.die();
    this.#scripts.clear();
    if (keepsDisk && !this.isDiskless) {
      if (!isOrderly) this.disk.losePower(this.random, this.#record);
    } else {
      this.#record.evidenceLost.add(this.disk.identity.incarnation);
      this.disk = this.#newDisk();
    }
  }

  startAgent(): void {
    if (this.#boot === null || this.#service?.life.alive === true) return;
    this.judge.tell(() => `${this.id}: agent starts`);
    this.#service = new AgentService(this);
  }

  /** Null while none runs, as between two versions. */
  get agent(): AgentProcess | null {
    return this.#service?.agent ?? null;
  }

  /** Somebody puts another program in place; the next start of the agent is of that. */
  install(program: AgentProgram): void {
    this.judge.tell(() => `${this.id}: agent ${program.version} is installed`);
    this.installed = program;
  }

  /** As a service manager does after it has ended by itself. */
  restartAgentLater(): void {
    const boot = this.#boot;
    if (boot !== null)
      this.timeline.after(5_000 + 25_000 * this.random.next(), () => this.startAgent(), boot);
  }

  killAgent(): void {
    this.judge.tell(() => `${this.id}: agent killed`);
    this.#service?.kill(true);
    this.#service = null;
  }

  endAgent(): void {
    this.judge.tell(() => `${this.id}: agent told to end`);
    if (this.#service?.life.alive === true) this.#service.end();
    this.#service = null;
  }

  killSomeSupervisor(): void {
    for (const script of this.#scripts.values()) script.killSupervisor();
  }

  spawn(attempt: string, folder: AttemptFolder, execution: ExecutionFolder): void {
    const boot = this.#boot;
    if (boot === null) return;
    const { timeline, random, disk } = this;
    let finish = (): void => undefined;
    const script = new Script({
      timeline,
      random,
      boot,
      attempt,
      folder,
      execution,
      specification: present(
        disk.ledger.jobs.find((held) => held.attempt === attempt),
        `${attempt} in the ledger of ${this.id}`,
      ).specification,
      began: () => {
        const { incarnation } = disk.identity;
        const { number, phase } = execution;
        const job = disk.ledger.jobs.find((held) => held.attempt === attempt);
        const began = this.#record.begin({
          attempt,
          lineage: present(job, `${attempt} in the ledger of ${this.id}`).lineage,
          number,
          phase,
          executor: this.node,
          host: this.id,
          incarnation,
          beganAt: timeline.now,
        });
        this.judge.tell(() => `${this.id}: ${attempt} ${phase} ${number} begins`);
        this.judge.show((checker) => checker.began?.(began, disk));
        finish = () => {
          began.endedAt = timeline.now;
          this.judge.tell(() => `${this.id}: ${attempt} ${phase} ${number} ends with ${execution.status}`);
          this.judge.show((checker) => checker.ended?.(began));
        };
      },
      printed: (stream, text) => {
        this.#record.print(attempt, stream, text);
        this.agent?.heard(attempt);
      },
      ended: () => {
        this.#scripts.delete(execution);
        finish();
      },
    });
    this.#scripts.set(execution, script);
  }

  scriptOf(execution: ExecutionFolder): Script | undefined {
    return this.#scripts.get(execution);
  }

  /** These records are on the disk. */
  keep(records: readonly LedgerRecord[]): void {
    for (const record of records) {
      if (record.kind !== 'ended') continue;
      const { lineage, number, result } = record;
      this.#record.results.push({
        node: this.node,
        incarnation: this.disk.identity.incarnation,
        lineage,
        number,
        result,
      });
    }
  }

  tookGrant({ lineage, epoch }: Grant, records: readonly LedgerRecord[]): void {
    const { incarnation } = this.disk.identity;
    for (const record of records) {
      if (record.kind !== 'granted') continue;
      for (const { attempt } of record.jobs)
        this.judge.show((checker) => checker.grantTaken?.(incarnation, attempt, lineage, epoch));
    }
  }

  said(message: AgentMessage): void {
    this.judge.tell(() => `${this.id} → coordinator: ${JSON.stringify(message).slice(0, 300)}`);
    this.judge.show((checker) => checker.agentSaid?.(this.node, message, this.disk));
  }

  #newDisk(): HostDisk {
    this.#disks += 1;
    return new HostDisk(`${this.id}-incarnation-${this.#disks}`);
  }
}
