/**
 * P8 in the world: of a rolling unit never more nodes run at once than may be unavailable. (That each slot was
 * within the bounds when it was given, and within the disruption budget, is judged in the journal, by the oracles.)
 */
import type { Event } from '../../../coordinator/core/events.ts';
import type { Unit } from '../../../shared/pipeline/model.ts';
import { DisruptionOracle } from '../../coordinator/core/disruption-oracle.ts';
import { type Checker, type RestoredSight, require } from '../judge.ts';
import type { WorldExecution, WorldRecord } from '../world-record.ts';

type Rolling = { readonly unit: Unit; nodes: number };

export class BlastRadius implements Checker {
  readonly #record: WorldRecord;
  #disruption = new DisruptionOracle();
  readonly #pipelines = new Map<string, readonly Unit[]>();
  readonly #rolling = new Map<string, Rolling>();
  /** Jobs about which somebody decided while they may have been running: what they do is his doing. */
  readonly #decided = new Set<string>();

  constructor(record: WorldRecord) {
    this.#record = record;
  }

  journaled(event: Event): void {
    try {
      this.#disruption.check(event);
    } catch (error) {
      require(false, () => (error instanceof Error ? error.message : String(error)));
    }
    if (!('run' in event)) return;
    const run = this.#record.histories.nameOf(event.run);
    if (event.type === 'RunCreated') this.#pipelines.set(run, event.pipeline.units);
    else if (event.type === 'JobDecided') this.#decided.add(`${run}/${event.step}/${event.node}`);
    else if (event.type === 'RunPlanned') {
      for (const unit of this.#pipelines.get(run) ?? []) {
        const nodes = new Set(unit.on.flatMap(({ role }) => event.roles[role]?.nodes ?? []));
        for (const step of unit.steps) this.#rolling.set(`${run}/${step.id}`, { unit, nodes: nodes.size });
      }
    }
  }

  restored({ events }: RestoredSight): void {
    this.#disruption = new DisruptionOracle();
    for (const event of events) this.journaled(event);
  }

  began(began: WorldExecution): void {
    const rolling = this.#rolling.get(`${began.run}/${began.step}`);
    if (rolling?.unit.strategy.kind !== 'rolling') return;
    const { maxUnavailable } = rolling.unit.strategy;
    const max =
      'count' in maxUnavailable
        ? maxUnavailable.count
        : Math.max(1, Math.floor((maxUnavailable.percent * rolling.nodes) / 100));
    const steps = new Set(rolling.unit.steps.map(({ id }) => id));
    const running = this.#record.executions.filter(
      (one) =>
        one.endedAt === null &&
        one.run === began.run &&
        steps.has(one.step) &&
        !this.#decided.has(one.job) &&
        !this.#record.cloned.has(one.executor),
    );
    const nodes = new Set(running.map(({ node }) => node));
    require(nodes.size <= max, () =>
      `P8: ${[...nodes].join(', ')} run ${rolling.unit.id} at once, and ${max} may`);
  }
}
