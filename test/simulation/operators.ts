/**
 * People: they submit runs, answer what waits for them, meddle while there are faults, and when the faults have
 * stopped they decide whatever is still open.
 */
import type { Command } from '../../coordinator/core/commands.ts';
import { electionsDue } from '../../coordinator/core/elections.ts';
import { explainRun } from '../../coordinator/core/explain.ts';
import type { Run, State } from '../../coordinator/core/state.ts';
import type { Amount } from '../../shared/pipeline/model.ts';
import { withAftermath } from '../coordinator/core/random-aftermath.ts';
import { inCompany, randomBudget } from '../coordinator/core/random-company.ts';
import { randomParamChange, withParams } from '../coordinator/core/random-params.ts';
import { type Random, randomPipeline } from '../coordinator/core/random-pipeline.ts';
import { withValues } from '../coordinator/core/random-values.ts';
import type { AgentProgram } from './agent-programs.ts';
import type { CoordinatorProcess } from './coordinator-process.ts';
import { secretMark } from './script-output.ts';

const by = 'operator:simulated';
const reason = 'simulated';

const administrations = ['in-service', 'in-service', 'cordoned', 'maintenance', 'retired'] as const;

export class Operators {
  readonly #random: Random;
  readonly #changes: Random;
  readonly #values: Random;
  readonly #coordinator: () => CoordinatorProcess | null;
  /** Whether runs have steps of `rescue` and `always`. */
  readonly #cleansUp: boolean;

  constructor(
    random: Random,
    changes: Random,
    values: Random,
    coordinator: () => CoordinatorProcess | null,
    cleansUp: boolean,
  ) {
    this.#cleansUp = cleansUp;
    this.#random = random;
    this.#changes = changes;
    this.#values = values;
    this.#coordinator = coordinator;
  }

  submitRun(): void {
    const random = this.#changes;
    const shared = inCompany(random, randomPipeline(this.#random, true));
    const plain = this.#cleansUp ? withAftermath(random, shared) : shared;
    const pipeline = withParams(withValues(this.#values, plain));
    this.#say({
      type: 'CreateRun',
      by,
      cluster: 'default',
      pipeline,
      from: random.chance(0.05) ? random.pick(pipeline.units).id : null,
      params: {},
      generated: Object.fromEntries(
        Object.keys(pipeline.params).map((name) => [name, `${secretMark} ${this.#values.next()}`]),
      ),
      limit: null,
      checkOnly: this.#random.chance(0.05),
    });
  }

  offerAgent({ version, digest }: AgentProgram): void {
    const random = this.#changes;
    this.#say({
      type: 'OfferAgent',
      by,
      program: {
        version,
        digest,
        sizeBytes: 1,
        architecture: null,
        where: random.chance(0.2) ? 'labels.kind == "odd"' : null,
        atOnce: 1 + random.below(3),
        healthyWithinMs: 5_000 + random.below(60_000),
      },
    });
  }

  /** Does one thing, sensible or not. */
  meddle(): void {
    const state = this.#coordinator()?.state;
    if (state === undefined) return;
    if (this.#changes.chance(0.1)) this.#setBudget(randomBudget(this.#changes));
    if (this.#changes.chance(0.2))
      this.#say(randomParamChange(this.#changes, [...state.nodes.keys(), 'nobody']));
    const random = this.#random;
    const node = random.pick([...state.nodes.keys(), 'nobody']);
    const runs = [...state.activeRuns.values()];
    const kind = random.below(100);
    if (kind < 20) {
      const administration = random.pick(administrations);
      this.#say({ type: 'AdministerNode', node, administration, by, reason });
    } else if (kind < 25) {
      const set = { rack: `r${random.below(3)}` };
      this.#say({ type: 'LabelNode', node, set, unset: [], by });
    } else if (kind < 28) this.#say({ type: 'RemoveNode', node, by, reason });
    else if (runs.length === 0) return;
    else if (kind < 90) this.#answer(state, random.pick(runs));
    else if (kind < 93) this.#say({ type: 'CancelRun', run: random.pick(runs).id, by, reason });
    else
      this.#say({
        type: 'ResumeRun',
        run: random.pick(runs).id,
        how: { kind: 'elect', node, role: null },
        by,
        reason,
      });
  }

