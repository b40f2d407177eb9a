/** What a failed job means for its run: within the budget its node leaves, over it nothing more is granted. */
import { assert } from '../../shared/assert.ts';
import type { Job } from './state.ts';
import type { Turn } from './turn.ts';

export function afterFailure(turn: Turn, job: Job): void {
  const { run, step, member } = job;
  const { unit } = step;
  assert(job.state === 'failed', 'the job has failed');
  if (member.out !== null || run.outcome !== null) return;
  const node = member.node.name;
  if (unit.failed.size <= unit.limits.failed) {
    turn.emit({ type: 'NodeLeft', run: run.id, node, reason: `${step.step.id} failed` });
    return;
  }
  if (run.failing !== null || run.cancel !== null) return;
  const allowed = unit.limits.failed === 0 ? 'none may fail' : `${unit.limits.failed} may fail`;
  turn.emit({
    type: 'RunFailing',
    run: run.id,
    unit: unit.unit.id,
    reason: `${step.step.id} failed on ${node}; ${allowed} in ${unit.unit.id}`,
    hold: unit.unit.strategy.kind === 'rolling',
  });
}
