/**
 * Takes the logs of one connection in the order in which they came. When the store has no room, the agent is
 * not read from until it has; nothing is acknowledged that is not on disk.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { assertNever } from '../../shared/assert.ts';
import { limits } from '../../shared/limits.ts';
import type { AgentMessage } from '../../shared/messages.ts';

export type LogPiece = Extract<AgentMessage, { type: 'log' }>;

/** See logs/log-store.ts. */
export type TakeLog = (piece: LogPiece) => Promise<Taken>;

export type Taken =
  /** What is before `durable` is on disk and may be acknowledged; the rest is told of later. */
  | { readonly kind: 'taken'; readonly durable: number }
  | { readonly kind: 'full' }
  /** It cannot be right, for this reason. */
  | { readonly kind: 'refused'; readonly reason: string };

export type LogIntakeHooks = {
  readonly isOpen: () => boolean;
  readonly acknowledge: (piece: LogPiece, upTo: number) => void;
  readonly refuse: (reason: string) => void;
  readonly pause: () => void;
  readonly resume: () => void;
};

export class LogIntake {
  readonly #take: TakeLog;
  readonly #hooks: LogIntakeHooks;
  #pieces: LogPiece[] = [];
  #pumping = false;
  #paused = false;

  constructor(take: TakeLog, hooks: LogIntakeHooks) {
    this.#take = take;
    this.#hooks = hooks;
  }

  /** What the store itself reports as wrong is the caller's: the promise rejects. */
  async push(piece: LogPiece): Promise<void> {
    this.#pieces.push(piece);
    if (this.#pieces.length >= limits.logPiecesQueuedMax) this.#pause();
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      await this.#pump();
    } finally {
      this.#pumping = false;
    }
  }

  async #pump(): Promise<void> {
    for (let next = this.#pieces[0]; next !== undefined && this.#hooks.isOpen(); next = this.#pieces[0]) {
      const taken = await this.#take(next);
      switch (taken.kind) {
        case 'taken':
          this.#pieces.shift();
          if (taken.durable > next.offset) this.#hooks.acknowledge(next, taken.durable);
          break;
        case 'full':
          this.#pause();
          await sleep(limits.logFlushDelayMs);
          break;
        case 'refused':
          this.#pieces = [];
          this.#hooks.refuse(taken.reason);
          return;
        default:
          assertNever(taken);
      }
    }
    if (this.#paused && this.#hooks.isOpen()) {
      this.#paused = false;
      this.#hooks.resume();
    }
  }

  #pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#hooks.pause();
  }
}
