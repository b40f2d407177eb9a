/**
 * Simulated time: one queue of what is still to happen, ordered by time and then by insertion. What belongs to
 * a process dies with its life. While a simulation runs, the timers of Node are this queue's, so that the
 * coordinator's real loop and gateway run on it unchanged.
 */
import { popHeap, pushHeap } from '../../coordinator/core/heap.ts';

/** Of a process, or of the world. What it had still to do dies with it. */
export type Life = {
  readonly name: string;
  alive: boolean;
  /** It awaits promises: after each of its tasks all that became ready is done before time goes on. */
  readonly awaits: boolean;
};

export const newLife = (name: string, awaits = false): Life => ({ name, alive: true, awaits });

export class Task {
  readonly at: number;
  readonly order: number;
  readonly life: Life;
  readonly run: () => void;
  cancelled = false;

  constructor(at: number, order: number, life: Life, run: () => void) {
    this.at = at;
    this.order = order;
    this.life = life;
    this.run = run;
  }
}

const earlier = (a: Task, b: Task): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);

const realImmediate = globalThis.setImmediate;
const promisesDone = (): Promise<void> => new Promise((resolve) => realImmediate(resolve));

/** A turn of the loop takes a moment, in which sockets bring more. */
const turnMs = 0.1;

export class Timeline {
  /** Milliseconds since the simulation began. */
  now = 0;
  tasksDone = 0;
  readonly world = newLife('world');
  #current = this.world;
  readonly #heap: Task[] = [];
  #order = 0;

  /** By the life that is acting now, unless another is named. */
  after(ms: number, run: () => void, life: Life = this.#current): Task {
    const task = new Task(this.now + Math.max(0, ms), this.#order, life, run);
    this.#order += 1;
    pushHeap(this.#heap, task, earlier);
    return task;
  }

  /** Again and again, while the life lasts. */
  every(ms: number, run: () => void, life: Life = this.#current): Ticker {
    return new Ticker(this, ms, run, life);
  }

  /** What is done here is done by that life. */
  within<T>(life: Life, act: () => T): T {
    const before = this.#current;
    this.#current = life;
    try {
      return act();
    } finally {
      this.#current = before;
    }
  }

  /** Lets time pass until `isOver`, or until nothing is left to happen. */
  async run(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const task = popHeap(this.#heap, earlier);
      if (task === undefined) return;
      if (task.cancelled || !task.life.alive) continue;
      this.now = task.at;
      this.tasksDone += 1;
      this.#current = task.life;
      task.run();
      if (task.life.awaits) await promisesDone();
      this.#current = this.world;
    }
  }

  /** Puts this queue in the place of Node's timers; the function returned puts them back. */
  replaceTimers(): () => void {
    const { setTimeout, setInterval, setImmediate, clearTimeout, clearInterval, clearImmediate } = globalThis;
    const clear = (timer: unknown): void => {
      if (timer instanceof Task || timer instanceof Ticker) timer.cancelled = true;
    };
    Object.assign(globalThis, {
      setTimeout: (run: () => void, ms: number) => this.after(ms, run),
      setInterval: (run: () => void, ms: number) => this.every(ms, run),
      setImmediate: (run: () => void) => this.after(turnMs, run),
      clearTimeout: clear,
      clearInterval: clear,
      clearImmediate: clear,
    });
    Object.assign(performance, { now: () => this.now });
    return () => {
      Object.assign(globalThis, {
        setTimeout,
        setInterval,
        setImmediate,
        clearTimeout,
        clearInterval,
        clearImmediate,
      });
      Reflect.deleteProperty(performance, 'now');
    };
  }
}

class Ticker {
  cancelled = false;

  constructor(timeline: Timeline, ms: number, run: () => void, life: Life) {
    const tick = (): void => {
      if (this.cancelled) return;
      run();
      timeline.after(ms, tick, life);
    };
    timeline.after(ms, tick, life);
  }
}
