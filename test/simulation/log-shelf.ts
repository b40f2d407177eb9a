/**
 * The coordinator's log store without files: what was taken becomes durable some time later and is acknowledged
 * only then; what was not is lost with the process. See coordinator/log-exchange.ts and logs/log-store.ts.
 */
import type { State } from '../../coordinator/core/state.ts';
import type { LogPiece, Taken } from '../../coordinator/ws/log-intake.ts';
import { parseAttemptId } from '../../shared/ids.ts';
import { limits } from '../../shared/limits.ts';
import type { CoordinatorDisk } from './coordinator-disk.ts';
import type { Life, Timeline } from './timeline.ts';

type Durable = { readonly attempt: string; readonly stream: LogPiece['stream']; readonly upTo: number };

export class LogShelf {
  readonly #timeline: Timeline;
  readonly #disk: CoordinatorDisk;
  readonly #state: State;
  readonly #life: Life;
  readonly #onDurable: (durable: readonly Durable[]) => void;
  #pending = new Map<string, Durable & { readonly text: string }>();
  #isDue = false;

  constructor(
    timeline: Timeline,
    disk: CoordinatorDisk,
    state: State,
    life: Life,
    onDurable: (durable: readonly Durable[]) => void,
  ) {
    this.#timeline = timeline;
    this.#disk = disk;
    this.#state = state;
    this.#life = life;
    this.#onDurable = onDurable;
  }

  async take({ attempt, stream, offset, base64, gapBytes }: LogPiece): Promise<Taken> {
    const text =
      base64 === undefined ? '\0'.repeat(gapBytes ?? 0) : Buffer.from(base64, 'base64').toString('latin1');
    if (text === '') return { kind: 'refused', reason: `a piece of the log of ${attempt} without content` };
    const run = parseAttemptId(attempt)?.run ?? '';
    if (!this.#state.runs.has(run) && !this.#state.archive.has(run))
      return { kind: 'taken', durable: offset + text.length };
    const key = `${attempt} ${stream}`;
    const durable = this.#disk.logs.get(key)?.length ?? 0;
    const before = this.#pending.get(key)?.text ?? '';
    const expected = durable + before.length;
    if (offset > expected)
      return { kind: 'refused', reason: `${stream} of ${attempt} goes on at ${expected}, not at ${offset}` };
    const fresh = text.slice(expected - offset);
    if (fresh !== '') {
      this.#pending.set(key, { attempt, stream, text: before + fresh, upTo: expected + fresh.length });
      this.#flushSoon();
    }
    return { kind: 'taken', durable };
  }

  tailNow(attempt: string, bytes: number): string {
    const texts = (['stdout', 'stderr'] as const).map((stream) => {
      const key = `${attempt} ${stream}`;
      return (this.#disk.logs.get(key) ?? '') + (this.#pending.get(key)?.text ?? '');
    });
    return texts.join('').slice(-bytes);
  }

  #flushSoon(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    this.#timeline.after(limits.logFlushDelayMs, () => this.#flush(), this.#life);
  }

  #flush(): void {
    this.#isDue = false;
    if (this.#disk.isFull) {
      this.#flushSoon();
      return;
    }
    const pending = this.#pending;
    this.#pending = new Map();
    for (const [key, { text }] of pending) this.#disk.logs.set(key, (this.#disk.logs.get(key) ?? '') + text);
    this.#onDurable([...pending.values()]);
  }
}
