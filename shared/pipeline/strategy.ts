/** How many nodes at once: defaults filled in, bounds that make sense together. */
import { parseAmount } from './amount.ts';
import { parseDuration } from './duration.ts';
import type { Amount, Budgets, Strategy } from './model.ts';
import type { Report } from './report.ts';
import type { Path } from './source.ts';
import type { StrategyFile } from './strategy-language.ts';

type Bounds = Readonly<Partial<Record<keyof Budgets, number | string | undefined>>>;

function budgetsOf(file: Bounds): Budgets {
  const { maxFailed = 0, maxUnknown = 0, maxUnreachable = 0 } = file;
  return {
    maxFailed: parseAmount(maxFailed),
    maxUnknown: parseAmount(maxUnknown),
    maxUnreachable: parseAmount(maxUnreachable),
  };
}

export function readStrategy(file: StrategyFile | undefined, path: Path, report: Report): Strategy {
  if (file === undefined || file === 'parallel') return { kind: 'parallel', budgets: budgetsOf({}) };
  if (file === 'rolling') return readRolling({}, [...path, 'rolling'], report);
  const { parallel, rolling } = file;
  if ((parallel === undefined) === (rolling === undefined)) {
    report.at(path, 'a strategy is one of two', { expected: 'exactly one of parallel, rolling' });
  }
  if (rolling !== undefined) return readRolling(rolling, [...path, 'rolling'], report);
  const { maxParallel } = parallel ?? {};
  if (maxParallel !== undefined) needsOne(maxParallel, [...path, 'parallel', 'maxParallel'], report);
  return {
    kind: 'parallel',
    ...(maxParallel === undefined ? {} : { maxParallel: parseAmount(maxParallel) }),
    budgets: budgetsOf(parallel ?? {}),
  };
}

type RollingFile = NonNullable<Exclude<StrategyFile, string>['rolling']>;

function readRolling(file: RollingFile, path: Path, report: Report): Strategy {
  const { maxUnavailable = 1, by, waves = [], pause } = file;
  needsOne(maxUnavailable, [...path, 'maxUnavailable'], report);
  return {
    kind: 'rolling',
    maxUnavailable: parseAmount(maxUnavailable),
    ...(by === undefined
      ? {}
      : {
          by: {
            label: by.label.replace(/^labels\./, ''),
            domains: by.domains ?? 1,
            ...(by.perDomain === undefined ? {} : { perDomain: by.perDomain }),
          },
        }),
    waves: readWaves(waves, [...path, 'waves'], report),
    pauseMs: pause === undefined ? 0 : (parseDuration(pause) ?? 0),
    budgets: budgetsOf(file),
  };
}

function needsOne(amount: number | string, path: Path, report: Report): void {
  if (amount === 0)
    report.at(path, 'with 0 nothing could ever begin', { expected: 'at least 1, or a percentage' });
}

/** Numbers first, then percentages, each larger than the one before; the last wave reaches all nodes. */
function readWaves(file: readonly (number | string)[], path: Path, report: Report): readonly Amount[] {
  const waves = file.map(parseAmount);
  for (const [index, wave] of waves.entries()) {
    const at = [...path, index];
    if ('count' in wave) needsOne(wave.count, at, report);
    const before = waves[index - 1];
    if (before === undefined) continue;
    if ('count' in wave && 'percent' in before) {
      report.at(at, 'a number after a percentage may be a smaller wave', {
        expected: 'numbers first, then percentages',
      });
    } else if (sizeOf(wave) <= sizeOf(before) && 'count' in wave === 'count' in before) {
      report.at(at, `waves are cumulative: this one is not larger than ${file[index - 1]}`, {
        expected: 'a larger wave',
      });
    }
  }
  const last = waves.at(-1);
  const complete = last !== undefined && 'percent' in last && last.percent === 100;
  return complete ? waves : [...waves, { percent: 100 }];
}

const sizeOf = (amount: Amount): number => ('count' in amount ? amount.count : amount.percent);
