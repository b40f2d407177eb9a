/** Between agents who print, the store that keeps it, and operators who read: what is on disk is told to both. */
import { LockstepError } from '../shared/errors.ts';
import { parseAttemptId } from '../shared/ids.ts';
import type { State } from './core/state.ts';
import type { LogsPort } from './http/ports.ts';
import type { Logger } from './log.ts';
import { type DurableLog, LogStore } from './logs/log-store.ts';
import type { LogPiece, Taken } from './ws/log-intake.ts';

export type LogExchangeOptions = {
  readonly folder: string;
  readonly state: State;
  readonly now: () => number;
  readonly acknowledge: (durable: readonly DurableLog[]) => void;
  readonly onBroken: (error: unknown) => void;
  readonly log: Logger;
};

type Listener = (attempts: readonly string[]) => void;

export class LogExchange implements LogsPort {
  readonly #options: LogExchangeOptions;
  readonly #store: LogStore;
  readonly #listeners: Set<Listener>;

  private constructor(options: LogExchangeOptions, store: LogStore, listeners: Set<Listener>) {
    this.#options = options;
    this.#store = store;
    this.#listeners = listeners;
  }

  static async open(options: LogExchangeOptions): Promise<LogExchange> {
    const listeners = new Set<Listener>();
    const { folder, log, now } = options;
    const store = await LogStore.open({
      folder,
      now,
      onDurable: (durable) => {
        options.acknowledge(durable);
        const attempts = durable.map(({ attempt }) => attempt);
        for (const listener of listeners) listener(attempts);
      },
      onFailure: (error) => {
        if (error instanceof LockstepError && error.code === 'disk-full') log.warn(error.message);
        else options.onBroken(error);
      },
    });
    for (const repair of store.repairs) log.warn(repair);
    return new LogExchange(options, store, listeners);
  }

  /** Takes what an agent printed. Of an attempt that this history does not know, nothing is kept. */
  async take({ attempt, stream, offset, base64, gapBytes }: LogPiece): Promise<Taken> {
    const bytes = base64 === undefined ? undefined : Buffer.from(base64, 'base64');
    const size = bytes?.length ?? gapBytes ?? 0;
    if (size === 0) return { kind: 'refused', reason: `a piece of the log of ${attempt} without content` };
    if (!this.#isKnown(attempt)) return { kind: 'taken', durable: offset + size };
    try {
      let appended = await this.#store.append(attempt, stream, offset, bytes ?? { gapBytes: size });
      // What was acknowledged after the backup that was restored is lost, and some agents do not say it again.
      if (appended.kind === 'gap' && this.#options.state.restoration !== null) {
        await this.#store.append(attempt, stream, appended.expected, {
          gapBytes: offset - appended.expected,
        });
        appended = await this.#store.append(attempt, stream, offset, bytes ?? { gapBytes: size });
      }
      switch (appended.kind) {
        case 'accepted':
          return { kind: 'taken', durable: appended.durable };
        case 'full':
          return { kind: 'full' };
        case 'gap':
          return {
            kind: 'refused',
            reason: `${stream} of ${attempt} goes on at ${appended.expected}, not at ${offset}`,
          };
      }
    } catch (error) {
      if (error instanceof LockstepError && error.code === 'too-large')
        return { kind: 'refused', reason: error.message };
      throw error;
    }
  }

  read(...[attempt, selection]: Parameters<LogsPort['read']>): ReturnType<LogsPort['read']> {
    return this.#store.read(attempt, selection);
  }

  tail(...[attempt, selection]: Parameters<LogsPort['tail']>): ReturnType<LogsPort['tail']> {
    return this.#store.tail(attempt, selection);
  }

  tailNow(attempt: string, bytes: number): string {
    return this.#store.tailNow(attempt, bytes);
  }

  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  retain(policy: {
    readonly now: number;
    readonly keptMs: number;
    readonly keptBytes: number;
  }): Promise<number> {
    return this.#store.retain(policy);
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  #isKnown(attempt: string): boolean {
    const run = parseAttemptId(attempt)?.run ?? '';
    const { runs, archive } = this.#options.state;
    return runs.has(run) || archive.has(run);
  }
}
