/**
 * P2 in the world: an attempt executes its script at most once, a job never runs in two places or twice at a
 * time, and what may not be repeated is repeated only after an operator's decision or when it never ran.
 */
import type { Event } from '../../../coordinator/core/events.ts';
import type { Step } from '../../../shared/pipeline/model.ts';
import { type Checker, require } from '../judge.ts';
import type { WorldExecution, WorldRecord } from '../world-record.ts';

export class AtMostOnce implements Checker {
  readonly #record: WorldRecord;
  readonly #steps = new Map<string, Step>();
  /** The highest attempt of each job whose end is durable. */
  readonly #ended = new Map<string, number>();
  /** Jobs that an operator, or the report of a failure, allowed to run once more. */
  readonly #allowed = new Map<string, number>();

  constructor(record: WorldRecord) {
    this.#record = record;
  }

  journaled(event: Event): void {
    switch (event.type) {
      case 'RunCreated':
        for (const unit of event.pipeline.units)
          for (const step of unit.steps) this.#steps.set(`${event.run}/${step.id}`, step);
        return;
      case 'AttemptEnded':
        this.#ended.set(`${event.run}/${event.step}/${event.node}`, event.attempt);
        return;
      case 'JobDecided':
        if (event.as === 'again') this.#allow(`${event.run}/${event.step}/${event.node}`);
        return;
      case 'RunResumed':
        if (event.how !== 'retry-failed') return;
        for (const { job, run } of this.#record.executions) if (run === event.run) this.#allow(job);
        return;
      default:
        return;
    }
  }

  began(began: WorldExecution): void {
    // With a copied state folder nobody can promise anything until it is found out.
    if (this.#record.cloned.has(began.executor)) return;
    const ended = this.#ended.get(began.job) ?? 0;
    require(began.attemptNumber > ended, () =>
      `P2: ${began.attempt} begins on ${began.host} after the journal says how attempt ${ended} ended`);
    const others = this.#record.executions.filter(
      (other) => other !== began && other.job === began.job && !this.#record.cloned.has(other.executor),
    );
    for (const other of others) {
      require(other.endedAt !== null, () =>
        `P2: ${began.attempt} begins on ${began.host} while ${other.attempt} runs on ${other.host}`);
      require(other.attempt !== began.attempt || other.number !== began.number, () =>
        `P2: execution ${began.number} of ${began.attempt} happens twice`);
      require(other.attemptNumber <= began.attemptNumber, () =>
        `P2: ${began.attempt} begins after ${other.attempt}`);
    }
    if (began.phase !== 'run') return;
    const step = this.#steps.get(`${began.run}/${began.step}`);
    const runs = others.filter(({ phase }) => phase === 'run');
    if (step?.until === undefined) {
      const twice = runs.some(({ attempt }) => attempt === began.attempt);
      require(!twice, () => `P2: the script of ${began.attempt} runs twice`);
    }
    if (step?.rerun !== 'never-twice') return;
    const earlier = new Set(
      runs.filter(({ attempt }) => attempt !== began.attempt).map(({ attempt }) => attempt),
    );
    require(earlier.size <= (this.#allowed.get(began.job) ?? 0), () =>
      `P2: ${began.attempt} repeats what may not run twice (${[...earlier].join(', ')} ran), and nobody decided so`);
  }

  #allow(job: string): void {
    this.#allowed.set(job, (this.#allowed.get(job) ?? 0) + 1);
  }
}
