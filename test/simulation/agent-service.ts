/**
 * What the service manager of a host starts: the installed program, which settles which version runs, and tries
 * another one in its place. The measures are the real ones (agent/upgrade/settlement.ts); here are the files and
 * processes that carry them out, with time between in which all of it can be killed.
 */
import type { FailedUpgrade, Offer } from '../../agent/core/state.ts';
import { measureFor } from '../../agent/upgrade/settlement.ts';
import type { Trial, UpgradeDocument } from '../../agent/upgrade/upgrade-store.ts';
import { present } from '../../shared/assert.ts';
import { limits } from '../../shared/limits.ts';
import type { AgentHost } from './agent-host.ts';
import { AgentProcess } from './agent-process.ts';
import { type AgentProgram, programOf } from './agent-programs.ts';
import { type Life, newLife, type Task } from './timeline.ts';

export class AgentService {
  /** Of the process, whichever program it has become. */
  readonly life: Life;
  readonly #host: AgentHost;
  #program: AgentProgram;
  /** The digest of the version that the installed program has handed over to. */
  #handedOver: string | undefined;
  #agent: AgentProcess | null = null;
  /** What may be on disk or not, should it end now. */
  #writing: UpgradeDocument | null = null;

  constructor(host: AgentHost) {
    this.#host = host;
    this.#program = host.installed;
    this.life = newLife(`${host.id} agent service`);
    this.#settle();
  }

  /** The agent that this process is, or that it tries as its child. */
  get agent(): AgentProcess | null {
    return this.#agent;
  }

  /** Told to end; a trial is interrupted, and begun anew by the next start. */
  end(): void {
    const trial = this.#trial;
    if (trial !== null && this.#writing === null) {
      this.#host.disk.upgrade = { ...this.#host.disk.upgrade, trial: { ...trial, begun: false } };
      this.#agent?.kill(true);
    } else if (this.#agent?.life.alive === true) this.#agent.end();
    this.#over();
  }

  /** With its child, which does not live without it. */
  kill(kernelLives: boolean): void {
    this.#agent?.kill(kernelLives);
    this.#over();
  }

  #over(): void {
    const { disk, random } = this.#host;
    if (this.life.alive && this.#writing !== null && random.chance(0.5)) disk.upgrade = this.#writing;
    this.life.alive = false;
  }

  #settle(): void {
    const { host, life } = { host: this.#host, life: this.life };
    const measure = measureFor(host.disk.upgrade, this.#program.version, this.#handedOver);
    switch (measure.kind) {
      case 'run':
        this.#run();
        return;
      case 'drop':
        this.#write({ kept: null }, () => this.#settle());
        return;
      case 'hand-over':
        this.#handedOver = measure.kept.digest;
        this.#program = present(programOf(measure.kept.digest), 'a program that was kept');
        host.timeline.after(200 * host.random.next(), () => this.#settle(), life);
        return;
      case 'give-up':
        this.#fail(measure.trial, 'it ended during its trial', () => this.#settle());
        return;
      case 'try':
        this.#write({ trial: { ...measure.trial, begun: true } }, () => this.#try(measure.trial));
        return;
    }
  }

  #run(): void {
    const { host } = { host: this.#host };
    const agent = new AgentProcess(host, this.#program, {
      onTrial: false,
      take: (offer) => this.#take(agent, offer),
      proveHealth: () => undefined,
      leave: () => this.#leave(),
      ended: () => {
        this.life.alive = false;
        host.restartAgentLater();
      },
    });
    this.#agent = agent;
  }

  #leave(): void {
    const { timeline, random, judge, id } = this.#host;
    judge.tell(() => `${id}: agent ${this.#program.version} leaves for the trial of another one`);
    this.#agent?.end();
    timeline.after(300 * random.next(), () => this.#settle(), this.life);
  }

  /** What was fetched is on disk and was looked at; or it was no good. */
  #take(agent: AgentProcess, { offer, version, digest, healthyWithinMs }: Offer): void {
    const { timeline, random } = this.#host;
    const fetched = (): void => {
      if (programOf(digest) === undefined || random.chance(0.1)) {
        const failed = { offer, digest, reason: 'what was fetched is something else' };
        this.#fail(failed, failed.reason, () => agent.tell({ kind: 'upgrade-failed', failed }));
        return;
      }
      const trial = { offer, digest, version, healthyWithinMs, begun: false };
      this.#write({ trial }, () => agent.tell({ kind: 'upgrade-taken' }));
    };
    timeline.after(random.chance(0.7) ? 2_000 * random.next() : 60_000 * random.next(), fetched, agent.life);
  }

  /** The one that is being tried, from when it was begun. */
  get #trial(): Trial | null {
    const { trial } = this.#host.disk.upgrade;
    return trial?.begun === true ? trial : null;
  }

  #try(trial: Trial): void {
    const { host, life } = { host: this.#host, life: this.life };
    const program = present(programOf(trial.digest), 'a program to try');
    host.judge.tell(() => `${host.id}: tries agent ${program.version}`);
    let silence: Task | undefined;
    let isOver = false;
    const over = (how: 'healthy' | string): void => {
      if (isOver) return;
      isOver = true;
      if (silence !== undefined) silence.cancelled = true;
      if (how === 'healthy') {
        this.#keep(trial);
        return;
      }
      this.#agent?.kill(true);
      this.#agent = null;
      this.#fail(trial, how, () => this.#settle());
    };
    silence = host.timeline.after(trial.healthyWithinMs, () => over('it was not healthy in time'), life);
    if (program.onTrial === 'hangs') return;
    if (program.onTrial === 'ends') {
      host.timeline.after(5_000 * host.random.next(), () => over('it ended with 1'), life);
      return;
    }
    this.#agent = new AgentProcess(host, program, {
      onTrial: true,
      take: () => undefined,
      proveHealth: () => host.timeline.after(5 * host.random.next(), () => over('healthy'), life),
      leave: () => undefined,
      ended: () => over('it ended before it was healthy'),
    });
  }

  /** It has said that it is healthy, and ends by itself; what hangs then is ended. */
  #keep({ digest, version }: Trial): void {
    const { disk, timeline, random } = this.#host;
    const isPrompt = random.chance(0.9);
    const kept = { digest, version, over: disk.upgrade.kept?.over ?? this.#program.version };
    const gone = (): void => {
      isPrompt ? this.#agent?.end() : this.#agent?.kill(true);
      this.#agent = null;
      this.#write({ trial: null, kept }, () => this.#settle());
    };
    timeline.after(isPrompt ? 20 * random.next() : limits.upgradeLeaveMs, gone, this.life);
  }

  #fail({ offer, digest }: Omit<FailedUpgrade, 'reason'>, reason: string, then: () => void): void {
    const others = this.#host.disk.upgrade.failed.filter(
      (one) => one.offer !== offer || one.digest !== digest,
    );
    const failed = [...others, { offer, digest, reason }].slice(-limits.upgradeFailuresKept);
    this.#write({ trial: null, failed }, then);
  }

  /** `then` takes place only when it is durable. */
  #write(change: Partial<UpgradeDocument>, then: () => void): void {
    const { disk, timeline, random } = this.#host;
    const document = { ...disk.upgrade, ...change };
    this.#writing = document;
    const written = (): void => {
      this.#writing = null;
      disk.upgrade = document;
      then();
    };
    timeline.after(random.chance(0.9) ? 10 * random.next() : 500 * random.next(), written, this.life);
  }
}
