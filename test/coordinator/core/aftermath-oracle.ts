/** Judges from the journal alone what is done after steps and groups have ended on a node: `rescue` and `always`. */
import type { Event } from '../../../coordinator/core/events.ts';
import type { Step, Unit } from '../../../shared/pipeline/model.ts';

/** What the oracle knows of the other jobs. */
export type KnownJobs = {
  readonly units: (run: string) => readonly Unit[];
  readonly nodesIn: (run: string, unit: Unit) => Iterable<string>;
  readonly isSettled: (run: string, step: string, node: string) => boolean;
  readonly hasFailed: (run: string, step: string, node: string) => boolean;
  readonly isLive: (run: string, step: string, node: string) => boolean;
  readonly wasGranted: (run: string, step: string, node: string) => boolean;
  readonly allowAgain: (job: string) => void;
};

type Stopped = { failing: 'hold' | 'end' | null; held: boolean; replaced: boolean; cancels: number };

export class AftermathOracle {
  readonly #known: KnownJobs;
  readonly #stopped = new Map<string, Stopped>();
  /** Run, step and node of what is over, whatever came of it. */
  readonly #over = new Set<string>();

  constructor(known: KnownJobs) {
    this.#known = known;
  }

  /** After the oracle has taken note of the event. */
  check(event: Event): void {
    switch (event.type) {
      case 'RunFailing':
        this.#stopOf(event.run).failing = event.hold ? 'hold' : 'end';
        return;
      case 'RunHeld':
        this.#stopOf(event.run).held = true;
        if (this.#stopOf(event.run).failing === 'hold' && event.restored === undefined)
          this.#requireDone(event.run);
        return;
      case 'RunCancelRequested':
        if (event.replacedBy !== undefined) this.#stopOf(event.run).replaced = true;
        else this.#stopOf(event.run).cancels += 1;
        return;
      case 'RunResumed':
        Object.assign(this.#stopOf(event.run), { failing: null, held: false });
        this.#beginAnew(event.run);
        return;
      case 'RunConcluded':
      case 'RunEnded':
        // What comes after the outcome changes nothing of this.
        if (this.#stopOf(event.run).cancels < 2) this.#requireDone(event.run);
        this.#stopOf(event.run).cancels = Number.POSITIVE_INFINITY;
        return;
      case 'JobDecided':
        if (event.as === 'again') this.#over.delete(idOf(event));
        else this.#over.add(idOf(event));
        this.#decide(event);
        return;
      case 'AttemptEnded':
        if (event.outcome === 'interrupted' || event.outcome === 'not-started') return;
        // It may be tried again by itself, or its node has to come back from a reboot.
        if (!this.#known.isLive(event.run, event.step, event.node)) this.#over.add(idOf(event));
        return;
      case 'JobRebooted':
      case 'JobSkipped':
      case 'JobFailed':
        this.#over.add(idOf(event));
        return;
      default:
        return;
    }
  }

  checkGrant(event: Extract<Event, { type: 'JobGranted' }>, unit: Unit, step: Step): void {
    const { run, node } = event;
    const id = idOf(event);
    const { held, failing, replaced, cancels } = this.#stopOf(run);
    require(!held || failing !== null || replaced || cancels > 0, `P1: ${id} granted while the run is held`);
    require(cancels < 2, `P1: ${id} granted although the run was cancelled twice`);
    const end = this.#endOf(run, unit, node);
    require(end !== undefined, `P1: ${id} granted before ${unit.id} has ended on ${node}`);
    require(end === 'failed' ||
      step.part === 'always', `P1: ${id} granted although nothing failed on ${node}`);
    const told = event.ended?.outcome;
    require(told !== undefined &&
      (told === 'failed') === (end === 'failed'), `${id} is told that it ${told}`);
  }

  /** Nobody has to wait for it: it is over, or is not done at all. */
  isSettled(run: string, unit: Unit, step: Step, node: string): boolean {
    if (this.#over.has(`${run}/${step.id}/${node}`)) return true;
    const end = this.#endOf(run, unit, node);
    if (end === undefined) return false;
    return end !== 'failed' && (step.part === 'rescue' || !this.hasBegun(run, unit, node));
  }

  hasBegun(run: string, unit: Unit, node: string): boolean {
    return mainOf(unit).some(({ id }) => this.#known.wasGranted(run, id, node));
  }

  #endOf(run: string, unit: Unit, node: string): 'failed' | 'otherwise' | undefined {
    const main = mainOf(unit);
    const { isLive, isSettled, hasFailed } = this.#known;
    if (main.some(({ id }) => isLive(run, id, node))) return undefined;
    if (main.some(({ id }) => hasFailed(run, id, node))) return 'failed';
    if (main.every(({ id }) => isSettled(run, id, node))) return 'otherwise';
    const { failing, replaced, cancels } = this.#stopOf(run);
    const isStopping = failing === 'end' || replaced || cancels > 0;
    return isStopping && this.hasBegun(run, unit, node) ? 'otherwise' : undefined;
  }

  /** Where the steps go on after all, what was done after them is due once more. */
  #beginAnew(run: string): void {
    for (const unit of this.#known.units(run)) {
      for (const node of this.#known.nodesIn(run, unit)) {
        if (this.#endOf(run, unit, node) !== undefined) continue;
        for (const { id, part } of unit.steps) {
          const job = `${run}/${id}/${node}`;
          if (part !== undefined && this.#over.delete(job)) this.#known.allowAgain(job);
        }
      }
    }
  }

  /** What was done for another end is due once more. */
  #decide({ run, step, node }: Extract<Event, { type: 'JobDecided' }>): void {
    const unit = this.#known.units(run).find(({ steps }) => steps.some(({ id }) => id === step));
    if (unit === undefined || unit.steps.some(({ id, part }) => id === step && part !== undefined)) return;
    for (const { id, part } of unit.steps) {
      const job = `${run}/${id}/${node}`;
      if (part !== undefined && this.#over.delete(job)) this.#known.allowAgain(job);
    }
  }

  #requireDone(run: string): void {
    for (const unit of this.#known.units(run)) {
      if (unit.finally === true) continue;
      for (const node of this.#known.nodesIn(run, unit)) {
        const end = this.#endOf(run, unit, node);
        if (end === undefined) continue;
        for (const step of unit.steps)
          require(step.part === undefined ||
            this.isSettled(
              run,
              unit,
              step,
              node,
            ), `${run} goes on to its end before ${step.id} is done on ${node}`);
      }
    }
  }

  #stopOf(run: string): Stopped {
    const known = this.#stopped.get(run) ?? { failing: null, held: false, replaced: false, cancels: 0 };
    this.#stopped.set(run, known);
    return known;
  }
}

const mainOf = ({ steps }: Unit): readonly Step[] => steps.filter(({ part }) => part === undefined);

const idOf = (event: { run: string; step: string; node: string }): string =>
  `${event.run}/${event.step}/${event.node}`;

function require(condition: boolean, message: string): void {
  if (!condition) throw new Error(message);
}
