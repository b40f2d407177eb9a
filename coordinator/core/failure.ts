/**
 * What a failed job means for its run: within the budget its node leaves, over it nothing more is granted. A leader
 * does not leave like that: what only it was to do would be left out, and what comes after it would be done.
 */
import { assert } from '../../shared/assert.ts';
import { isAftermath } from './derive.ts';
import { leadingStep } from './elections.ts';
import type { Job } from './state.ts';
import type { Turn } from './turn.ts';

export function afterFailure(turn: Turn, job: Job): void {
  const { run, step, member } = job;
  const { unit } = step;
  assert(job.state === 'failed', 'the job has failed');
  if (member.out !== null || run.outcome !== null || isAftermath(step)) return;
  const node = member.node.name;
  const isWithin = unit.failed.size <= unit.limits.failed;
  const lead = isWithin ? leadOf(job) : undefined;
  if (isWithin && lead === undefined) {
    turn.emit({ type: 'NodeLeft', run: run.id, node, reason: `${step.step.id} failed` });
    return;
  }
  if (run.failing !== null || run.cancel !== null) return;
  const allowed = unit.limits.failed === 0 ? 'none may fail' : `${unit.limits.failed} may fail`;
  turn.emit({
    type: 'RunFailing',
    run: run.id,
    unit: unit.unit.id,
    reason: `${step.step.id} failed on ${node}${lead === undefined ? `; ${allowed} in ${unit.unit.id}` : `, which ${lead}`}`,
    hold: lead !== undefined || unit.unit.strategy.kind === 'rolling',
  });
}

/** What the node of the job has still to do in this run as the leader of a role. */
function leadOf({ run, member }: Job): string | undefined {
  const node = member.node.name;
  for (const role of run.roles.values()) {
    const step = role.leader === node ? leadingStep(run, role.name, node) : undefined;
    if (step !== undefined) return `leads ${role.name} and has ${step} still to do`;
  }
  return undefined;
}
