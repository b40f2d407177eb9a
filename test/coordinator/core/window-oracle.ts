/** P1 for windows: judges from the journal alone that nobody began outside of the window of a step or group. */
import type { Event } from '../../../coordinator/core/events.ts';
import type { Pipeline, Unit } from '../../../shared/pipeline/model.ts';
import { openingAt } from '../../../shared/window.ts';

export class WindowOracle {
  readonly #pipelines = new Map<string, Pipeline>();
  /** `run/unit/node` of nodes that were ever granted something there. */
  readonly #begun = new Set<string>();

  check(event: Event): void {
    if (event.type === 'RunCreated' && !event.checkOnly) this.#pipelines.set(event.run, event.pipeline);
    else if (event.type === 'SlotTaken') {
      const unit = this.#units(event.run).find(({ id }) => id === event.unit);
      if (unit !== undefined) this.#require(unit, event.at, `a slot for ${event.node} in ${event.run}`);
    } else if (event.type === 'JobGranted') this.#checkGrant(event);
    else if (event.type === 'AttemptDisclosed') {
      // It was begun in the part of the history that a restore lost.
      const unit = this.#units(event.run).find(({ steps }) => steps.some(({ id }) => id === event.step));
      if (unit !== undefined) this.#begun.add(`${event.run}/${unit.id}/${event.node}`);
    }
  }

  #units(run: string): readonly Unit[] {
    return this.#pipelines.get(run)?.units ?? [];
  }

  #checkGrant({ run, step: id, node, at }: Extract<Event, { type: 'JobGranted' }>): void {
    const unit = this.#units(run).find(({ steps }) => steps.some((step) => step.id === id));
    const step = unit?.steps.find((one) => one.id === id);
    if (unit === undefined || step === undefined || step.part !== undefined) return;
    const place = `${run}/${unit.id}/${node}`;
    const isUnderWay = unit.kind === 'group' && this.#begun.has(place);
    this.#begun.add(place);
    // Of a rolling one the slot was judged.
    if (unit.strategy.kind === 'parallel' && !isUnderWay) this.#require(unit, at, `${run}/${id}/${node}`);
  }

  #require({ id, window }: Unit, at: number, what: string): void {
    if (window !== undefined && !openingAt(window, at).open)
      throw new Error(
        `P1: ${what} at ${new Date(at).toISOString()}, outside of the window of ${id} (${window.cron})`,
      );
  }
}
