/**
 * Drives the pure core: inputs in, effects out as short words. It keeps what would be on disk, so that a test
 * can kill the agent at any point, and checks after each input that the records tell the whole ledger.
 */
import { isDeepStrictEqual } from 'node:util';
import { alarmAt, beginAgent, step } from '../../../agent/core/agent.ts';
import { emptyLedger, evolveLedger, type Ledger, type LedgerRecord } from '../../../agent/core/ledger.ts';
import type {
  AgentState,
  Effect,
  ExecutionEnd,
  Identity,
  Input,
  Recovery,
  Turned,
} from '../../../agent/core/state.ts';
import type { CoordinatorMessage, Hello, JobSpecification } from '../../../shared/messages.ts';

type Traits = { readonly diskless?: boolean; readonly mayReboot?: boolean };
type Exited = ExecutionEnd & { readonly kind: 'exited' };

export class CoreDriver {
  state: AgentState;
  readonly records: LedgerRecord[] = [];
  /** Of the last input. */
  effects: readonly Effect[] = [];
  nowMs = 1_000_000;
  freeBytes = 2 ** 40;
  #disk: Ledger;
  readonly #traits: Traits;

  constructor(
    ledger: Ledger = emptyLedger,
    boot = 'boot-1',
    identity?: Identity,
    traits: Traits = {},
    onTrial = false,
  ) {
    this.#disk = ledger;
    this.#traits = traits;
    const turned = beginAgent(
      {
        node: { name: 'n1', labels: {} },
        host: { boot, diskless: false, mayReboot: true, ...traits },
        identity: identity ?? { incarnation: 'incarnation', counter: 4, epochs: [] },
        ledger,
        onTrial,
        upgradesFailed: [],
      },
      this.#now(),
    );
    this.state = turned.state;
    this.#keep(turned);
  }

  /** A new process on the same disk. */
  restarted(boot = 'boot-1'): CoreDriver {
    return new CoreDriver(this.#disk, boot, this.state.identity, this.#traits);
  }

  /** A process of another version on the same disk, on trial. */
  onTrial(): CoreDriver {
    return new CoreDriver(this.#disk, 'boot-1', this.state.identity, this.#traits, true);
  }

  input(input: Input): string[] {
    this.#keep(step(this.state, input, this.#now()));
    return this.words();
  }

  message(message: CoordinatorMessage): string[] {
    return this.input({ kind: 'message', message });
  }

  join(epoch = 1, lineage = 'L'): string[] {
    this.message({ type: 'challenge', protocol: 1, protocolMin: 1, lineage, epoch, nonce: '' });
    return this.message({ type: 'welcome', node: 'n1', heartbeatMs: 15_000, factsWanted: false });
  }

  rejoin(): string[] {
    this.input({ kind: 'disconnected' });
    return this.join();
  }

  grant(...jobs: JobSpecification[]): string[] {
    return this.message({ type: 'grant', lineage: 'L', epoch: 1, jobs });
  }

  prepared(attempt: string, params: Record<string, unknown> = {}): string[] {
    return this.input({ kind: 'prepared', attempt, prepared: { ok: true, params } });
  }

  /** Ended by itself with status 0, but for what is said. */
  executed(attempt: string, end: Partial<Exited> = {}, number = 1): string[] {
    const exited: Exited = { kind: 'exited', status: 0, output: new Uint8Array(), stopped: false, ...end };
    return this.input({ kind: 'executed', attempt, number, end: exited });
  }

  lost(attempt: string): string[] {
    return this.input({ kind: 'executed', attempt, number: 1, end: { kind: 'lost' } });
  }

  collected(
    attempt: string,
    logs = { stdout: 0, stderr: 0 },
    digests: Record<string, string> = {},
  ): string[] {
    return this.input({ kind: 'collected', attempt, logs, files: { ok: true, digests } });
  }

  /** From the grant to the result, with one execution. */
  perform(job: JobSpecification, status = 0): string[] {
    const { attempt } = job;
    this.grant(job);
    this.prepared(attempt);
    this.executed(attempt, { status });
    return this.collected(attempt);
  }

  recovered(attempt: string, recovery: Partial<Recovery>): string[] {
    const whole: Recovery = { params: {}, ended: [], last: { kind: 'none' }, ...recovery };
    return this.input({ kind: 'recovered', attempt, recovery: whole });
  }

  alarm(atMs: number): string[] {
    this.nowMs = atMs;
    return this.input({ kind: 'alarm' });
  }

  get alarmAt(): number | null {
    return alarmAt(this.state);
  }

  words(): string[] {
    return this.effects.map(wordOf);
  }

  #now() {
    return { monotonicMs: this.nowMs, wallMs: this.nowMs + 5_000_000, freeBytes: this.freeBytes };
  }

  #keep(turned: Turned): void {
    this.state = turned.state;
    this.effects = turned.effects;
    this.records.push(...turned.records);
    this.#disk = turned.records.reduce(evolveLedger, this.#disk);
    if (!isDeepStrictEqual(this.#disk, this.state.ledger))
      throw new Error('the records do not tell the ledger');
  }
}

function rebootWords({ rebooting, rebooted }: Pick<Hello, 'rebooting' | 'rebooted'>): string {
  if (rebooting !== undefined) return ` rebooting ${rebooting}`;
  return rebooted === undefined ? '' : ` rebooted ${rebooted.attempt}${rebooted.planned ? '' : ' unplanned'}`;
}

function wordOf(effect: Effect): string {
  switch (effect.kind) {
    case 'send': {
      const { message } = effect;
      if (message.type === 'result') {
        const { attempt, outcome, final } = message.result;
        return `result ${message.number} ${attempt} ${outcome}${final ? '' : ' (not final)'}`;
      }
      return 'attempt' in message ? `${message.type} ${message.attempt}` : message.type;
    }
    case 'greet':
      return `greet ${effect.counter}${effect.held.map(({ attempt, state }) => ` ${attempt}=${state}`).join('')}${rebootWords(effect)}`;
    case 'prepare':
    case 'recover':
      return `${effect.kind} ${effect.job.attempt}`;
    case 'execute':
      return `execute ${effect.job.attempt} ${effect.number}-${effect.phase}`;
    case 'upload-files':
      return `upload ${effect.number} ${effect.digests.join(' ')}`;
    case 'stop':
    case 'collect':
    case 'forget':
    case 'abandon-preparation':
      return `${effect.kind} ${effect.attempt}`;
    case 'hang-up':
    case 'exit':
      return `${effect.kind}: ${effect.reason}`;
    case 'note':
      return `${effect.level}: ${effect.text}`;
    default:
      return effect.kind;
  }
}
