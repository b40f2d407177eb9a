/** Two runs beside each other, as tables: what differs, then how their steps went. */
import type { ComparedStep, Comparison } from '../run-difference.ts';
import { harmless, type Line, line, type Span, span } from './line.ts';
import { formatDuration, inLocalTime } from './measures.ts';
import { when } from './report-words.ts';
import { type Cell, formatTable } from './table.ts';

/** Longer values are cut here; `-o json` has them whole. */
const valueColumnsMax = 60;

export function drawComparison(comparison: Comparison): Line[] {
  const { first, second, differences, steps, missing } = comparison;
  const [one, other] = namesOf(comparison);
  return [
    ...[first, second].map(
      ({ run, pipeline, cluster, state, startedAt }, index): Line => [
        span(index === 0 ? one : other, 'strong'),
        span(
          `  ${run} of ${pipeline} on ${cluster}: ${state}${startedAt === null ? '' : `, ${when(startedAt)}`}`,
        ),
      ],
    ),
    [],
    ...(differences.length === 0
      ? [line('Nothing differs but times.')]
      : formatTable(
          [{ head: 'WHAT' }, { head: '' }, { head: one }, { head: other }],
          differences.map(({ about, what, first: a, second: b }): Cell[] => [
            about,
            what,
            shortened(a),
            shortened(b),
          ]),
        )),
    [],
    ...formatTable(
      [
        { head: 'STEP' },
        { head: `NODES ${one}`, align: 'right' },
        { head: other, align: 'right' },
        { head: `TOOK ${one}`, align: 'right' },
        { head: other, align: 'right' },
        { head: `MEDIAN ${one}`, align: 'right' },
        { head: other, align: 'right' },
        { head: '', align: 'right' },
      ],
      steps.map(rowOf),
    ),
    ...missing.map((sentence) => line(`not compared: ${sentence}`, 'dim')),
  ];
}

/** Runs of two coordinators may have one id. */
function namesOf({ first, second }: Comparison): readonly [string, string] {
  return first.run === second.run ? [`${first.run} (1)`, `${second.run} (2)`] : [first.run, second.run];
}

const shortened = (value: string | null): string => {
  if (value === null) return '-';
  const text = harmless(inLocalTime(value).replace(/\s*\n\s*/g, ' '));
  return text.length <= valueColumnsMax ? text : `${text.slice(0, valueColumnsMax - 1)}…`;
};

const duration = (ms: number | null | undefined): string => (ms == null ? '-' : formatDuration(ms));

function rowOf({ step, first, second }: ComparedStep): Cell[] {
  return [
    step,
    String(first?.nodes ?? '-'),
    String(second?.nodes ?? '-'),
    duration(first?.tookMs),
    duration(second?.tookMs),
    duration(first?.medianMs),
    duration(second?.medianMs),
    [changeOf(first?.medianMs ?? null, second?.medianMs ?? null)],
  ];
}

/** What takes no time worth telling does not change by percents. */
const changeMsMin = 1_000;

function changeOf(first: number | null, second: number | null): Span {
  if (first === null || second === null || Math.max(first, second) < changeMsMin || first === 0)
    return span('-', 'dim');
  const percent = Math.round(((second - first) / first) * 100);
  return span(`${percent > 0 ? '+' : ''}${percent}%`, percent > 20 ? 'warn' : 'plain');
}
