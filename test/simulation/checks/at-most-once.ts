/**
 * P2 in the world: an attempt executes its script at most once, a job never runs in two places or twice at a
 * time, and what may not be repeated is repeated only after an operator's decision or when it never ran. That
 * holds across restores, too: what nodes did for a history that was lost, they have done.
 */
import type { Event } from '../../../coordinator/core/events.ts';
import { attemptIdOf, jobIdOf } from '../../../shared/ids.ts';
import type { Step } from '../../../shared/pipeline/model.ts';
import { type Checker, type RestoredSight, require } from '../judge.ts';
import type { WorldExecution, WorldRecord } from '../world-record.ts';

export class AtMostOnce implements Checker {
  readonly #record: WorldRecord;
  readonly #steps = new Map<string, Step>();
  /** What is done after the steps of the same unit, by step. */
  readonly #after = new Map<string, readonly string[]>();
  /** The highest attempt of each job whose end is durable. */
  readonly #ended = new Map<string, number>();
  /** The jobs of which the journal has a grant of the attempt. */
  readonly #granted = new Set<string>();
  /** Jobs that an operator, or the report of a failure, allowed to run once more. */
  readonly #allowed = new Map<string, number>();

  constructor(record: WorldRecord) {
    this.#record = record;
  }

  journaled(event: Event): void {
    switch (event.type) {
      case 'RunCreated':
        for (const unit of event.pipeline.units) {
          const after = unit.steps.filter(({ part }) => part !== undefined).map(({ id }) => id);
          for (const step of unit.steps) {
            const name = `${this.#nameOf(event.run)}/${step.id}`;
            this.#steps.set(name, step);
            if (step.part === undefined) this.#after.set(name, after);
          }
        }
        return;
      case 'JobGranted':
        for (let more = 0; more < event.attemptsMax; more += 1)
          this.#granted.add(attemptIdOf(this.#idOf(event), event.attempt + more));
        return;
      case 'AttemptEnded':
        this.#ended.set(this.#idOf(event), event.attempt);
        return;
      case 'JobDecided':
        if (event.as === 'again') this.#allow(this.#idOf(event));
        // How the steps end on the node is open again, and with it what is done after each end.
        for (const id of this.#after.get(`${this.#nameOf(event.run)}/${event.step}`) ?? [])
          this.#allow(this.#idOf({ ...event, step: id }));
        return;
      case 'RunResumed':
        if (event.how === 'retry-failed') this.#allowRun(this.#nameOf(event.run));
        return;
      default:
        return;
    }
  }

  /** Decisions stand, also lost ones. */
  restored({ events }: RestoredSight): void {
    const allowed = new Map(this.#allowed);
    this.#ended.clear();
    this.#granted.clear();
    for (const event of events) this.journaled(event);
    this.#allowed.clear();
    for (const [job, times] of allowed) this.#allowed.set(job, times);
  }

  #nameOf(run: string): string {
    return this.#record.histories.nameOf(run);
  }

  #idOf({ run, step, node }: { run: string; step: string; node: string }): string {
    return jobIdOf(this.#nameOf(run), step, node);
  }

  began(began: WorldExecution): void {
    // With a copied state folder nobody can promise anything until it is found out.
    if (this.#record.cloned.has(began.executor)) return;
    // Of what a restore lost the journal says nothing.
    const isLost = !this.#granted.has(attemptIdOf(began.job, began.attemptNumber));
    const ended = isLost ? 0 : (this.#ended.get(began.job) ?? 0);
    require(began.attemptNumber > ended, () =>
      `P2: ${began.attempt} begins on ${began.host} after the journal says how attempt ${ended} ended`);
    const others = this.#record.executions.filter(
      (other) => other !== began && other.job === began.job && !this.#record.cloned.has(other.executor),
    );
    // A history that was lost may have used the name; what a dead disk knew of it nobody can tell.
    const isSame = (other: WorldExecution): boolean =>
      other.attempt === began.attempt &&
      (other.lineage === began.lineage || !this.#record.evidenceLost.has(other.incarnation));
    for (const other of others) {
      require(other.endedAt !== null, () =>
        `P2: ${began.attempt} begins on ${began.host} while ${other.attempt} runs on ${other.host}`);
      require(!isSame(other) || other.number !== began.number, () =>
        `P2: execution ${began.number} of ${began.attempt} happens twice`);
      require(other.attemptNumber <= began.attemptNumber, () =>
        `P2: ${began.attempt} begins after ${other.attempt}`);
    }
    if (began.phase !== 'run') return;
    const step = this.#steps.get(`${began.run}/${began.step}`);
    const runs = others.filter(({ phase }) => phase === 'run');
    if (step?.until === undefined) {
      const twice = runs.some(isSame);
      require(!twice, () => `P2: the script of ${began.attempt} runs twice`);
    }
    if (step?.rerun !== 'never-twice') return;
    const earlier = new Set(
      runs.filter((other) => !isSame(other)).map(({ attempt, lineage }) => `${attempt} of ${lineage}`),
    );
    require(earlier.size <= (this.#allowed.get(began.job) ?? 0), () =>
      `P2: ${began.attempt} repeats what may not run twice (${[...earlier].join(', ')} ran), and nobody decided so`);
  }

  #allowRun(name: string): void {
    for (const { job, run } of this.#record.executions) if (run === name) this.#allow(job);
  }

  #allow(job: string): void {
    this.#allowed.set(job, (this.#allowed.get(job) ?? 0) + 1);
  }
}
