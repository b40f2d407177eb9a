/** P9. What waits for somebody stays within the named limits. */
import type { State } from '../../../coordinator/core/state.ts';
import { limits } from '../../../shared/limits.ts';
import type { AgentMessage } from '../../../shared/messages.ts';
import { type Checker, type DiskSight, require } from '../judge.ts';

export class Bounds implements Checker {
  agentSaid(node: string, message: AgentMessage, { ledger }: DiskSight): void {
    if (message.type === 'result') {
      const before = ledger.ended.filter(
        ({ acknowledged, number }) => !acknowledged && number < message.number,
      ).length;
      require(before < limits.agentResultsInFlightMax, () =>
        `P9: ${node} sends a result while ${before} before it are not acknowledged`);
    }
    require(ledger.jobs.length <= limits.agentJobsHeldMax, () =>
      `P9: ${node} holds ${ledger.jobs.length} jobs`);
    require(ledger.ended.length <= limits.agentResultsUnacknowledgedMax + limits.agentJobsHeldMax, () =>
      `P9: ${node} keeps ${ledger.ended.length} results`);
  }

  looked(state: State): void {
    for (const node of state.nodes.values())
      require(node.credit >= 0 && node.credit <= limits.segmentJobsMax, () =>
        `P9: ${node.name} has a credit of ${node.credit}`);
  }
}
