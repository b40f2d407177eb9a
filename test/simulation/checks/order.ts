/**
 * P1. In the journal: the oracle's judgement, event by event. In the world: a script begins only when the grant
 * of its attempt is durable, and everything that it needs is settled in what is durable.
 */
import type { Event } from '../../../coordinator/core/events.ts';
import { Oracle } from '../../coordinator/core/oracle.ts';
import { type Checker, require } from '../judge.ts';
import type { WorldExecution } from '../world-record.ts';

export class Order implements Checker {
  readonly #oracle = new Oracle();
  /** By job: the first attempt of each durable grant, and how many it allows. */
  readonly #granted = new Map<string, { readonly first: number; readonly count: number }[]>();

  journaled(event: Event): void {
    try {
      this.#oracle.check(event);
    } catch (error) {
      require(false, () => (error instanceof Error ? error.message : String(error)));
    }
    if (event.type !== 'JobGranted') return;
    const job = `${event.run}/${event.step}/${event.node}`;
    const grants = this.#granted.get(job) ?? [];
    grants.push({ first: event.attempt, count: event.attemptsMax });
    this.#granted.set(job, grants);
  }

  began({ attempt, attemptNumber, job }: WorldExecution): void {
    const isGranted = (this.#granted.get(job) ?? []).some(
      ({ first, count }) => attemptNumber >= first && attemptNumber < first + count,
    );
    require(isGranted, () => `P1: ${attempt} began, and no durable grant allows it`);
  }
}
