/**
 * P11. A node hears of its own jobs only, and of secrets only as inputs that the step names; neither the journal nor
 * a snapshot nor what the API shows holds a value of one, as it is or in base64.
 */
import type { Lookup } from '../../../coordinator/core/commands.ts';
import type { Event } from '../../../coordinator/core/events.ts';
import { explainRun } from '../../../coordinator/core/explain.ts';
import { toShards } from '../../../coordinator/core/snapshot-writing.ts';
import type { State } from '../../../coordinator/core/state.ts';
import { viewNamed } from '../../../coordinator/http/views/node.ts';
import { viewRun } from '../../../coordinator/http/views/run.ts';
import { jobIdOf, parseAttemptId } from '../../../shared/ids.ts';
import type { CoordinatorMessage, JobSpecification } from '../../../shared/messages.ts';
import type { Step } from '../../../shared/pipeline/model.ts';
import { type Checker, type RestoredSight, require } from '../judge.ts';
import { secretMark } from '../script-output.ts';

/** What base64 makes of the mark depends on where in three bytes it begins, but for the first and last letters. */
const forms = [0, 1, 2].map((before) =>
  btoa(' '.repeat(before) + secretMark).slice(before === 0 ? 0 : 4, before === 0 ? 8 : -4),
);

const holdsSecret = (what: unknown): boolean => {
  const text = JSON.stringify(what);
  return text.includes(secretMark) || forms.some((form) => text.includes(form));
};

export class Secrecy implements Checker {
  readonly #steps = new Map<string, Step>();
  /** Who carries out what was granted last of a job. */
  readonly #executors = new Map<string, string>();

  journaled(event: Event): void {
    require(!holdsSecret(event), () => `P11: seq ${event.seq} (${event.type}) holds a secret`);
    if (event.type === 'RunCreated') {
      for (const unit of event.pipeline.units)
        for (const step of unit.steps) this.#steps.set(`${event.run}/${step.id}`, step);
    } else if (event.type === 'JobGranted')
      this.#executors.set(jobIdOf(event.run, event.step, event.node), event.executor ?? event.node);
  }

  restored({ events }: RestoredSight): void {
    for (const event of events) this.journaled(event);
  }

  coordinatorSaid(node: string | null, message: CoordinatorMessage): void {
    if (message.type === 'grant') for (const job of message.jobs) this.#checkGrant(node, job);
    else require(!holdsSecret(message), () => `P11: ${message.type} to ${node} holds a secret`);
  }

  #checkGrant(node: string | null, { inputs, ...job }: JobSpecification): void {
    const { attempt, secretInputs } = job;
    const name = parseAttemptId(attempt);
    require(this.#executors.get(name?.job ?? '') === node, () => `P11: ${attempt} is sent to ${node}`);
    require(!holdsSecret(job), () => `P11: ${attempt} is granted with a secret beside its inputs`);
    const step = this.#steps.get(`${name?.run}/${name?.step}`);
    for (const [input, value] of Object.entries(inputs)) {
      if (!holdsSecret(value)) continue;
      require(step?.with[input]?.secret === true && secretInputs.includes(input), () =>
        `P11: ${attempt} is granted with a secret in ${input}, which does not name one`);
    }
  }

  looked(state: State, lookup: Lookup): void {
    for (const [name, shard] of toShards(state))
      require(!holdsSecret(shard), () => `P11: the snapshot ${name} holds a secret`);
    for (const run of state.runs.values()) {
      const shown = viewRun(run, lookup, true, () => undefined);
      require(!holdsSecret(shown), () => `P11: the API shows a secret of ${run.id}`);
      const why = run.end === null ? explainRun(state, run, () => undefined) : [];
      require(!holdsSecret(why), () => `P11: what explains ${run.id} holds a secret`);
    }
    for (const name of state.nodes.keys())
      require(!holdsSecret(viewNamed(state, name, lookup, true)), () =>
        `P11: the API shows a secret with ${name}`);
  }
}
