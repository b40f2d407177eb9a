/**
 * How fast agents come in. After a restart all of them come at once: some are let in every second, the others
 * are told when it is their turn, one after the other, so that they do not come in a crowd again. Pure; time is
 * an argument.
 */
import { limits } from '../../shared/limits.ts';

const spacingMs = 1_000 / limits.joinsPerSecond;

export class JoinPace {
  /** When the last one would have come if they came evenly; never more than a second behind. */
  #even = 0;
  /** Until when the turns of those who were put off fill the time. */
  #promised = 0;

  /** 0: come in. Else after how many seconds to come again. */
  ask(now: number): number {
    this.#even = Math.max(this.#even, now - burstMs);
    if (this.#even + spacingMs <= now) {
      this.#even += spacingMs;
      return 0;
    }
    this.#promised = Math.max(this.#promised, now) + spacingMs;
    return Math.ceil(Math.min(this.#promised - now, limits.joinRetryMsMax) / 1_000);
  }
}

const burstMs = 1_000;