  /** Mostly: its machine is gone for good. */
  replaceMachine(node: string): void {
    if (this.#changes.chance(0.7)) this.#say({ type: 'ReplaceNode', node, by, reason });
  }

  #answer(state: State, run: Run): void {
    const random = this.#random;
    this.#approve(run);
    for (const job of jobsOf(run)) {
      const isOpen = job.state === 'held' || (job.state === 'unknown' && random.chance(0.1));
      if (isOpen) this.#decide(run, job, random.pick(['succeeded', 'failed', 'again'] as const));
    }
    if (run.hold?.restored !== undefined && this.#changes.chance(0.5)) {
      this.#say({ type: 'ResumeRun', run: run.id, how: { kind: 'as-reported' }, by, reason });
      return;
    }
    if (run.hold === null && !random.chance(0.1)) return;
    const kind = random.pick(['continue', 'retry-failed', 'accept-failed'] as const);
    this.#say({
      type: 'ResumeRun',
      run: run.id,
      how: { kind },
      by,
      reason: explainRun(state, run, () => undefined)[0]?.gate ?? '',
    });
  }

  /** Everything open is answered so that it can end. */
  settle(): void {
    const state = this.#coordinator()?.state;
    if (state === undefined) return;
    // One node at a time is enough for everything to end.
    // Where it was set under slots that wait for each other, nothing but a larger one helps.
    const isSpent = [...state.activeRuns.values()].some(({ hold }) =>
      hold?.reason.includes('--max-unavailable'),
    );
    if (state.budgets.size > 0) this.#setBudget(isSpent ? null : { count: 1 });
    for (const node of state.nodes.values()) {
      if (node.administration !== 'in-service')
        this.#say({ type: 'AdministerNode', node: node.name, administration: 'in-service', by, reason });
    }
    for (const run of state.activeRuns.values()) {
      this.#approve(run);
      // What is to be done after other steps all the same may wait for a decision that does not come any more.
      if (run.cancel !== null) this.#say({ type: 'CancelRun', run: run.id, by, reason });
      for (const job of jobsOf(run)) if (job.state === 'held') this.#decide(run, job, 'succeeded');
      if (run.hold === null) continue;
      if (run.hold.restored !== undefined)
        this.#say({ type: 'ResumeRun', run: run.id, how: { kind: 'as-reported' }, by, reason });
      for (const { role, leader, candidates } of electionsDue(run)) {
        const [node] = candidates;
        if (node !== undefined)
          this.#say({
            type: 'ResumeRun',
            run: run.id,
            how: { kind: 'elect', node, role },
            by,
            reason,
          });
        else if (leader !== null)
          // Nobody else can lead: what it failed was mended by hand.
          for (const job of jobsOf(run))
            if (job.member.node.name === leader && job.state === 'failed')
              this.#decide(run, job, 'succeeded');
      }
      for (const kind of ['accept-failed', 'continue'] as const)
        this.#say({ type: 'ResumeRun', run: run.id, how: { kind }, by, reason });
    }
  }

  #setBudget(maxUnavailable: Amount | null): void {
    this.#say({ type: 'SetDisruptionBudget', cluster: 'default', maxUnavailable, by });
  }

  #approve(run: Run): void {
    for (const { unit, approval } of run.units) {
      if (approval.kind === 'requested')
        this.#say({ type: 'ApproveUnit', run: run.id, unit: unit.id, by, reason });
    }
  }

  #decide(run: Run, job: ReturnType<typeof jobsOf>[number], as: 'succeeded' | 'failed' | 'again'): void {
    const id = `${run.id}/${job.step.step.id}/${job.member.node.name}`;
    this.#say({ type: 'DecideJob', job: id, as, by, reason });
  }

  #say(command: Command): void {
    this.#coordinator()?.command(command);
  }
}

const jobsOf = (run: Run) => run.steps.flatMap((step) => [...step.jobs.values()]);
