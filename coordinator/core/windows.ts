/**
 * Maintenance windows: outside of its window a unit is parked. Whoever has begun in it goes on to its end there, and
 * nobody else begins until it opens. That it opened or closed is an event, with until when; what nobody waits for is
 * not looked at.
 */
import { formatDuration } from '../../shared/pipeline/duration.ts';
import { openingAt } from '../../shared/window.ts';
import { isAftermath } from './derive.ts';
import type { Job, Run, UnitState } from './state.ts';
import type { Turn } from './turn.ts';
import { hasBegun } from './unit-end.ts';

/** Whether nodes may begin the unit now. */
export function isInWindow(turn: Turn, run: Run, { unit, window: known }: UnitState): boolean {
  // Checks change nothing.
  if (unit.window === undefined || run.checkOnly) return true;
  if (known !== null && (known.until === null || turn.at < known.until)) return known.open;
  const { open, until } = openingAt(unit.window, turn.at);
  turn.emit({ type: open ? 'WindowOpened' : 'WindowClosed', run: run.id, unit: unit.id, until });
  return open;
}

/** Whether the node is in the middle of the unit: it has its slot, or has begun the group. */
export const isUnderWay = (run: Run, unit: UnitState, node: string): boolean =>
  unit.unit.strategy.kind === 'rolling'
    ? unit.slots.has(node)
    : unit.unit.kind === 'group' && hasBegun(run, unit, node);

/** Whether its window lets the job begin: it is open, or the node is in the middle of what it is about. */
export const mayProceed = (turn: Turn, { run, step, member }: Job): boolean =>
  isAftermath(step) || isUnderWay(run, step.unit, member.node.name) || isInWindow(turn, run, step.unit);

/** A window has opened or closed meanwhile, and somebody waits for it. */
export function renewWindow(turn: Turn, runId: string, index: number): void {
  const run = turn.state.runs.get(runId);
  const unit = run?.units[index];
  if (run === undefined || unit === undefined || run.end !== null || run.outcome !== null) return;
  if (unit.jobsReady > 0) isInWindow(turn, run, unit);
}

export const describeWindow = ({ unit }: UnitState): string => {
  const { window } = unit;
  return window === undefined
    ? ''
    : `"${window.cron}" for ${formatDuration(window.durationMs)} (${window.timezone})`;
};

/** Until when the job is parked; undefined when it is not, or when nobody has looked yet. */
export function parkedUntil(
  { run, step, member }: Job,
  at: number,
): { readonly until: number | null } | undefined {
  const { window } = step.unit;
  if (window === null || window.open || (window.until !== null && window.until <= at)) return undefined;
  return isUnderWay(run, step.unit, member.node.name) ? undefined : { until: window.until };
}
