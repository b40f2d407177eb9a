/**
 * P7. No agent takes an order of an older epoch than it has seen, and a result that is not of the live attempt
 * is never applied.
 */
import type { Event } from '../../../coordinator/core/events.ts';
import type { AgentMessage } from '../../../shared/messages.ts';
import { type Checker, type DiskSight, require } from '../judge.ts';

export class Fencing implements Checker {
  /** The highest epoch that each incarnation had on its disk when it spoke; there is one lineage here. */
  readonly #seen = new Map<string, number>();
  /** The attempts that may end, by job: from the granted one on. */
  readonly #live = new Map<string, { first: number; last: number }>();

  journaled(event: Event): void {
    if (event.type === 'JobGranted') {
      this.#live.set(`${event.run}/${event.step}/${event.node}`, {
        first: event.attempt,
        last: event.attempt + event.attemptsMax - 1,
      });
    } else if (event.type === 'JobDecided' || event.type === 'JobFailed')
      this.#live.delete(`${event.run}/${event.step}/${event.node}`);
    else if (event.type === 'AttemptEnded') {
      const job = `${event.run}/${event.step}/${event.node}`;
      const live = this.#live.get(job);
      require(live !== undefined && event.attempt >= live.first && event.attempt <= live.last, () =>
        `P7: a result of ${job}#${event.attempt} is applied, and that attempt does not live`);
      if (event.final) this.#live.delete(job);
    }
  }

  agentSaid(_node: string, _message: AgentMessage, { identity }: DiskSight): void {
    const { incarnation, epochs } = identity;
    for (const { epoch } of epochs)
      this.#seen.set(incarnation, Math.max(epoch, this.#seen.get(incarnation) ?? 0));
  }

  grantTaken(incarnation: string, attempt: string, epoch: number): void {
    const seen = this.#seen.get(incarnation) ?? 0;
    require(epoch >= seen, () => `P7: ${attempt} is taken from epoch ${epoch} where ${seen} was seen`);
  }
}
