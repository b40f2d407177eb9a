/**
 * The one loop through which everything happens, in the order that is kept everywhere: decide, evolve in
 * memory, append; and nothing leaves (effect, reply, read) before the fsync that covers it. While one batch
 * is being written, the next is decided, so that many decisions share an fsync.
 *
 * The state is therefore ahead of the disk. When the disk is full, nothing more is decided: the batch that
 * could not be written is offered again until there is space, agents' reports wait in the queue, operators
 * are refused, and reads see the state as far as it is on disk. What is decided belongs to core/.
 */
import { assertNever } from '../shared/assert.ts';
import { LockstepError } from '../shared/errors.ts';
import { limits } from '../shared/limits.ts';
import type { Command, Decision, Effect } from './core/commands.ts';
import { execute, progress } from './core/engine.ts';
import type { Event } from './core/events.ts';
import type { State } from './core/state.ts';
import { Batch, type Release, type Store } from './sequence/batch.ts';
import type { Clock } from './sequence/clock.ts';
import { CommandQueue, type Content, type Entry, type Settled } from './sequence/command-queue.ts';
import type { Contents } from './sequence/contents.ts';

export type { Settled } from './sequence/command-queue.ts';

/** Who carries out what the core decided. */
export type Edge = {
  deliver(effects: readonly Effect[]): void;
  /** Everything that could leave at this moment has been delivered. */
  flush(): void;
  /** The queue is short again: reading may go on. */
  roomAgain(): void;
};

export type SequencerOptions = {
  readonly state: State;
  readonly contents: Contents;
  readonly clock: Clock;
  readonly store: Store;
  readonly edge: Edge;
  /** The state as the disk holds it, up to a seq: what is read while the disk is full. */
  readonly recoverTo: (seq: number) => Promise<State>;
  /** After this nothing works any more; the process has to end. */
  readonly onFatal: (what: 'storage' | 'invariant', error: unknown) => void;
  readonly onBatch?: (events: number, durationMs: number) => void;
  readonly onDiskFull?: (error: LockstepError | null) => void;
};

type Condition =
  | { readonly kind: 'running' }
  | { readonly kind: 'disk-full'; readonly error: LockstepError; readable: Promise<State> | null }
  | { readonly kind: 'ended' };

/** What agents say; it is kept while the disk is full, because they would only say it again. */
const reports: ReadonlySet<Command['type']> = new Set<Command['type']>([
  'DisconnectAgent',
  'ReportFacts',
  'ReportUpgradeFailed',
  'PullJobs',
  'ReportStarted',
  'ReportResult',
  'Tick',
]);

export class Sequencer {
  readonly #options: SequencerOptions;
  readonly #queue = new CommandQueue();
  #condition: Condition = { kind: 'running' };
  #pending = new Batch();
  #inFlight: Batch | null = null;
  #committing: Promise<void> | null = null;
  /** A turn was put off because too much waits to be written. */
  #waitsForDisk = false;
  #durableSeq: number;
  #turnScheduled = false;
  #congested = false;
  #timer: NodeJS.Timeout | undefined;
  #timerAt: number | undefined;
  #endPause: (() => void) | null = null;

  constructor(options: SequencerOptions) {
    this.#options = options;
    this.#durableSeq = options.state.seq;
  }

  /** Begins with what recovery left to do. */
  start(): void {
    this.#scheduleTurn();
  }

  get queued(): number {
    return this.#queue.length;
  }

  /** Whoever reads from a socket stops until `roomAgain`. */
  get congested(): boolean {
    return this.#congested;
  }

  get durableSeq(): number {
    return this.#durableSeq;
  }

  /** Why nothing can be decided now; null when all is well. */
  get stalled(): LockstepError | null {
    return this.#condition.kind === 'disk-full' ? this.#condition.error : null;
  }

