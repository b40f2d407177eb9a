/** Readers who have seen everything and wait for the next durable event. */
import { LockstepError } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';

type Waiter = { readonly seq: number; readonly release: () => void };

export class SeqWaiters {
  readonly #waiting = new Set<Waiter>();

  /** Resolves when an event after `seq` is announced, the signal aborts, or all are released. */
  wait(seq: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    if (this.#waiting.size >= limits.journalWaitersMax) {
      throw new LockstepError(
        'too-many',
        `cannot wait for events: ${this.#waiting.size} readers wait already`,
      );
    }
    return new Promise((resolve) => {
      const release = (): void => {
        this.#waiting.delete(waiter);
        signal.removeEventListener('abort', release);
        resolve();
      };
      const waiter: Waiter = { seq, release };
      this.#waiting.add(waiter);
      signal.addEventListener('abort', release, { once: true });
    });
  }

  announce(last: number): void {
    for (const waiter of this.#waiting) if (waiter.seq < last) waiter.release();
  }

  releaseAll(): void {
    for (const waiter of this.#waiting) waiter.release();
  }
}
