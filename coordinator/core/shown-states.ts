/** The states of runs and nodes as people see them, each from all that is known of it. */

import type { Node, Run, UnitState } from './state.ts';

export type RunStateName =
  | 'queued'
  | 'running'
  | 'waiting-for-approval'
  | 'paused'
  | 'held'
  | 'cancelling'
  | 'succeeded'
  | 'succeeded-with-deferred'
  | 'failed'
  | 'cancelled';

/** The run's state as people see it, from what is known of it. */
export function runStateOf(run: Run): RunStateName {
  if (run.end !== null) return run.end.state;
  if (run.cancel !== null) return 'cancelling';
  if (run.hold !== null) return run.hold.needs === 'decision' ? 'held' : 'paused';
  if (run.startedAt === null) return 'queued';
  if (run.deferredAt !== null) return 'succeeded-with-deferred';
  if (run.unitsOverBudget > 0 || isParkedAsWhole(run)) return 'paused';
  if (run.jobsLive === 0 && run.approvalsPending > 0) return 'waiting-for-approval';
  if (run.jobsLive === 0 && run.jobsHeld > 0 && run.jobsReady === jobsInLine(run)) return 'held';
  return 'running';
}

/** Ready jobs that wait for a place which only another job of the run can free. */
const jobsInLine = (run: Run): number => run.units.reduce((sum, unit) => sum + unit.waiting.nodes.size, 0);

/** Outside of its window, as far as anybody has looked. */
export const isParked = ({ window }: UnitState): boolean => window !== null && !window.open;

/** Nothing is under way, and all that could begin waits for windows. */
export const isParkedAsWhole = (run: Run): boolean =>
  run.outcome === null &&
  run.jobsLive === 0 &&
  run.jobsReady > 0 &&
  run.units.every((unit) => unit.jobsReady === 0 || isParked(unit));

export type NodeStateName =
  | 'expected'
  | 'ready'
  | 'busy'
  | 'unreachable'
  | 'cordoned'
  | 'maintenance'
  | 'quarantined'
  | 'retired';

/** That it waits for its machine is said first, then what an operator did to it, then what its link does; away for a moment still counts as there. */
export function nodeStateOf(node: Node): NodeStateName {
  if (node.vacancy !== null) return 'expected';
  if (node.administration !== 'in-service') return node.administration;
  if (node.contact === 'unreachable') return 'unreachable';
  return node.segment.length > 0 ? 'busy' : 'ready';
}
