/**
 * Who needs the files of the data folder to stay as they are, because he copies or checks them: while there is
 * one, nothing is archived, collected or deleted. A pause ends by itself unless it is renewed, so that a copy
 * that was killed does not let the disk fill up.
 */
import { performance } from 'node:perf_hooks';
import { LockstepError } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';

export class UpkeepPauses {
  readonly #until = new Map<string, number>();

  get any(): boolean {
    for (const [id, until] of this.#until) if (until < performance.now()) this.#until.delete(id);
    return this.#until.size > 0;
  }

  begin(id: string): void {
    if (this.any && this.#until.size >= limits.upkeepPausesMax)
      throw new LockstepError(
        'too-many',
        `${limits.upkeepPausesMax} copies are being made already; try again later`,
      );
    this.#extend(id);
  }

  /** Throws `not-found` when it has ended, and with it the promise that nothing changed. */
  renew(id: string): void {
    this.#require(id);
    this.#extend(id);
  }

  end(id: string): void {
    this.#require(id);
    this.#until.delete(id);
  }

  #extend(id: string): void {
    this.#until.set(id, performance.now() + limits.upkeepPauseMs);
  }

  #require(id: string): void {
    if (this.any && this.#until.has(id)) return;
    throw new LockstepError('not-found', `the pause ${id} has ended: what was copied may not fit together`);
  }
}
