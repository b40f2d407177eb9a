/**
 * P1. In the journal: the oracle's judgement, event by event. In the world: a script begins only when the grant
 * of its attempt is durable, and what was granted before it in the same segment has succeeded there, durably.
 */
import type { Event } from '../../../coordinator/core/events.ts';
import { attemptIdOf, jobIdOf } from '../../../shared/ids.ts';
import type { Step } from '../../../shared/pipeline/model.ts';
import { GroupOracle } from '../../coordinator/core/group-oracle.ts';
import { Oracle } from '../../coordinator/core/oracle.ts';
import { ParamOracle } from '../../coordinator/core/param-oracle.ts';
import { WindowOracle } from '../../coordinator/core/window-oracle.ts';
import { type Checker, type DiskSight, type RestoredSight, require } from '../judge.ts';
import type { WorldExecution, WorldRecord } from '../world-record.ts';

type Grant = { readonly first: number; readonly count: number; readonly segment: string };

export class Order implements Checker {
  readonly #record: WorldRecord;
  #oracle = new Oracle();
  #groups = new GroupOracle();
  #params = new ParamOracle();
  #windows = new WindowOracle();
  /** Also what a restore lost: nodes go on with it. */
  readonly #grants = new Map<string, Grant[]>();
  readonly #steps = new Map<string, Step>();
  readonly #succeeded = new Set<string>();

  constructor(record: WorldRecord) {
    this.#record = record;
  }

  journaled(event: Event): void {
    try {
      this.#oracle.check(event);
      this.#groups.check(event);
      this.#params.check(event);
      this.#windows.check(event);
    } catch (error) {
      require(false, () => (error instanceof Error ? error.message : String(error)));
    }
    if (event.type === 'RunCreated') {
      const run = this.#record.histories.nameOf(event.run);
      for (const unit of event.pipeline.units)
        for (const step of unit.steps) this.#steps.set(`${run}/${step.id}`, step);
    } else if (event.type === 'AttemptEnded' && event.outcome === 'succeeded') {
      this.#succeeded.add(this.#idOf(event));
    } else if (event.type === 'JobDecided' && event.as === 'succeeded') {
      this.#succeeded.add(this.#idOf(event));
    } else if (event.type === 'JobGranted') {
      const job = this.#idOf(event);
      const segment = event.segment ?? attemptIdOf(jobIdOf(event.run, event.step, event.node), event.attempt);
      const grant = { first: event.attempt, count: event.attemptsMax, segment };
      this.#grants.set(job, [...(this.#grants.get(job) ?? []), grant]);
    }
  }

  restored({ events }: RestoredSight): void {
    this.#oracle = new Oracle();
    this.#groups = new GroupOracle();
    this.#params = new ParamOracle();
    this.#windows = new WindowOracle();
    for (const event of events) this.journaled(event);
  }

  #idOf({ run, step, node }: { run: string; step: string; node: string }): string {
    return jobIdOf(this.#record.histories.nameOf(run), step, node);
  }

  began(
    { attempt, attemptNumber, job, run, step, node, executor }: WorldExecution,
    { ledger }: DiskSight,
  ): void {
    const grant = this.#grants
      .get(job)
      ?.findLast(({ first, count }) => attemptNumber >= first && attemptNumber < first + count);
    require(grant !== undefined, () => `P1: ${attempt} began, and no durable grant allows it`);
    // Two hosts with one state folder each go their own way until they are found out.
    if (this.#record.cloned.has(executor)) return;
    // What was granted with it is a gate that the node itself has to see open, on its own disk.
    for (const need of this.#steps.get(`${run}/${step}`)?.needs ?? []) {
      const own = jobIdOf(run, need.step, node);
      const ownId = attempt.replace(/\/.*/, `/${need.step}/${node}`);
      const isAhead = this.#grants.get(own)?.some(({ segment }) => segment === grant.segment) === true;
      if (!isAhead || own === job) continue;
      const isDone = [...ledger.ended, ...ledger.finished].some(
        ({ result }) => result?.outcome === 'succeeded' && result.attempt.startsWith(`${ownId}#`),
      );
      require(isDone || this.#succeeded.has(own), () =>
        `P1: ${attempt} began, and ${own}, which it was granted with, has not succeeded`);
    }
  }
}
