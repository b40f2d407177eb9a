/**
 * The edges of the agent, and what the core asks of them: each effect is handed to the one that it is for, and
 * tells the core of what comes of it. It knows every edge; the edges do not know each other.
 */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { Logger } from 'pino';
import { assertNever } from '../shared/assert.ts';
import { privateFolderMode } from '../shared/disk/durable-file.ts';
import { LockstepError, messageOf } from '../shared/errors.ts';
import { allFeatures } from '../shared/features.ts';
import { type AgentMessage, type CoordinatorMessage, protocolVersion } from '../shared/messages.ts';
import type { AgentConfig } from './config.ts';
import { pinnedDigests } from './core/ledger.ts';
import type { AgentState, Effect, Input } from './core/state.ts';
import { Discovery, digestOfFacts } from './discover/facts.ts';
import { readHardware } from './discover/hardware.ts';
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
import type { Stores } from './stores.ts';
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

/** What the edges see of the loop around the core. */
export type Loop = {
  readonly state: () => AgentState;
  readonly tell: (inputs: readonly Input[]) => void;
  /** How it all ends. */
  readonly ended: Pick<PromiseWithResolvers<Leave>, 'resolve' | 'reject'>;
};

export class Edges {
  readonly #parts: AgentParts;
  readonly #stores: Stores;
  readonly #loop: Loop;
  readonly #discovery = new Discovery();
  readonly #link: CoordinatorLink;
  readonly #transfer: BlobTransfer;
  readonly #cache: BlobCache;
  readonly #runner: Runner;
  readonly #logUpload: LogUpload;
  readonly #upgrades: Upgrades;
  /** Results whose files are on their way. */
  /** Of which results, and to a coordinator of which lineage. */
  readonly #uploads = new Map<number, string>();
  /** Attempts whose specification holds secrets: the ledger is compacted when they are done with. */
  readonly #withSecrets = new Set<string>();
  readonly #leaving = new AbortController();
  #compactionDue = false;

  constructor(parts: AgentParts, stores: Stores, loop: Loop) {
    this.#parts = parts;
    this.#stores = stores;
    this.#loop = loop;
    const { config, environment, log } = parts;
    const { coordinators, token, stateFolder } = config;
    const dial = dialer(config.proxies);
    const uplink = new Uplink(config.uplink);
    const tell = (input: Input): void => loop.tell([input]);
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
      onUnauthorized: (coordinator) => this.#loop.ended.reject(unauthorized(coordinator, config)),
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
      pinned: () => pinnedDigests(this.#loop.state().ledger),
    });
    this.#runner = new Runner({
      attemptsFolder: path.join(stateFolder, 'attempts'),
      noteFile: path.join(stateFolder, 'executing'),
      node: () => loop.state().node.name,
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

  /** Takes up what an earlier process left. */
  async open(): Promise<void> {
    const { stateFolder } = this.#parts.config;
    await mkdir(path.join(stateFolder, 'attempts'), { recursive: true, mode: privateFolderMode });
    await this.#cache.open();
    const { jobs, ended } = this.#loop.state().ledger;
    this.#runner.restore(
      jobs.map((job) => job.attempt),
      ended.filter((one) => !one.logsAcknowledged).map(({ result }) => result),
    );
  }

  connect(): void {
    this.#link.connect();
  }

  /** Leaves running jobs to themselves. */
  close(): void {
    this.#leaving.abort();
    this.#runner.leave();
    this.#link.close();
  }

  /** Once: whether the ledger holds secrets of attempts that are done with. */
  takeCompactionDue(): boolean {
    const due = this.#compactionDue;
    this.#compactionDue = false;
    return due;
  }

  #hear(messages: readonly CoordinatorMessage[]): void {
    for (const message of messages) {
      if (message.type === 'ack-log')
        this.#logUpload.acknowledge(message.attempt, message.stream, message.upTo);
    }
    this.#loop.tell(messages.map((message) => ({ kind: 'message', message })));
  }

  perform(effect: Effect): void {
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
        this.#await(this.#upload(effect));
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
        this.#loop.ended.resolve('for-upgrade');
        return;
      case 'prove-health':
        this.#parts.onTrial?.sayHealthy();
        this.#loop.ended.resolve('stopped');
        return;
      case 'hang-up':
        this.#link.hangUp(effect.reason, effect.retryAfterMs ?? 0);
        return;
      case 'exit':
        this.#loop.ended.reject(new LockstepError('forbidden', effect.reason));
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
    work.catch((error: unknown) => this.#loop.ended.reject(error));
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
      name: this.#loop.state().node.name,
      labels: config.labels,
      incarnation: this.#loop.state().identity.incarnation,
      boot: this.#loop.state().host.boot,
      ...greeting,
      diskless: this.#loop.state().host.diskless,
      hardware: readHardware(),
      features: [...allFeatures],
      upgradesFailed: [...this.#loop.state().upgradesFailed],
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

  async #upload({ number, lineage, digests }: Extract<Effect, { kind: 'upload-files' }>): Promise<void> {
    if (this.#uploads.get(number) === lineage) return;
    this.#uploads.set(number, lineage);
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
      if (this.#uploads.get(number) === lineage) this.#uploads.delete(number);
    }
    this.#loop.tell([{ kind: 'files-uploaded', number, lineage }]);
  }

  #forget(attempt: string, files: readonly string[]): void {
    this.#runner.forget(attempt);
    if (this.#withSecrets.delete(attempt)) this.#compactionDue = true;
    const needed = new Set(this.#loop.state().ledger.ended.flatMap((ended) => ended.files));
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
