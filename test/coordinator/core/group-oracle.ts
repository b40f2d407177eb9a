/** Judges from the journal alone how runs of one concurrency group stand to each other. */
import type { Event } from '../../../coordinator/core/events.ts';
import type { Concurrency } from '../../../shared/pipeline/model.ts';

type Known = {
  readonly id: string;
  readonly group: string;
  readonly concurrency: Concurrency;
  readonly createdSeq: number;
  plannedSeq: number;
  nodes: ReadonlySet<string>;
  /** All that is left of it are deferred jobs. */
  deferred: boolean;
  ended: boolean;
};

export class GroupOracle {
  readonly #runs = new Map<string, Known>();
  /** Run, step and node of jobs that are deferred now. */
  readonly #deferred = new Set<string>();

  check(event: Event): void {
    if (event.type === 'JobDeferred') this.#deferred.add(jobOf(event));
    if (event.type === 'JobSkipped' && event.missed !== undefined) this.#checkMissed(event, event.missed);
    if (event.type === 'RunCreated') this.#create(event);
    const run = 'run' in event ? this.#runs.get(event.run ?? '') : undefined;
    if (run === undefined) return;
    if (event.type === 'RunPlanned') {
      run.plannedSeq = event.seq;
      run.nodes = new Set(Object.values(event.roles).flatMap(({ nodes }) => nodes));
    } else if (event.type === 'RunStarted') this.#checkStart(run);
    else if (event.type === 'RunDeferred') run.deferred = true;
    else if (event.type === 'RunConcluded') run.deferred = false;
    else if (event.type === 'RunEnded') run.ended = true;
    else if (event.type === 'RunCancelRequested' && event.replacedBy !== undefined) {
      const by = this.#runs.get(event.replacedBy);
      require(by !== undefined && by.group === run.group, `${run.id} is replaced by one of another group`);
      const { policy, per } = by.concurrency;
      require(policy === 'replace' && per === undefined, `${by.id} replaces ${run.id} and may not`);
      require(by.createdSeq > run.createdSeq, `${by.id} replaces ${run.id}, which is newer`);
    }
  }

  #create(event: Extract<Event, { type: 'RunCreated' }>): void {
    const { concurrency } = event.pipeline;
    if (concurrency === undefined) return;
    const group = `${event.cluster}/${concurrency.group}`;
    if (concurrency.policy === 'reject') {
      const other = this.#others(group, event.run).find(({ deferred }) => !deferred);
      require(other === undefined, `${event.run} was let in beside ${other?.id}`);
    }
    this.#runs.set(event.run, {
      id: event.run,
      group,
      concurrency,
      createdSeq: event.seq,
      plannedSeq: 0,
      nodes: new Set(),
      deferred: false,
      ended: false,
    });
  }

  #others = (group: string, run: string): readonly Known[] =>
    [...this.#runs.values()].filter((other) => other.group === group && other.id !== run && !other.ended);

  #checkStart(run: Known): void {
    if (run.concurrency.per === 'node') return;
    for (const other of this.#others(run.group, run.id)) {
      if (other.concurrency.per === 'node' || other.deferred || other.plannedSeq === 0) continue;
      require(other.plannedSeq >
        run.plannedSeq, `P1: ${run.id} started before ${other.id} of its group ended`);
    }
  }

  #checkMissed(
    event: Extract<Event, { type: 'JobSkipped' }>,
    missed: NonNullable<Extract<Event, { type: 'JobSkipped' }>['missed']>,
  ): void {
    require(this.#deferred.delete(jobOf(event)), `${jobOf(event)} is ${missed.how} and was never deferred`);
    if (missed.how === 'overdue') return;
    const run = this.#runs.get(event.run);
    const by = this.#runs.get(missed.by);
    require(run !== undefined && by !== undefined && run.group === by.group, `${jobOf(event)}: other groups`);
    require(by.createdSeq > run.createdSeq, `${jobOf(event)} is superseded by an older run`);
    require(by.concurrency.policy === 'replace', `${by.id} supersedes and may not`);
    const concerns = by.concurrency.per !== 'node' || by.nodes.has(event.node);
    require(concerns, `${by.id} supersedes ${jobOf(event)}, whose node it does not have`);
  }
}

function require(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message);
}

const jobOf = (event: { run: string; step: string; node: string }): string =>
  `${event.run}/${event.step}/${event.node}`;
