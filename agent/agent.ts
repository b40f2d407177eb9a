/**
 * The running agent: hands inputs to the core one after the other, makes durable what it says must be, and
 * only then lets its effects into the world (P3, P4). Inputs that came together share one fsync. It decides
 * nothing, and leaves effects to the edges.
 */
import { statfsSync } from 'node:fs';
import { makeFolder } from '../shared/disk/durable-file.ts';
import { lockFolder } from '../shared/disk/folder-lock.ts';
import { limits } from '../shared/limits.ts';
import { alarmAt, beginAgent, step } from './core/agent.ts';
import { nameFor } from './core/link.ts';
import type { AgentState, Input, Now, Turned } from './core/state.ts';
import { readBootInstance } from './discover/boot.ts';
import { type AgentParts, Edges, type Leave } from './edges.ts';
import { openStores, type Stores } from './stores.ts';

/** Runs until the signal, or until somebody has to change something: then it rejects with what. */
export async function runAgent(parts: AgentParts): Promise<Leave> {
  const { stateFolder } = parts.config;
  await makeFolder(stateFolder);
  const lock = await lockFolder(stateFolder);
  try {
    const agent = new Agent(parts, await openStores(stateFolder));
    return await agent.run(parts.signal);
  } finally {
    await lock.release();
  }
}

const timerMsMax = 2 ** 31 - 1;

class Agent {
  readonly #parts: AgentParts;
  readonly #stores: Stores;
  readonly #edges: Edges;
  readonly #ended = Promise.withResolvers<Leave>();
  readonly #beginning: Turned;
  #state: AgentState;
  #inputs: Input[] = [];
  #draining = false;
  #alarm: NodeJS.Timeout | undefined;
  /** While this program has still to prove that it can be started. */
  #proof: NodeJS.Timeout | undefined;

  constructor(parts: AgentParts, stores: Stores) {
    this.#parts = parts;
    this.#stores = stores;
    const { config } = parts;
    const { name, labels, stateFolder } = config;
    this.#beginning = beginAgent(
      {
        node: { name: nameFor(name, stores.identity.identity), labels },
        host: {
          boot: readBootInstance(),
          diskless: config.ephemeral || isInMemory(stateFolder),
          mayReboot: config.rebootCommand !== null,
        },
        identity: stores.identity.identity,
        ledger: stores.ledger.found,
        onTrial: parts.onTrial !== undefined,
        upgradesFailed: stores.upgrade.document.failed,
      },
      this.#now(),
    );
    this.#state = this.#beginning.state;
    this.#edges = new Edges(parts, stores, {
      state: () => this.#state,
      tell: (inputs) => this.#tell(inputs),
      ended: this.#ended,
    });
  }

  async run(signal: AbortSignal): Promise<Leave> {
    const { config, log, version } = this.#parts;
    const leave = (): void => this.#ended.resolve('stopped');
    signal.addEventListener('abort', leave);
    try {
      await this.#edges.open();
      log.info(`lockstep-agent ${version} as ${this.#state.node.name}, state in ${config.stateFolder}`);
      await this.#release(this.#beginning);
      if (signal.aborted) return 'stopped';
      this.#edges.connect();
      if (this.#parts.onTrial === undefined)
        this.#proof = setTimeout(() => this.#prove(), limits.upgradeProvedAfterMs);
      const why = await this.#ended.promise;
      log.info('stopped; a running job goes on and is taken up by the next start');
      return why;
    } finally {
      signal.removeEventListener('abort', leave);
      clearTimeout(this.#alarm);
      clearTimeout(this.#proof);
      this.#edges.close();
      this.#stores.ledger.close();
    }
  }

  #now(): Now {
    const [seconds, nanoseconds] = process.hrtime();
    const { stateFolder } = this.#parts.config;
    return {
      // From the boot of the host, so it goes on counting across restarts of the agent.
      monotonicMs: seconds * 1000 + nanoseconds / 1e6,
      wallMs: Date.now(),
      get freeBytes() {
        const { bavail, bsize } = statfsSync(stateFolder);
        return bavail * bsize;
      },
    };
  }

  /** In order, and never inside of another: what an effect brings about at once comes after it. */
  #tell(inputs: readonly Input[]): void {
    this.#inputs.push(...inputs);
    if (this.#draining) return;
    this.#draining = true;
    queueMicrotask(() => this.#drain().catch((error: unknown) => this.#ended.reject(error)));
  }

  async #drain(): Promise<void> {
    while (this.#inputs.length > 0) {
      const inputs = this.#inputs;
      this.#inputs = [];
      const turns: Turned[] = [];
      // Before the core looks whether it may ask for work: then there is space for one.
      if (!this.#stores.reserve.isKept && this.#now().freeBytes >= limits.agentFreeBytesMin)
        this.#stores.reserve.keep();
      for (const input of inputs) {
        const turned = step(this.#state, input, this.#now());
        this.#state = turned.state;
        turns.push(turned);
      }
      await this.#release({
        state: this.#state,
        records: turns.flatMap((turned) => turned.records),
        effects: turns.flatMap((turned) => turned.effects),
      });
    }
    this.#draining = false;
    this.#setAlarm();
  }

  #prove(): void {
    clearTimeout(this.#proof);
    this.#proof = undefined;
    this.#stores.upgrade.prove().catch((error: unknown) => this.#ended.reject(error));
  }

  async #release({ state, records, effects }: Turned): Promise<void> {
    const { identity, ledger } = this.#stores;
    if (state.identity !== identity.identity) await identity.write(state.identity);
    ledger.append(records);
    for (const effect of effects) this.#edges.perform(effect);
    if (this.#proof !== undefined && state.link.kind === 'joined') this.#prove();
    if (!this.#edges.takeCompactionDue() && !ledger.isLong) return;
    await ledger.compact(state.ledger);
  }

  #setAlarm(): void {
    clearTimeout(this.#alarm);
    const at = alarmAt(this.#state);
    if (at === null) return;
    const delayMs = Math.min(Math.max(0, Math.ceil(at - this.#now().monotonicMs)), timerMsMax);
    this.#alarm = setTimeout(() => this.#tell([{ kind: 'alarm' }]), delayMs);
  }
}

/** tmpfs and ramfs: what is there is gone with the next boot. Numbers from statfs(2). */
const isInMemory = (folder: string): boolean => [0x01021994, 0x858458f6].includes(statfsSync(folder).type);
