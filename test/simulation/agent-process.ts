/**
 * One life of an agent: what agent/agent.ts does around the real core. Inputs one after the other; what must
 * be durable is, before any effect takes place. Here the time between is long enough to be killed in.
 */
import { alarmAt, beginAgent, step } from '../../agent/core/agent.ts';
import { type LedgerRecord, mustBeDurable } from '../../agent/core/ledger.ts';
import type { AgentState, Effect, Input, Now, Offer, Turned } from '../../agent/core/state.ts';
import { LogUpload } from '../../agent/link/log-upload.ts';
import { Uplink } from '../../agent/link/uplink.ts';
import { digestOf } from '../../coordinator/sequence/contents.ts';
import { assertNever } from '../../shared/assert.ts';
import { type CoordinatorMessage, protocolVersion } from '../../shared/messages.ts';
import type { AgentHost } from './agent-host.ts';
import { AgentLink } from './agent-link.ts';
import type { AgentProgram } from './agent-programs.ts';
import { Runner } from './runner.ts';
import { type Life, newLife, type Task } from './timeline.ts';

/** What is being written: the process may die before it is on disk, and after, with nothing done that follows. */
type Writing = { readonly identity: AgentState['identity']; readonly records: readonly LedgerRecord[] };

/** More alarms than that at one instant do nothing but cost time. */
const alarmsAtOnceMax = 1_000;

/** What becomes of the process is for whoever started it (agent-service.ts). */
export type AgentTies = {
  readonly onTrial: boolean;
  readonly take: (offer: Offer) => void;
  readonly proveHealth: () => void;
  readonly leave: () => void;
  /** By itself, because the coordinator refuses it. */
  readonly ended: () => void;
};

export class AgentProcess {
  readonly life: Life;
  readonly #host: AgentHost;
  readonly #program: AgentProgram;
  readonly #ties: AgentTies;
  readonly #link: AgentLink;
  readonly #runner: Runner;
  readonly #logUpload: LogUpload;
  #state: AgentState;
  #inputs: Input[] = [];
  #draining = false;
  /** Records that only save repetition; they are lost with the process. */
  #waiting: LedgerRecord[] = [];
  #writing: Writing | null = null;
  #alarm: Task | undefined;
  #alarmsAtOnce = 0;

