/**
 * How much may be sent. Messages go at once and are only counted: results, events and pings are never held
 * back. Logs and files wait until what was sent is paid for, files before logs, since a result may wait for its
 * files. So the budget holds over time, while messages may run ahead of it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { limits } from '../../shared/limits.ts';

/** Tokens of one byte each, for a second at most. Time is an argument, in ms by a clock that only goes on. */
export class TokenBucket {
  readonly #bytesPerSecond: number;
  #balance: number;
  #at: number;

  constructor(bytesPerSecond: number, now: number) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#balance = bytesPerSecond;
    this.#at = now;
  }

  /** May leave it in debt. */
  spend(bytes: number, now: number): void {
    this.#refill(now);
    this.#balance -= bytes;
  }

  /** Until it is out of debt; 0 when it is. */
  waitMs(now: number): number {
    this.#refill(now);
    return this.#balance > 0 ? 0 : Math.ceil(((1 - this.#balance) / this.#bytesPerSecond) * 1_000);
  }

  #refill(now: number): void {
    const gained = ((now - this.#at) / 1_000) * this.#bytesPerSecond;
    this.#balance = Math.min(this.#balance + gained, this.#bytesPerSecond);
    this.#at = now;
  }
}

export class Uplink {
  /** At most so many bytes are handed over at a time, so that a message never waits long behind them. */
  readonly pieceBytesMax: number;
  readonly #bucket: TokenBucket | null;
  #filesWaiting = 0;

  /** Null: as much as the link takes. */
  constructor(bytesPerSecond: number | null) {
    this.#bucket = bytesPerSecond === null ? null : new TokenBucket(bytesPerSecond, performance.now());
    this.pieceBytesMax =
      bytesPerSecond === null
        ? limits.logChunkBytesMax
        : Math.min(limits.logChunkBytesMax, Math.ceil(bytesPerSecond * pieceSeconds));
  }

  /** What goes at once, logs among it: those have asked before. */
  count(bytes: number): void {
    this.#bucket?.spend(bytes, performance.now());
  }

  /** How long logs have to wait; 0 when a piece may go. */
  logWaitMs(): number {
    if (this.#bucket === null) return 0;
    const waitMs = this.#bucket.waitMs(performance.now());
    return this.#filesWaiting > 0 ? Math.max(waitMs, limits.logPollMs) : waitMs;
  }

  /** Resolves when these bytes of a file may go. */
  async forFile(bytes: number, signal: AbortSignal): Promise<void> {
    if (this.#bucket === null) return;
    this.#filesWaiting += 1;
    try {
      for (
        let waitMs = this.#bucket.waitMs(performance.now());
        waitMs > 0;
        waitMs = this.#bucket.waitMs(performance.now())
      )
        await sleep(waitMs, undefined, { signal });
      this.#bucket.spend(bytes, performance.now());
    } finally {
      this.#filesWaiting -= 1;
    }
  }
}

const pieceSeconds = 1 / 8;
