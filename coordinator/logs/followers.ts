/** Readers who wait for an attempt's next durable output. */
import { LockstepError } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';

export class Follower {
  /** Nothing more will come. */
  isDone = false;
  #hasNews = false;
  #wake: (() => void) | undefined;
  readonly #stop = (): void => this.#wake?.();

  /** To be called before reading, so that what comes while reading counts as news. */
  markRead(): void {
    this.#hasNews = false;
  }

  /** Resolves when something came since `markRead`, at the end, or when the signal aborts. */
  async news(signal: AbortSignal): Promise<void> {
    if (this.#hasNews || this.isDone || signal.aborted) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      signal.addEventListener('abort', this.#stop);
    });
    signal.removeEventListener('abort', this.#stop);
    this.#wake = undefined;
  }

  tell(): void {
    this.#hasNews = true;
    this.#wake?.();
  }
}

export class Followers {
  readonly #byAttempt = new Map<string, Set<Follower>>();
  #count = 0;

  join(attempt: string): Follower {
    if (this.#count >= limits.logFollowersMax) {
      throw new LockstepError(
        'too-many',
        `cannot follow the log of ${attempt}: ${this.#count} readers follow logs already`,
      );
    }
    const follower = new Follower();
    const followers = this.#byAttempt.get(attempt) ?? new Set();
    this.#byAttempt.set(attempt, followers.add(follower));
    this.#count += 1;
    return follower;
  }

  leave(attempt: string, follower: Follower): void {
    const followers = this.#byAttempt.get(attempt);
    if (followers?.delete(follower) !== true) return;
    this.#count -= 1;
    if (followers.size === 0) this.#byAttempt.delete(attempt);
  }

  tell(attempt: string): void {
    for (const follower of this.#byAttempt.get(attempt) ?? []) follower.tell();
  }

  end(attempt: string): void {
    for (const follower of this.#byAttempt.get(attempt) ?? []) {
      follower.isDone = true;
      follower.tell();
    }
  }

  endAll(): void {
    for (const attempt of this.#byAttempt.keys()) this.end(attempt);
  }
}
