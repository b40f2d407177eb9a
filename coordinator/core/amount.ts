/** Numbers and percentages of a strategy in nodes. */
import type { Amount, Strategy } from '../../shared/pipeline/model.ts';
import type { UnitLimits } from './run-parts.ts';

/** Rounded down: a bound must never allow more than was said. */
export const amountFloor = (amount: Amount, total: number): number =>
  'count' in amount ? amount.count : Math.floor((amount.percent * total) / 100);

/** Rounded up: a wave must reach at least what was said. */
const amountCeiling = (amount: Amount, total: number): number =>
  Math.min(total, 'count' in amount ? amount.count : Math.ceil((amount.percent * total) / 100));

export function unitLimitsOf(strategy: Strategy, total: number): UnitLimits {
  const atOnce =
    strategy.kind === 'rolling'
      ? Math.max(1, amountFloor(strategy.maxUnavailable, total))
      : strategy.maxParallel === undefined
        ? total
        : Math.max(1, amountFloor(strategy.maxParallel, total));
  return {
    atOnce,
    failed: amountFloor(strategy.budgets.maxFailed, total),
    unknown: amountFloor(strategy.budgets.maxUnknown, total),
    unreachable: amountFloor(strategy.budgets.maxUnreachable, total),
  };
}

/** Cumulative number of nodes that each wave reaches, strictly rising; the last is all of them. */
export function waveTargetsOf(strategy: Strategy, total: number): readonly number[] {
  if (strategy.kind !== 'rolling' || total === 0) return [total];
  const targets: number[] = [];
  for (const wave of strategy.waves) {
    const target = Math.max(1, amountCeiling(wave, total));
    if (target > (targets.at(-1) ?? 0)) targets.push(target);
  }
  if ((targets.at(-1) ?? 0) < total) targets.push(total);
  return targets;
}