  constructor(host: AgentHost, program: AgentProgram, ties: AgentTies) {
    this.#host = host;
    this.#program = program;
    this.#ties = ties;
    this.life = newLife(`${host.id} agent`);
    const { life } = this;
    this.#link = new AgentLink({
      host,
      life,
      program,
      onMessages: (messages) => this.#hear(messages),
      onDown: () => {
        this.#logUpload.pause();
        this.#tell([{ kind: 'disconnected' }]);
      },
    });
    this.#runner = new Runner({
      host,
      life,
      tell: (input) => this.#tell([input]),
      onLog: () => this.#logUpload.pump(),
    });
    this.#logUpload = new LogUpload({
      uplink: new Uplink(null),
      streams: () => this.#runner.logs(),
      send: (message) => this.#link.send(message),
      onAcknowledged: (attempt) => {
        this.#runner.dropLogs(attempt);
        this.#tell([{ kind: 'logs-acknowledged', attempt }]);
      },
    });
    const { disk, node, labels, boot, isDiskless } = host;
    const beginning = beginAgent(
      {
        node: { name: node, labels },
        host: { boot, diskless: isDiskless, mayReboot: host.mayReboot },
        identity: disk.identity,
        ledger: disk.ledger,
        onTrial: ties.onTrial,
        upgradesFailed: disk.upgrade.failed,
      },
      this.#now(),
    );
    this.#state = beginning.state;
    const { jobs, ended } = beginning.state.ledger;
    this.#runner.restore(
      jobs.map((job) => job.attempt),
      ended.filter((one) => !one.logsAcknowledged).map(({ result }) => result),
    );
    this.#draining = true;
    host.timeline.after(
      300 * host.random.next(),
      () =>
        this.#release(beginning, () => {
          this.#link.connect();
          this.#drained();
        }),
      life,
    );
  }

  get state(): AgentState {
    return this.#state;
  }

  get program(): AgentProgram {
    return this.#program;
  }

  tell(input: Input): void {
    this.#tell([input]);
  }

  heard(attempt: string): void {
    this.#runner.heard(attempt);
  }

  /** Told to end: what it would have written later is written now. */
  end(): void {
    if (!this.life.alive) return;
    if (this.#writing !== null) {
      this.kill(true);
      return;
    }
    this.#host.disk.append(this.#waiting);
    this.#link.close();
    this.life.alive = false;
  }

  /** What was being written is on disk or not; of a batch that the power cut short, perhaps its first records. */
  kill(kernelLives: boolean): void {
    if (!this.life.alive) return;
    const { disk, random } = this.#host;
    const writing = this.#writing;
    if (writing !== null && random.chance(0.5)) {
      disk.identity = writing.identity;
      const { length } = writing.records;
      const kept = kernelLives ? (random.chance(0.5) ? length : 0) : random.below(length + 1);
      disk.append(writing.records.slice(0, kept));
      this.#host.keep(writing.records.slice(0, kept));
    }
    this.#link.die(kernelLives);
    this.life.alive = false;
  }

  #now(): Now {
    const { monotonicMs, wallMs, freeBytes } = this.#host;
    return { monotonicMs, wallMs, freeBytes };
  }

  #hear(messages: readonly CoordinatorMessage[]): void {
    for (const message of messages) {
      if (message.type === 'ack-log')
        this.#logUpload.acknowledge(message.attempt, message.stream, message.upTo);
    }
    this.#tell(messages.map((message) => ({ kind: 'message', message })));
  }

  #tell(inputs: readonly Input[]): void {
    this.#inputs.push(...inputs);
    if (this.#draining) return;
    this.#draining = true;
    this.#host.timeline.after(0, () => this.#drain(), this.life);
  }

  #drain(): void {
    const inputs = this.#inputs;
    this.#inputs = [];
    const records: LedgerRecord[] = [];
    const effects: Effect[] = [];
    for (const input of inputs) {
      const turned = step(this.#state, input, this.#now());
      this.#state = turned.state;
      records.push(...turned.records);
      effects.push(...turned.effects);
      if (input.kind === 'message' && input.message.type === 'grant') {
        this.#host.tookGrant(input.message, turned.records);
      }
    }
    this.#release({ state: this.#state, records, effects }, () => this.#drained());
  }

  #drained(): void {
    if (this.#inputs.length > 0) {
      this.#drain();
      return;
    }
    this.#draining = false;
    this.#setAlarm();
  }

  #release({ state, records, effects }: Turned, done: () => void): void {
    const { host, life } = { host: this.#host, life: this.life };
    const isNewIdentity = state.identity !== host.disk.identity;
    const mustWait = records.some(mustBeDurable);
    this.#waiting.push(...records);
    if (!isNewIdentity && !mustWait) {
      for (const effect of effects) this.#perform(effect);
      done();
      return;
    }
    const written = mustWait ? this.#waiting : [];
    if (mustWait) this.#waiting = [];
    this.#writing = { identity: state.identity, records: written };
    host.timeline.after(
      host.random.chance(0.95) ? 4 * host.random.next() : 300 * host.random.next(),
      () => {
        this.#writing = null;
        host.disk.identity = state.identity;
        host.disk.append(written);
        host.keep(written);
        for (const effect of effects) this.#perform(effect);
        done();
      },
      life,
    );
  }

  #setAlarm(): void {
    if (this.#alarm !== undefined) this.#alarm.cancelled = true;
    const at = alarmAt(this.#state);
    if (at === null) return;
    const delayMs = Math.max(0, Math.ceil(at - this.#host.monotonicMs));
    this.#alarmsAtOnce = delayMs === 0 ? this.#alarmsAtOnce + 1 : 0;
    if (this.#alarmsAtOnce > alarmsAtOnceMax)
      throw new Error(`P9: ${this.#host.node} sets its alarm again and again and does nothing`);
    this.#alarm = this.#host.timeline.after(delayMs, () => this.#tell([{ kind: 'alarm' }]), this.life);
  }

  #perform(effect: Effect): void {
    const { host, life } = { host: this.#host, life: this.life };
    if (!life.alive) return;
    switch (effect.kind) {
      case 'send':
        this.#link.send(effect.message);
        return;
      case 'greet':
        this.#greet(effect);
        return;
      case 'send-facts': {
        const facts = { host: host.id };
        const message = { type: 'facts', digest: digestOf(JSON.stringify(facts)), facts } as const;
        host.timeline.after(200 * host.random.next(), () => this.#link.send(message), life);
        return;
      }
      case 'resume-logs':
        this.#logUpload.resume(effect.lineage);
        return;
      case 'prepare':
        this.#runner.prepare(effect.job);
        return;
      case 'abandon-preparation':
        this.#runner.abandonPreparation(effect.attempt);
        return;
      case 'recover':
        this.#runner.recover(effect.job);
        return;
      case 'execute':
        this.#runner.execute(effect.job, effect.number, effect.phase);
        return;
      case 'stop':
        this.#runner.stop(effect.attempt);
        return;
      case 'collect':
        this.#runner.collect(effect.attempt, effect.files);
        return;
      case 'upload-files':
        this.#runner.upload(effect.number, effect.digests, effect.lineage);
        return;
      case 'forget':
        this.#runner.forget(effect.attempt);
        return;
      case 'reboot':
        host.rebootSoon();
        return;
      case 'take-upgrade':
        this.#ties.take(effect.offer);
        return;
      case 'leave-for-upgrade':
        host.timeline.after(0, () => this.#ties.leave(), life);
        return;
      case 'prove-health':
        this.#ties.proveHealth();
        return;
      case 'hang-up':
        this.#link.hangUp(effect.reason, effect.retryAfterMs ?? 0);
        return;
      case 'exit':
        host.judge.tell(() => `${host.id}: agent exits: ${effect.reason}`);
        this.#link.close();
        this.life.alive = false;
        this.#ties.ended();
        return;
      case 'note':
        host.judge.tell(() => `${host.id}: ${effect.text}`);
        return;
      default:
        assertNever(effect);
    }
  }

  #greet({ kind: _kind, ...greeting }: Extract<Effect, { kind: 'greet' }>): void {
    const { node, labels, boot, isDiskless, id } = this.#host;
    this.#link.send({
      type: 'hello',
      protocol: protocolVersion,
      version: this.#program.version,
      name: node,
      labels,
      incarnation: this.#state.identity.incarnation,
      boot,
      ...greeting,
      diskless: isDiskless,
      features: [...this.#program.features],
      upgradesFailed: [...this.#state.upgradesFailed],
      machineId: id,
      address: '10.0.0.1',
    });
  }
}
