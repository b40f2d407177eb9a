/**
 * P6. Lost contact counts neither as success nor as failure: a run fails, and a node leaves it, only for failures
 * that somebody reported or decided; and what was unknown becomes what really came of it.
 */
import type { Event } from '../../../coordinator/core/events.ts';
import type { Amount, Pipeline, Step } from '../../../shared/pipeline/model.ts';
import { type Checker, type RestoredSight, require } from '../judge.ts';
import type { WorldRecord } from '../world-record.ts';

export class UnknownIsNotFailure implements Checker {
  readonly #record: WorldRecord;
  readonly #pipelines = new Map<string, Pipeline>();
  /** Steps with a reported or decided failure, by run and unit, and by node: budgets count nodes. */
  readonly #failed = new Map<string, Map<string, Set<string>>>();
  /** Jobs with an attempt that may be running, and who carries it out. */
  readonly #live = new Map<string, string>();
  readonly #out = new Set<string>();
  /** By run and role. */
  readonly #leaders = new Map<string, string | null>();
  /** Units with a job that became unknown and whose step says that the run stops then. */
  readonly #stopping = new Set<string>();

  constructor(record: WorldRecord) {
    this.#record = record;
  }

  journaled(event: Event): void {
    switch (event.type) {
      case 'RunCreated':
        this.#pipelines.set(event.run, event.pipeline);
        return;
      case 'RunPlanned':
        for (const [role, { leader }] of Object.entries(event.roles))
          this.#leaders.set(`${event.run}/${role}`, leader);
        return;
      case 'LeaderElected':
        this.#leaders.set(`${event.run}/${event.role}`, event.node);
        return;
      case 'JobUnknown':
        if (this.#stepOf(event.run, event.step)?.onUnknown === 'stop')
          this.#stopping.add(`${event.run}/${this.#unitOf(event.run, event.step)}`);
        return;
      case 'JobGranted':
        this.#live.set(`${event.run}/${event.step}/${event.node}`, event.executor ?? event.node);
        return;
      case 'JobFailed':
        require(!this.#live.has(`${event.run}/${event.step}/${event.node}`), () =>
          `P6: ${event.run}/${event.step}/${event.node} may be running and fails by itself`);
        this.#fail(event.run, event.step, event.node);
        return;
      case 'AttemptEnded':
        this.#attemptEnded(event);
        if (event.final) this.#live.delete(`${event.run}/${event.step}/${event.node}`);
        return;
      case 'AttemptDisclosed':
      case 'JobHeld':
        this.#live.delete(`${event.run}/${event.step}/${event.node}`);
        return;
      case 'JobDecided':
        this.#live.delete(`${event.run}/${event.step}/${event.node}`);
        if (event.as === 'failed') this.#fail(event.run, event.step, event.node);
        else this.#mend(event.run, event.step, event.node);
        return;
      case 'RunResumed':
        if (event.how === 'retry-failed' || event.how === 'accept-failed') this.#forgive(event.run);
        return;
      case 'NodeLeft':
        this.#out.add(`${event.run}/${event.node}`);
        return;
      case 'RunFailing':
        this.#runFails(event.run, event.unit);
        return;
      default:
        return;
    }
  }

  restored({ events }: RestoredSight): void {
    for (const kept of [this.#failed, this.#live, this.#out, this.#leaders, this.#stopping]) kept.clear();
    for (const event of events) this.journaled(event);
  }

  #attemptEnded(event: Event & { readonly type: 'AttemptEnded' }): void {
    if (event.outcome === 'interrupted' && event.reason?.startsWith('evidence lost') === true) {
      const executor = this.#live.get(`${event.run}/${event.step}/${event.node}`) ?? event.node;
      const isTrue = [...this.#record.evidenceLost].some((incarnation) =>
        incarnation.startsWith(`${executor}-`),
      );
      require(isTrue || this.#record.cloned.has(executor), () =>
        `P6: ${event.run}/${event.step}/${event.node} is interrupted, and the node's disk never died`);
    }
    if (event.final && (event.outcome === 'failed' || event.outcome === 'timed-out'))
      this.#fail(event.run, event.step, event.node);
  }

  /** What failed within its budget goes on counting against it. */
  #forgive(run: string): void {
    for (const [key, nodes] of this.#failed) {
      if (!key.startsWith(`${run}/`)) continue;
      for (const node of nodes.keys()) if (!this.#out.has(`${run}/${node}`)) nodes.delete(node);
    }
  }

  #stepOf(run: string, step: string): Step | undefined {
    return this.#pipelines
      .get(run)
      ?.units.flatMap(({ steps }) => steps)
      .find(({ id }) => id === step);
  }

  #unitOf(run: string, step: string): string {
    return this.#pipelines.get(run)?.units.find((unit) => unit.steps.some(({ id }) => id === step))?.id ?? '';
  }

  /** What comes after a failure, in rescue or always, costs nothing of a budget. */
  #fail(run: string, step: string, node: string): void {
    if (this.#stepOf(run, step)?.part !== undefined) return;
    const key = `${run}/${this.#unitOf(run, step)}`;
    const nodes = this.#failed.get(key) ?? new Map<string, Set<string>>();
    this.#failed.set(key, nodes.set(node, (nodes.get(node) ?? new Set()).add(step)));
  }

  /** Decided anew: the node counts on, while another of its steps there has failed. */
  #mend(run: string, step: string, node: string): void {
    const nodes = this.#failed.get(`${run}/${this.#unitOf(run, step)}`);
    const steps = nodes?.get(node);
    steps?.delete(step);
    if (steps?.size === 0) nodes?.delete(node);
  }

  #runFails(run: string, unitId: string): void {
    if (this.#stopping.has(`${run}/${unitId}`)) return;
    const unit = this.#pipelines.get(run)?.units.find(({ id }) => id === unitId);
    const failures = [...(this.#failed.get(`${run}/${unitId}`)?.keys() ?? [])];
    const failed = failures.length;
    // A leader does not leave for one, while it has its own steps to do.
    if (failures.some((node) => this.#leads(run, node))) return;
    const budget: Amount = unit?.strategy.budgets.maxFailed ?? { count: 0 };
    const allowed = 'count' in budget ? budget.count : 0;
    require(failed > allowed, () =>
      `P6: ${run} fails in ${unitId} with ${failed} failures, and ${allowed} are allowed`);
  }
  #leads(run: string, node: string): boolean {
    return [...this.#leaders].some(([key, leader]) => leader === node && key.startsWith(`${run}/`));
  }
}
