/**
 * Tells one receiver, one notification after the other, driven by the journal: what is not delivered yet is where it
 * was, on disk, however long the receiver or the coordinator is away. At least once: the cursor moves after the
 * delivery. A receiver that is down holds up nobody but itself.
 */
import { LockstepError, messageOf as messageOfError } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import type { Event } from '../core/events.ts';
import { mayBeTold, type Notification, Notifications, type Surroundings } from '../core/notifications.ts';
import { type ReceiverState, wants } from '../core/receivers.ts';
import type { Cursor } from './cursors.ts';
import type { Delivered } from './delivery.ts';
import { type Message, messageOf } from './message.ts';

export type ChannelPorts = {
  readonly lineage: string;
  /** Durable events from a seq on, first what is there, then what comes, until the signal aborts. */
  readonly follow: (from: number, signal: AbortSignal) => AsyncIterable<readonly Event[]>;
  readonly oldest: () => Promise<number>;
  readonly surroundings: (events: readonly Event[]) => Promise<Surroundings>;
  readonly deliver: (receiver: ReceiverState, message: Message, signal: AbortSignal) => Promise<Delivered>;
  readonly keep: (receiver: string, cursor: Cursor) => Promise<void>;
  readonly now: () => number;
  /** Rejects when the signal aborts. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly random: () => number;
  readonly warn: (what: string) => void;
};

/** What it tries to deliver at the moment. */
export type Trying = {
  readonly id: string;
  readonly what: string;
  readonly at: number;
  attempts: number;
  reason: string | null;
};

export class Channel {
  readonly receiver: ReceiverState;
  readonly #ports: ChannelPorts;
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;
  #cursor: Cursor;
  #keptSeq: number;
  #trying: Trying | null = null;

  constructor(receiver: ReceiverState, cursor: Cursor, ports: ChannelPorts) {
    this.receiver = receiver;
    this.#cursor = cursor;
    this.#keptSeq = cursor.seq;
    this.#ports = ports;
    this.#ended = this.#run();
  }

  get cursor(): Cursor {
    return this.#cursor;
  }

  get trying(): Trying | null {
    return this.#trying;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await this.#skipWhatIsGone();
        // Anew, because what comes after the cursor is heard again.
        const heard = new Notifications();
        for await (const page of this.#ports.follow(this.#cursor.seq + 1, signal))
          await this.#tell(page, heard);
      } catch (error) {
        if (signal.aborted) break;
        this.#ports.warn(
          `cannot tell ${this.receiver.receiver}, which is tried again: ${messageOfError(error)}`,
        );
        await this.#ports.wait(limits.deliveryRetryDelayMaxMs, signal).catch(() => undefined);
      }
    }
    if (this.#keptSeq < this.#cursor.seq) await this.#keep();
  }

  /** Events that retention has deleted are older than anything that would still be told. */
  async #skipWhatIsGone(): Promise<void> {
    const oldest = await this.#ports.oldest();
    if (this.#cursor.seq + 1 >= oldest) return;
    const { receiver } = this.receiver;
    this.#ports.warn(
      `${receiver} was not told what happened from seq ${this.#cursor.seq + 1} to ${oldest - 1}: it is no longer kept`,
    );
    this.#cursor = { ...this.#cursor, seq: oldest - 1 };
  }

  async #tell(page: readonly Event[], heard: Notifications): Promise<void> {
    const { signal } = this.#stop;
    const notable = page.filter(mayBeTold);
    const surroundings = notable.length === 0 ? null : await this.#ports.surroundings(notable);
    for (const event of notable) {
      if (surroundings === null) break;
      const notification = heard.hear(event, surroundings);
      if (notification === undefined || !wants(this.receiver.filter, notification)) continue;
      const settled = await this.#deliver(notification);
      if (!settled) return;
      this.#cursor = { ...this.#cursor, seq: event.seq };
      await this.#keep();
      if (signal.aborted) return;
    }
    const last = page.at(-1);
    if (last === undefined) return;
    this.#cursor = { ...this.#cursor, seq: last.seq };
    if (last.seq - this.#keptSeq >= limits.deliveryCursorEventsMax) await this.#keep();
  }

  async #keep(): Promise<void> {
    this.#keptSeq = this.#cursor.seq;
    await this.#ports.keep(this.receiver.receiver, this.#cursor);
  }

  /** True when nothing is left to do for it; false when the coordinator ends meanwhile. */
  async #deliver(notification: Notification): Promise<boolean> {
    const { receiver } = this.receiver;
    const { now, wait, random } = this.#ports;
    const { signal } = this.#stop;
    const id = `${this.#ports.lineage}:${notification.seq}/${receiver}`;
    const message = messageOf(id, receiver, notification);
    const trying: Trying = { id, what: notification.what, at: notification.at, attempts: 0, reason: null };
    this.#trying = trying;
    let refusals = 0;
    try {
      for (;;) {
        if (now() - notification.at > limits.notificationAgeMaxMs) {
          this.#giveUp(trying, `${trying.reason ?? 'it was not tried'}; it is older than a day`);
          return true;
        }
        const result = await this.#attempt(message);
        if (signal.aborted && !result.ok) return false;
        trying.attempts += 1;
        if (result.ok) {
          const { delivered } = this.#cursor;
          this.#cursor = { ...this.#cursor, delivered: delivered + 1, deliveredAt: now() };
          return true;
        }
        trying.reason = result.reason;
        if (result.refused) refusals += 1;
        if (refusals >= limits.deliveryRefusalsMax) {
          this.#giveUp(trying, `${result.reason}, ${refusals} times`);
          return true;
        }
        await wait(retryDelayMs(trying.attempts, random()), signal);
      }
    } catch (error) {
      if (signal.aborted) return false;
      throw error;
    } finally {
      this.#trying = null;
    }
  }

  async #attempt(message: Message): Promise<Delivered> {
    try {
      return await this.#ports.deliver(this.receiver, message, this.#stop.signal);
    } catch (error) {
      if (!(error instanceof LockstepError)) throw error;
      return { ok: false, reason: error.message, refused: true };
    }
  }

  #giveUp({ id, what }: Trying, reason: string): void {
    const { givenUp } = this.#cursor;
    const lastGivenUp = { id, what, at: this.#ports.now(), reason };
    this.#cursor = { ...this.#cursor, givenUp: givenUp + 1, lastGivenUp };
    this.#ports.warn(`gave up telling ${this.receiver.receiver} "${what}" (${id}): ${reason}`);
  }
}

/** Full jitter: any time up to a bound that doubles with each attempt. */
function retryDelayMs(attempts: number, random: number): number {
  const { deliveryRetryDelayMs, deliveryRetryDelayMaxMs } = limits;
  return Math.ceil(
    random * Math.min(deliveryRetryDelayMaxMs, deliveryRetryDelayMs * 2 ** Math.min(attempts, 30)),
  );
}
