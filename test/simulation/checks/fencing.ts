/**
 * P7. No agent takes an order of an older epoch than it has seen, nor of a lineage that a later restore replaced,
 * and a result that is not of the live attempt is never applied.
 */
import type { Event } from '../../../coordinator/core/events.ts';
import type { AgentMessage } from '../../../shared/messages.ts';
import { type Checker, type DiskSight, type RestoredSight, require } from '../judge.ts';
import type { WorldRecord } from '../world-record.ts';

export class Fencing implements Checker {
  readonly #record: WorldRecord;
  /** The highest epoch of each lineage that an incarnation had on its disk when it spoke. */
  readonly #seen = new Map<string, Map<string, number>>();
  /** The attempts that may end, by job: from the granted one on. */
  readonly #live = new Map<string, { first: number; last: number }>();

  constructor(record: WorldRecord) {
    this.#record = record;
  }

  journaled(event: Event): void {
    if (event.type === 'JobGranted') {
      this.#live.set(`${event.run}/${event.step}/${event.node}`, {
        first: event.attempt,
        last: event.attempt + event.attemptsMax - 1,
      });
    } else if (
      event.type === 'JobDecided' ||
      event.type === 'JobFailed' ||
      event.type === 'JobHeld' ||
      event.type === 'AttemptDisclosed'
    )
      this.#live.delete(`${event.run}/${event.step}/${event.node}`);
    else if (event.type === 'AttemptEnded') {
      const job = `${event.run}/${event.step}/${event.node}`;
      const live = this.#live.get(job);
      require(live !== undefined && event.attempt >= live.first && event.attempt <= live.last, () =>
        `P7: a result of ${job}#${event.attempt} is applied, and that attempt does not live`);
      // Until its node is back from the reboot it may be lost with its machine.
      if (event.final && event.reboot === undefined) this.#live.delete(job);
    }
  }

  agentSaid(_node: string, _message: AgentMessage, { identity }: DiskSight): void {
    const { incarnation, epochs } = identity;
    const seen = this.#seen.get(incarnation) ?? new Map<string, number>();
    this.#seen.set(incarnation, seen);
    for (const { lineage, epoch } of epochs) seen.set(lineage, Math.max(epoch, seen.get(lineage) ?? 0));
  }

  restored({ events }: RestoredSight): void {
    this.#live.clear();
    for (const event of events) this.journaled(event);
  }

  grantTaken(incarnation: string, attempt: string, lineage: string, epoch: number): void {
    const { histories } = this.#record;
    for (const [other, seen] of this.#seen.get(incarnation) ?? []) {
      if (other === lineage)
        require(epoch >= seen, () => `P7: ${attempt} is taken from epoch ${epoch} where ${seen} was seen`);
      else
        require(histories.orderOf(other) < histories.orderOf(lineage), () =>
          `P7: ${attempt} is taken from ${lineage} where ${other} was seen`);
    }
  }
}
