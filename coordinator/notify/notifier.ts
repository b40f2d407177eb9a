/**
 * All receivers together: each has a channel of its own, from its declaration until it is taken away. Who is
 * declared stands in the state; this follows it.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { LockstepError } from '../../shared/errors.ts';
import { firstElectOption } from '../core/elections.ts';
import type { Event } from '../core/events.ts';
import type { RunBrief, Surroundings } from '../core/notifications.ts';
import type { ReceiverState } from '../core/receivers.ts';
import { clusterOf, type State } from '../core/state.ts';
import { Channel, type ChannelPorts, type Trying } from './channel.ts';
import { type Cursor, Cursors } from './cursors.ts';
import { type DeliveryMeans, deliver } from './deliver.ts';
import type { Delivered } from './delivery.ts';
import { messageOf, testNotification } from './message.ts';

export type NotifierParts = {
  readonly file: string;
  readonly means: DeliveryMeans;
  readonly lineage: string;
  readonly follow: ChannelPorts['follow'];
  readonly oldest: () => Promise<number>;
  /** What `view` makes of the state, once all that it saw is durable. */
  readonly read: <T>(view: (state: State) => T) => Promise<T>;
  readonly now: () => number;
  readonly warn: (what: string) => void;
};

export type ReceiverProgress = { readonly cursor: Cursor; readonly trying: Trying | null };

export class Notifier {
  readonly #parts: NotifierParts;
  readonly #cursors: Cursors;
  readonly #channels = new Map<string, Channel>();
  readonly #ending = new AbortController();
  #following: Promise<void> = Promise.resolve();

  private constructor(parts: NotifierParts, cursors: Cursors) {
    this.#parts = parts;
    this.#cursors = cursors;
  }

  static async start(parts: NotifierParts): Promise<Notifier> {
    const notifier = new Notifier(parts, await Cursors.open(parts.file, parts.warn));
    await notifier.refresh();
    return notifier;
  }

  async close(): Promise<void> {
    this.#ending.abort();
    await this.#following;
    await Promise.all([...this.#channels.values()].map((channel) => channel.close()));
  }

  /** After receivers were declared or taken away. */
  refresh(): Promise<void> {
    this.#following = this.#following.then(() => this.#follow());
    return this.#following;
  }

  /** Undefined for one that is not declared. */
  progressOf(receiver: string): ReceiverProgress | undefined {
    const channel = this.#channels.get(receiver);
    return channel === undefined ? undefined : { cursor: channel.cursor, trying: channel.trying };
  }

  /** One delivery, now, beside all others. Throws `not-found`. */
  async test(receiver: string): Promise<Delivered> {
    const channel = this.#channels.get(receiver);
    if (channel === undefined)
      throw new LockstepError('not-found', `no receiver is named ${receiver}: see lockstep notify list`);
    const notification = testNotification(receiver, this.#parts.now());
    const message = messageOf(`test:${randomUUID()}`, receiver, notification);
    return deliver(channel.receiver.target, message, this.#parts.means, this.#ending.signal);
  }

  async #follow(): Promise<void> {
    if (this.#ending.signal.aborted) return;
    const { receivers, from } = await this.#parts.read((state) => ({
      receivers: [...state.receivers.values()],
      // What was before a restore is told by the coordinator that it happened to.
      from: state.restoration?.seq ?? 0,
    }));
    const declared = new Map(receivers.map((receiver) => [receiver.receiver, receiver]));
    for (const [name, channel] of this.#channels) {
      if (declared.get(name)?.declaredSeq === channel.receiver.declaredSeq) continue;
      this.#channels.delete(name);
      await channel.close();
    }
    await this.#cursors.keepOnly(new Set(declared.keys()));
    for (const receiver of receivers) if (!this.#channels.has(receiver.receiver)) this.#open(receiver, from);
  }

  #open(receiver: ReceiverState, from: number): void {
    const { lineage, follow, oldest, now, warn, means } = this.#parts;
    const known = this.#cursors.get(receiver.receiver);
    const isSame = known?.lineage === lineage && known.declaredSeq === receiver.declaredSeq;
    const cursor = isSame ? known : newCursor(receiver, lineage, from);
    const channel = new Channel(receiver, cursor, {
      lineage,
      follow,
      oldest,
      surroundings: (events) => this.#parts.read((state) => surroundingsOf(state, events)),
      deliver: ({ target }, message, signal) => deliver(target, message, means, signal),
      keep: (name, kept) => this.#cursors.put(name, kept),
      now,
      wait: (ms, signal) => sleep(ms, undefined, { signal }),
      random: Math.random,
      warn,
    });
    this.#channels.set(receiver.receiver, channel);
  }
}

const newCursor = ({ declaredSeq }: ReceiverState, lineage: string, from: number): Cursor => ({
  lineage,
  seq: Math.max(declaredSeq, from),
  declaredSeq,
  delivered: 0,
  deliveredAt: null,
  givenUp: 0,
  lastGivenUp: null,
});

/** A copy: the state goes on changing. */
function surroundingsOf(state: State, events: readonly Event[]): Surroundings {
  const runs = new Map<string, RunBrief>();
  const clusters = new Map<string, string>();
  for (const event of events) {
    if ('run' in event) {
      const run = state.runs.get(event.run);
      const archived = state.archive.get(event.run);
      if (run !== undefined)
        runs.set(run.id, {
          pipeline: run.pipeline.name,
          cluster: run.cluster,
          failing: run.failing !== null,
          elect: firstElectOption(run),
        });
      else if (archived !== undefined) runs.set(archived.id, { ...archived, failing: false, elect: null });
    }
    const node = 'node' in event ? state.nodes.get(event.node) : undefined;
    if (node !== undefined) clusters.set(node.name, clusterOf(node));
  }
  return { runOf: (run) => runs.get(run), clusterOf: (node) => clusters.get(node) };
}
