/**
 * P12. Whatever version an agent has: it is let in, and nothing is ordered of it that it did not say it can do. (That
 * a job which needs more says what it waits for is P10; that old ones work and upgrade shows in that runs end.)
 */
import type { Event } from '../../../coordinator/core/events.ts';
import { parseAttemptId } from '../../../shared/ids.ts';
import type { CoordinatorMessage } from '../../../shared/messages.ts';
import type { Step } from '../../../shared/pipeline/model.ts';
import { type Checker, type RestoredSight, require } from '../judge.ts';

const needsReboot = (step: Step | undefined): boolean =>
  step?.reboot !== undefined || step?.rebootTimeoutMs !== undefined;

export class OldAgents implements Checker {
  /** Of the agent that each node is connected with. */
  readonly #features = new Map<string, readonly string[]>();
  readonly #steps = new Map<string, Step>();

  journaled(event: Event): void {
    if (event.type === 'NodeConnected') this.#features.set(event.node, event.features ?? []);
    if (event.type !== 'RunCreated') return;
    for (const unit of event.pipeline.units)
      for (const step of unit.steps) this.#steps.set(`${event.run}/${step.id}`, step);
  }

  restored({ events }: RestoredSight): void {
    for (const event of events) this.journaled(event);
  }

  coordinatorSaid(node: string | null, message: CoordinatorMessage): void {
    const can = (feature: string): boolean => this.#features.get(node ?? '')?.includes(feature) === true;
    switch (message.type) {
      case 'rejected':
        require(!/version|protocol|too old/.test(message.reason), () =>
          `P12: ${node} is turned away: ${message.reason}`);
        return;
      case 'upgrade':
        require(can('upgrade'), () => `P12: ${node} is offered an upgrade that it cannot take`);
        return;
      case 'grant':
        for (const { attempt } of message.jobs) {
          const { run, step } = parseAttemptId(attempt) ?? {};
          require(!needsReboot(this.#steps.get(`${run}/${step}`)) || can('reboot'), () =>
            `P12: ${attempt} is granted to ${node}, whose agent cannot reboot for it`);
        }
        return;
      default:
        return;
    }
  }
}
