/** P5. No gap; and the state is the fold of the journal, by whatever way it was come by. */
import { emptyState, evolve } from '../../../coordinator/core/engine.ts';
import type { Event } from '../../../coordinator/core/events.ts';
import type { State } from '../../../coordinator/core/state.ts';
import { dumpState, throughSnapshot } from '../../coordinator/core/dump.ts';
import { type Checker, type FinalSight, type RestoredSight, require } from '../judge.ts';

const foldOf = (events: readonly Event[]): State => {
  const state = emptyState();
  for (const event of events) evolve(state, event);
  return state;
};

export class OneSequence implements Checker {
  #seq = 0;
  #at = 0;
  #epoch = 0;

  journaled(event: Event): void {
    require(event.seq === this.#seq + 1, () => `P5: seq ${event.seq} follows ${this.#seq}`);
    require(event.at >= this.#at, () => `P5: time goes back at seq ${event.seq}`);
    this.#seq = event.seq;
    this.#at = event.at;
    if (event.type !== 'ReignBegan') return;
    require(event.epoch > this.#epoch, () => `P5: epoch ${event.epoch} follows ${this.#epoch}`);
    this.#epoch = event.epoch;
  }

  restored({ events }: RestoredSight): void {
    this.#seq = 0;
    this.#at = 0;
    this.#epoch = 0;
    for (const event of events) this.journaled(event);
  }

  recovered(state: State, events: readonly Event[]): void {
    this.#compare('what was recovered', state, foldOf(events));
  }

  finished({ state, events }: FinalSight): void {
    const folded = foldOf(events);
    this.#compare('the living state', state, folded);
    this.#compare('the state through a snapshot', throughSnapshot(state), folded);
  }

  #compare(what: string, state: State, folded: State): void {
    const [left, right] = [dumpState(state), dumpState(folded)];
    if (left === right) return;
    const lines = right.split('\n');
    const at = left.split('\n').findIndex((line, index) => line !== lines[index]);
    const around = (text: string): string =>
      text
        .split('\n')
        .slice(Math.max(0, at - 10), at + 2)
        .join(' ');
    require(false, () => `P5: ${what} is not the fold of the journal: ${around(left)} ≠ ${around(right)}`);
  }
}
