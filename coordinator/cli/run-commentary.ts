/**
 * What stands in a run's picture beside its state: sentences about what is waited for, and how the logs of
 * failed jobs end. Both are an addition: when they cannot be had, the picture goes on without them.
 */
import { LockstepError } from '../../shared/errors.ts';
import { attemptIdOf } from '../../shared/ids.ts';
import { limits } from '../../shared/limits.ts';
import type { CoordinatorClient } from './client.ts';
import { troublesOf } from './render/run-rows.ts';
import type { Explanation, Run } from './resources.ts';
import { readExplanations, readTail } from './run-reading.ts';

/** Sentences of a large run are long to read: they are not read again at once. */
const restFactor = 10;

/** What to show when the coordinator cannot say more now. Only that is expected; anything else is a bug. */
const without =
  <T>(instead: T) =>
  (error: unknown): T => {
    if (error instanceof LockstepError) return instead;
    throw error;
  };

export class RunCommentary {
  readonly #client: CoordinatorClient;
  readonly #signal: AbortSignal;
  readonly #changed: () => void;
  #reading: Promise<void> | undefined;
  #explainAfter = 0;
  #explained = false;
  /** Attempts whose log will not grow any more. */
  readonly #settled = new Set<string>();
  explanations: readonly Explanation[] = [];
  /** By attempt id. */
  tails: ReadonlyMap<string, readonly string[]> = new Map();

  constructor(client: CoordinatorClient, signal: AbortSignal, changed: () => void) {
    this.#client = client;
    this.#signal = signal;
    this.#changed = changed;
  }

  /** Brings it up to date with the run, unless that is being done. */
  refresh(run: Run): void {
    this.#reading ??= this.#read(run).finally(() => {
      this.#reading = undefined;
    });
  }

  /** What there is to say when the run does not go on. */
  async complete(run: Run): Promise<void> {
    await this.#reading;
    this.#explainAfter = 0;
    this.#explained = false;
    await this.#read(run);
  }

  /** There may be something new to say, even when nothing new is known of the run. */
  expire(): void {
    this.#explained = false;
  }

  async #read(run: Run): Promise<void> {
    await Promise.all([this.#explain(run), this.#readTails(run)]);
    this.#changed();
  }

  async #explain(run: Run): Promise<void> {
    if (run.finishedAt !== null || this.#explained || performance.now() < this.#explainAfter) return;
    const begun = performance.now();
    this.#explained = true;
    this.explanations = await readExplanations(this.#client, run.id).catch(without(this.explanations));
    this.#explainAfter =
      performance.now() + Math.max(limits.watchExplainMs, restFactor * (performance.now() - begun));
  }

  async #readTails(run: Run): Promise<void> {
    const tails = new Map<string, readonly string[]>();
    for (const { job } of troublesOf(run).slice(0, limits.watchTailsMax)) {
      if (job.attempt === 0) continue;
      const id = attemptIdOf(job.id, job.attempt);
      const known = this.#settled.has(id) ? this.tails.get(id) : undefined;
      const tail =
        known ?? (await readTail(this.#client, run.id, job, this.#signal).catch(without(undefined)));
      if (tail === undefined) continue;
      tails.set(id, tail);
      // The end of a log may arrive a moment after the result: until then it is read again.
      const endedAt = Date.parse(job.finishedAt ?? job.since);
      if (Date.now() + this.#client.clockAheadMs - endedAt > limits.watchTailWaitMs) this.#settled.add(id);
    }
    this.tails = tails;
  }
}
