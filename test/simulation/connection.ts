/**
 * One connection between two processes, as TCP gives it: what is sent arrives in order and once, or the
 * connection ends. It may end with messages on their way in either direction, and one side may learn of it
 * long after the other, or never. Duplicates and disorder come about across connections only.
 */
import type { Life, Timeline } from './timeline.ts';

export type End = {
  readonly receive: (frame: string) => void;
  /** The other side closed it, or it broke. */
  readonly closed: () => void;
};

export type AgentEnd = End & { readonly opened: () => void };

/** Null is the end of the stream. */
type Sent = string | null;

/** One direction. */
class Wire {
  readonly #timeline: Timeline;
  readonly #life: Life;
  readonly #latencyMs: () => number;
  readonly #arrived: (sent: Sent) => void;
  #lastAt = 0;
  /** What is kept from arriving while the way is blocked; null while it is open. */
  #held: Sent[] | null = null;
  #onItsWay: { sent: Sent; lost: boolean }[] = [];
  #severed = false;

  constructor(timeline: Timeline, life: Life, latencyMs: () => number, arrived: (sent: Sent) => void) {
    this.#timeline = timeline;
    this.#life = life;
    this.#latencyMs = latencyMs;
    this.#arrived = arrived;
  }

  send(sent: Sent): void {
    if (this.#severed) return;
    const item = { sent, lost: false };
    this.#onItsWay.push(item);
    this.#lastAt = Math.max(this.#lastAt, this.#timeline.now + this.#latencyMs());
    this.#timeline.after(
      this.#lastAt - this.#timeline.now,
      () => {
        this.#onItsWay.shift();
        if (item.lost) return;
        if (this.#held === null) this.#arrived(sent);
        else this.#held.push(sent);
      },
      this.#life,
    );
  }

  block(): void {
    this.#held ??= [];
  }

  unblock(): void {
    // What arrives meanwhile lines up behind what was held.
    const release = (): void => {
      const held = this.#held ?? [];
      this.#held = null;
      for (const sent of held) this.#arrived(sent);
    };
    this.#timeline.after(0, release, this.#life);
  }

  /** Of what is on its way only the first `kept` arrive. */
  sever(kept: number): void {
    this.#severed = true;
    for (const item of this.#onItsWay.slice(kept)) item.lost = true;
    if (this.#held !== null) this.#held.length = Math.min(this.#held.length, kept);
  }

  get onItsWay(): number {
    return this.#onItsWay.length;
  }
}

export type Sides = {
  readonly agent: { readonly life: Life; readonly end: End };
  readonly coordinator: { readonly life: Life; readonly end: End };
};

/** What one side holds of a connection: a file descriptor, as it were. */
export class Side {
  readonly #out: Wire;
  #open = true;

  constructor(out: Wire) {
    this.#out = out;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  send(frame: string): void {
    if (this.#open) this.#out.send(frame);
  }

  /** What was sent before still arrives, then the other side hears of the end. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#out.send(null);
  }

  /** Nothing that arrives from now on is taken, and nobody is told. */
  forget(): void {
    this.#open = false;
  }
}

export class Connection {
  readonly agent: Side;
  readonly coordinator: Side;
  readonly #up: Wire;
  readonly #down: Wire;
  readonly #timeline: Timeline;
  readonly #sides: Sides;

  constructor(timeline: Timeline, latencyMs: () => number, sides: Sides) {
    this.#timeline = timeline;
    this.#sides = sides;
    const arrivedAt = (side: () => Side, end: End) => (sent: Sent) => {
      if (!side().isOpen) return;
      if (sent !== null) end.receive(sent);
      else {
        side().forget();
        end.closed();
      }
    };
    this.#up = new Wire(
      timeline,
      sides.coordinator.life,
      latencyMs,
      arrivedAt(() => this.coordinator, sides.coordinator.end),
    );
    this.#down = new Wire(
      timeline,
      sides.agent.life,
      latencyMs,
      arrivedAt(() => this.agent, sides.agent.end),
    );
    this.agent = new Side(this.#up);
    this.coordinator = new Side(this.#down);
  }

  get isOver(): boolean {
    return !this.agent.isOpen && !this.coordinator.isOpen;
  }

  block(direction: 'up' | 'down'): void {
    (direction === 'up' ? this.#up : this.#down).block();
  }

  unblock(): void {
    this.#up.unblock();
    this.#down.unblock();
  }

  /**
   * It breaks. `kept` says how much of what was on its way arrives; each side learns of it after its time, or
   * never, when that is null.
   */
  break(kept: (onItsWay: number) => number, agentMs: number | null, coordinatorMs: number | null): void {
    this.#up.sever(kept(this.#up.onItsWay));
    this.#down.sever(kept(this.#down.onItsWay));
    this.#tell(this.agent, this.#sides.agent, agentMs);
    this.#tell(this.coordinator, this.#sides.coordinator, coordinatorMs);
  }

  #tell(side: Side, { life, end }: { readonly life: Life; readonly end: End }, ms: number | null): void {
    if (ms === null) return;
    const tell = (): void => {
      if (!side.isOpen) return;
      side.forget();
      end.closed();
    };
    this.#timeline.after(ms, tell, life);
  }
}