  /**
   * Queues a command. `settle` is called when the disk holds the outcome, or at once when it is refused; then
   * the answer is false. `content` is stored before the events that name it.
   */
  post(
    command: Command,
    settle: ((settled: Settled) => void) | null = null,
    content: Content | null = null,
  ): boolean {
    const refusal = this.#refusalOf(command);
    if (refusal === null && this.#queue.push({ command, settle, content })) {
      if (content !== null) this.#options.contents.holdText(content.digest, content.text);
      if (this.#queue.length >= limits.commandsQueuedHighWater) this.#congested = true;
      this.#scheduleTurn();
      return true;
    }
    const error =
      refusal ??
      new LockstepError('too-many', `${this.#queue.length} commands are waiting already; try again later`);
    settle?.({ ok: false, error, effects: [] });
    return false;
  }

  /** Resolves with the events of this command when they are durable; rejects with a LockstepError. */
  submit(command: Command): Promise<readonly Event[]> {
    return new Promise((resolve, reject) => {
      this.post(command, (settled) => (settled.ok ? resolve(settled.events) : reject(settled.error)));
    });
  }

  /**
   * What `view` makes of the state, once all that it saw is durable. `view` must copy what it needs: the
   * state goes on changing.
   */
  async read<T>(view: (state: State) => T): Promise<T> {
    if (this.#condition.kind === 'disk-full') return view(await this.#readable(this.#condition));
    const value = view(this.#options.state);
    const last = this.#pending.events.length > 0 ? this.#pending : this.#inFlight;
    if (last === null) return value;
    return new Promise((resolve, reject) => {
      const retake = () => void this.read(view).then(resolve, reject);
      last.releases.push({ kind: 'read', read: { release: () => resolve(value), retake } });
    });
  }

  /** Nothing more is decided; what is decided is written, unless the disk is full. */
  async close(): Promise<void> {
    if (this.#condition.kind === 'ended') return;
    this.#condition = { kind: 'ended' };
    clearTimeout(this.#timer);
    this.#endPause?.();
    for (const { settle } of this.#queue.remove(() => true))
      settle?.({ ok: false, error: ending(), effects: [] });
    if (this.#committing === null && !this.#pending.isEmpty) this.#commit();
    await this.#committing;
  }

  #refusalOf(command: Command): LockstepError | null {
    switch (this.#condition.kind) {
      case 'running':
        return null;
      case 'disk-full':
        return reports.has(command.type) ? null : this.#condition.error;
      case 'ended':
        return ending();
    }
  }

  #scheduleTurn(): void {
    if (this.#turnScheduled || this.#condition.kind !== 'running') return;
    this.#turnScheduled = true;
    // Not at once: sockets are read in between, so that one turn takes what many of them brought.
    setImmediate(() => this.#turn());
  }

  #turn(): void {
    this.#turnScheduled = false;
    if (this.#condition.kind !== 'running') return;
    // The disk is slower than the decisions; the next batch schedules the turn again.
    this.#waitsForDisk = this.#pending.events.length >= limits.batchEventsMax;
    if (this.#waitsForDisk) return;
    try {
      this.#decide();
    } catch (error) {
      this.#fail('invariant', error);
      return;
    }
    if (this.#committing === null && !this.#pending.isEmpty) this.#commit();
    if (this.#congested && this.#queue.length <= limits.commandsQueuedLowWater) {
      this.#congested = false;
      this.#options.edge.roomAgain();
    }
  }

  #decide(): void {
    const { state, contents, clock } = this.#options;
    const at = clock.now();
    for (let taken = 0; taken < limits.commandsPerTurnMax; taken += 1) {
      const entry = this.#queue.shift();
      if (entry === undefined) break;
      this.#add(execute(state, entry.command, at, contents), entry);
    }
    const progressed = progress(state, at, contents, limits.grantsPerTurnMax);
    this.#add(progressed, null);
    if (progressed.more || this.#queue.length > 0) this.#scheduleTurn();
    this.#armTimer();
  }

  #add(decision: Decision, entry: Entry | null): void {
    const { contents } = this.#options;
    if (decision.ok) {
      // The next decision may look up what this one named.
      for (const { digest, text } of decision.blobs) contents.holdText(digest, text);
      for (const { reference, value } of decision.secrets) contents.holdSecret(reference, value);
    }
    this.#pending.add(decision, entry);
  }

  /** One timer for whatever is due next. */
  #armTimer(): void {
    const next = this.#options.state.deadlines.next();
    if (next === this.#timerAt) return;
    clearTimeout(this.#timer);
    this.#timerAt = next;
    if (next === undefined) return;
    const waitMs = Math.min(Math.max(1, next - this.#options.clock.now()), limits.timerDelayMaxMs);
    this.#timer = setTimeout(() => {
      this.#timerAt = undefined;
      this.post({ type: 'Tick' });
    }, waitMs);
  }

  /** Begins to write, batch after batch, until nothing is left to write. */
  #commit(): void {
    this.#committing = this.#writeAll()
      .catch((error: unknown) =>
        error instanceof StorageFailure ? this.#fail('storage', error.cause) : this.#fail('invariant', error),
      )
      .finally(() => {
        this.#committing = null;
      });
  }

  async #writeAll(): Promise<void> {
    while (!this.#pending.isEmpty) {
      const batch = this.#pending;
      this.#pending = new Batch();
      if (this.#waitsForDisk) this.#scheduleTurn();
      if (batch.events.length > 0 && !(await this.#write(batch))) return;
      this.#release(batch.releases);
    }
  }

  /** False when it was given up, because the coordinator ends while the disk is full. */
  async #write(batch: Batch): Promise<boolean> {
    this.#inFlight = batch;
    const { store, onBatch, onDiskFull } = this.#options;
    const events = batch.events.length;
    const begun = performance.now();
    for (;;) {
      try {
        await batch.write(store, (seq) => {
          this.#durableSeq = seq;
        });
        break;
      } catch (error) {
        if (!(error instanceof LockstepError) || error.code !== 'disk-full')
          throw new StorageFailure('a batch could not be written', { cause: error });
        this.#stall(error, batch);
        if (!(await this.#pause(limits.diskRetryMs))) return false;
      }
    }
    this.#inFlight = null;
    onBatch?.(events, performance.now() - begun);
    if (this.#condition.kind === 'disk-full') {
      this.#condition = { kind: 'running' };
      onDiskFull?.(null);
      this.#scheduleTurn();
    }
    return true;
  }

  #release(releases: readonly Release[]): void {
    const { edge } = this.#options;
    for (const release of releases) {
      switch (release.kind) {
        case 'settle':
          release.entry.settle?.(release.settled);
          edge.deliver(release.settled.effects);
          break;
        case 'effects':
          edge.deliver(release.effects);
          break;
        case 'read':
          release.read.release();
          break;
        default:
          assertNever(release);
      }
    }
    edge.flush();
  }

  /**
   * From now on only reports are taken. Operators who wait are told so; what was decided for them stands and
   * is released when there is space again. A connecting agent goes on waiting: it must not be told twice.
   */
  #stall(error: LockstepError, batch: Batch): void {
    if (this.#condition.kind !== 'running') return;
    this.#condition = { kind: 'disk-full', error, readable: null };
    this.#options.onDiskFull?.(error);
    for (const { settle } of this.#queue.remove(({ command }) => !reports.has(command.type)))
      settle?.({ ok: false, error, effects: [] });
    const late = new LockstepError(
      'disk-full',
      `${error.message}; the request was decided and takes effect when there is space`,
      { cause: error },
    );
    for (const waiting of [batch, this.#pending])
      waiting.releases = waiting.releases.flatMap((release) => this.#turnAway(release, late));
  }

  #turnAway(release: Release, error: LockstepError): readonly Release[] {
    if (release.kind === 'read') {
      release.read.retake();
      return [];
    }
    if (release.kind === 'effects' || release.entry.command.type === 'ConnectAgent') return [release];
    release.entry.settle?.({ ok: false, error, effects: [] });
    return [{ kind: 'effects', effects: release.settled.effects }];
  }

  #readable(condition: Extract<Condition, { kind: 'disk-full' }>): Promise<State> {
    condition.readable ??= this.#options.recoverTo(this.#durableSeq);
    return condition.readable;
  }

  /** False when it was cut short by `close`. */
  async #pause(ms: number): Promise<boolean> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#endPause = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#endPause = null;
    return this.#condition.kind !== 'ended';
  }

  #fail(what: 'storage' | 'invariant', error: unknown): void {
    this.#condition = { kind: 'ended' };
    clearTimeout(this.#timer);
    this.#options.onFatal(what, error);
  }
}

/** What the disk holds is unknown; apart from faults of the code that releases what was written. */
class StorageFailure extends Error {}

const ending = (): LockstepError =>
  new LockstepError('unreachable', 'the coordinator is ending; ask again when it is back');
