/**
 * The running agent: hands inputs to the core one after the other, makes durable what it says must be, and
 * only then lets its effects into the world (P3, P4). Inputs that came together share one fsync. It decides
 * nothing and knows every edge; the edges do not know each other.
 */
import { statfsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { Logger } from 'pino';
import { assertNever } from '../shared/assert.ts';
import { makeFolder, privateFolderMode } from '../shared/disk/durable-file.ts';
import { lockFolder } from '../shared/disk/folder-lock.ts';
import { LockstepError, messageOf } from '../shared/errors.ts';
import { allFeatures } from '../shared/features.ts';
import { type AgentMessage, type CoordinatorMessage, protocolVersion } from '../shared/messages.ts';
import type { AgentConfig } from './config.ts';
import { alarmAt, beginAgent, step } from './core/agent.ts';
import { pinnedDigests } from './core/ledger.ts';
import type { AgentState, Effect, Input, Now, Turned } from './core/state.ts';
import { readBootInstance } from './discover/boot.ts';
import { Discovery, digestOfFacts } from './discover/facts.ts';
import { type CoordinatorAddress, nameOf } from './link/addresses.ts';
import { BlobTransfer } from './link/blob-transfer.ts';
import { CoordinatorLink } from './link/coordinator-link.ts';
import { dialer } from './link/dial.ts';
import { LogUpload } from './link/log-upload.ts';
import { Uplink } from './link/uplink.ts';
import { baseEnvironment } from './run/base-environment.ts';
import { rebootHost } from './run/reboot.ts';
import { Runner } from './run/runner.ts';
import { BlobCache } from './state/blob-cache.ts';
import { openStores, type Stores } from './stores.ts';
import type { OnTrial } from './upgrade/trial.ts';
import { Upgrades } from './upgrade/upgrades.ts';

export type AgentParts = {
  readonly config: AgentConfig;
  readonly version: string;
  readonly log: Logger;
  readonly environment: NodeJS.ProcessEnv;
  /** Ends the agent, not its jobs. */
  readonly signal: AbortSignal;
  /** When this program is on trial. */
  readonly onTrial: OnTrial | undefined;
};

/** `for-upgrade`: another version is to be tried in its place. */
export type Leave = 'stopped' | 'for-upgrade';

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
  readonly #discovery = new Discovery();
  readonly #link: CoordinatorLink;
  readonly #transfer: BlobTransfer;
  readonly #cache: BlobCache;
  readonly #runner: Runner;
  readonly #logUpload: LogUpload;
  readonly #upgrades: Upgrades;
  /** Results whose files are on their way. */
  readonly #uploads = new Set<number>();
  /** Attempts whose specification holds secrets: the ledger is compacted when they are done with. */
  readonly #withSecrets = new Set<string>();
  readonly #leaving = new AbortController();
  readonly #ended = Promise.withResolvers<Leave>();
  readonly #beginning: Turned;
  #state: AgentState;
  #inputs: Input[] = [];
  #draining = false;
  #compactionDue = false;
  #alarm: NodeJS.Timeout | undefined;

  constructor(parts: AgentParts, stores: Stores) {
    this.#parts = parts;
    this.#stores = stores;
    const { config, environment, log } = parts;
    const { name, labels, coordinators, token, stateFolder } = config;
    const dial = dialer(config.proxies);
    const uplink = new Uplink(config.uplink);
    const tell = (input: Input): void => this.#tell([input]);
    this.#beginning = beginAgent(
      {
        node: { name, labels },
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
    this.#link = new CoordinatorLink({
      coordinators,
      token,
      dial,
      uplink,
      onMessages: (messages) => this.#hear(messages),
      onDown: () => {
        this.#logUpload.pause();
        tell({ kind: 'disconnected' });
      },
      onUnauthorized: (coordinator) => this.#ended.reject(unauthorized(coordinator, config)),
      note: (level, text) => log[level](text),
    });
    this.#transfer = new BlobTransfer({
      coordinator: () => this.#link.coordinator,
      token,
      dial,
      uplink,
      note: (text) => log.warn(text),
    });
    this.#cache = new BlobCache({
      folder: path.join(stateFolder, 'cache'),
      fetch: (digest, file, signal) => this.#transfer.fetch(digest, file, signal),
      pinned: () => pinnedDigests(this.#state.ledger),
    });
    this.#runner = new Runner({
      attemptsFolder: path.join(stateFolder, 'attempts'),
      noteFile: path.join(stateFolder, 'executing'),
      node: name,
      baseEnvironment: baseEnvironment(environment),
      content: this.#cache,
      keepOutput: (file) => stores.outputs.keep(file),
      tell,
      onLog: () => this.#logUpload.pump(),
    });
    this.#logUpload = new LogUpload({
      streams: () => this.#runner.logs(),
      send: (message) => this.#link.send(message),
      uplink,
      onAcknowledged: (attempt) => {
        this.#runner.dropLogs(attempt);
        tell({ kind: 'logs-acknowledged', attempt });
      },
    });
    this.#upgrades = new Upgrades({
      stateFolder,
      store: stores.upgrade,
      fetch: (digest, file, signal) => this.#transfer.fetch(digest, file, signal),
      tell,
    });
  }

  async run(signal: AbortSignal): Promise<Leave> {
    const { config, log, version } = this.#parts;
    const leave = (): void => this.#ended.resolve('stopped');
    signal.addEventListener('abort', leave);
    try {
      await mkdir(path.join(config.stateFolder, 'attempts'), { recursive: true, mode: privateFolderMode });
      await this.#cache.open();
      const { jobs, ended } = this.#state.ledger;
      this.#runner.restore(
        jobs.map((job) => job.attempt),
        ended.filter((one) => !one.logsAcknowledged).map(({ result }) => result),
      );
      log.info(`lockstep-agent ${version} as ${config.name}, state in ${config.stateFolder}`);
      await this.#release(this.#beginning);
      if (signal.aborted) return 'stopped';
      this.#link.connect();
      const why = await this.#ended.promise;
      log.info('stopped; a running job goes on and is taken up by the next start');
      return why;
    } finally {
      signal.removeEventListener('abort', leave);
      clearTimeout(this.#alarm);
      this.#leaving.abort();
      this.#runner.leave();
      this.#link.close();
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

  #hear(messages: readonly CoordinatorMessage[]): void {
    for (const message of messages) {
      if (message.type === 'ack-log')
        this.#logUpload.acknowledge(message.attempt, message.stream, message.upTo);
    }
    this.#tell(messages.map((message) => ({ kind: 'message', message })));
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

  async #release({ state, records, effects }: Turned): Promise<void> {
    const { identity, ledger } = this.#stores;
    if (state.identity !== identity.identity) await identity.write(state.identity);
    ledger.append(records);
    for (const effect of effects) this.#perform(effect);
    if (!this.#compactionDue && !ledger.isLong) return;
    this.#compactionDue = false;
    await ledger.compact(state.ledger);
  }

  #setAlarm(): void {
    clearTimeout(this.#alarm);
    const at = alarmAt(this.#state);
    if (at === null) return;
    const delayMs = Math.min(Math.max(0, Math.ceil(at - this.#now().monotonicMs)), timerMsMax);
    this.#alarm = setTimeout(() => this.#tell([{ kind: 'alarm' }]), delayMs);
  }

  #perform(effect: Effect): void {
    switch (effect.kind) {
      case 'send':
        this.#report(effect.message);
        this.#link.send(effect.message);
        return;
      case 'greet':
        this.#greet(effect);
        return;
      case 'send-facts':
        this.#await(this.#sendFacts());
        return;
      case 'resume-logs':
        this.#logUpload.resume(effect.lineage);
        return;
      case 'prepare':
        if (effect.job.specification.secretInputs.length > 0) this.#withSecrets.add(effect.job.attempt);
        this.#await(this.#runner.prepare(effect.job));
        return;
      case 'abandon-preparation':
        this.#runner.abandonPreparation(effect.attempt);
        return;
      case 'recover':
        this.#runner.recover(effect.job);
        return;
      case 'execute':
        this.#runner.execute(effect.job, effect.number, effect.phase, effect.script);
        return;
      case 'stop':
        this.#runner.stop(effect.attempt);
        return;
      case 'collect':
        this.#await(this.#runner.collect(effect.attempt, effect.files));
        return;
      case 'upload-files':
        this.#await(this.#upload(effect.number, effect.digests));
        return;
      case 'forget':
        this.#forget(effect.attempt, effect.files);
        return;
      case 'reboot':
        this.#reboot();
        return;
      case 'take-upgrade':
        this.#await(this.#upgrades.take(effect.offer, this.#leaving.signal));
        return;
      case 'leave-for-upgrade':
        this.#ended.resolve('for-upgrade');
        return;
      case 'prove-health':
        this.#parts.onTrial?.sayHealthy();
        this.#ended.resolve('stopped');
        return;
      case 'hang-up':
        this.#link.hangUp(effect.reason, effect.retryAfterMs ?? 0);
        return;
      case 'exit':
        this.#ended.reject(new LockstepError('forbidden', effect.reason));
        return;
      case 'note':
        this.#parts.log[effect.level](effect.text);
        return;
      default:
        assertNever(effect);
    }
  }

  #reboot(): void {
    const { config, log } = this.#parts;
    if (config.rebootCommand === null) return;
    log.info(`rebooting this host, as a job asked for it: ${config.rebootCommand}`);
    rebootHost(config.rebootCommand, (text) => log.error(text));
  }

  /** Work that tells of its end by itself; if it fails, the agent does. */
  #await(work: Promise<void>): void {
    work.catch((error: unknown) => this.#ended.reject(error));
  }

  #report(message: AgentMessage): void {
    const { log } = this.#parts;
    if (message.type === 'started') log.info(`${message.attempt} started`);
    if (message.type !== 'result') return;
    const { attempt, outcome, durationMs, reason } = message.result;
    log.info(`${attempt} ${outcome} after ${durationMs} ms${reason === null ? '' : `: ${reason}`}`);
  }

  #greet({ kind: _kind, ...greeting }: Extract<Effect, { kind: 'greet' }>): void {
    const { config, version } = this.#parts;
    const facts = this.#discovery.now();
    const address = this.#link.localAddress;
    const machineId = facts?.machineId;
    this.#link.send({
      type: 'hello',
      protocol: protocolVersion,
      version,
      name: config.name,
      labels: config.labels,
      incarnation: this.#state.identity.incarnation,
      boot: this.#state.host.boot,
      ...greeting,
      diskless: this.#state.host.diskless,
      features: [...allFeatures],
      upgradesFailed: [...this.#state.upgradesFailed],
      ...(facts === undefined ? {} : { factsDigest: digestOfFacts(facts) }),
      ...(machineId === undefined ? {} : { machineId }),
      ...(address === undefined ? {} : { address }),
    });
  }

  async #sendFacts(): Promise<void> {
    const facts = await this.#discovery.full();
    this.#link.send({
      type: 'facts',
      digest: digestOfFacts(facts),
      facts: JSON.parse(JSON.stringify(facts)),
    });
  }

  async #upload(number: number, digests: readonly string[]): Promise<void> {
    if (this.#uploads.has(number)) return;
    this.#uploads.add(number);
    const { signal } = this.#leaving;
    try {
      for (const digest of digests) {
        await this.#transfer.upload(digest, this.#stores.outputs.pathOf(digest), signal);
      }
    } catch (error) {
      if (signal.aborted) return;
      // The result names what it lacks; holding it back for ever would only hide that.
      this.#parts.log.error(`a file of result ${number} is lost: ${messageOf(error)}`);
    } finally {
      this.#uploads.delete(number);
    }
    this.#tell([{ kind: 'files-uploaded', number }]);
  }

  #forget(attempt: string, files: readonly string[]): void {
    this.#runner.forget(attempt);
    if (this.#withSecrets.delete(attempt)) this.#compactionDue = true;
    const needed = new Set(this.#state.ledger.ended.flatMap((ended) => ended.files));
    const dropped = files.filter((digest) => !needed.has(digest));
    if (dropped.length > 0) this.#await(this.#stores.outputs.drop(dropped));
  }
}

function unauthorized(coordinator: CoordinatorAddress, { tokenSource }: AgentConfig): LockstepError {
  return new LockstepError(
    'unauthorized',
    `${nameOf(coordinator)} does not accept the token from ${tokenSource}; make one there with \`lockstep token create\``,
  );
}

/** tmpfs and ramfs: what is there is gone with the next boot. Numbers from statfs(2). */
const isInMemory = (folder: string): boolean => [0x01021994, 0x858458f6].includes(statfsSync(folder).type);
