/** Arithmetic over samples. Where samples come from, and what they are compared with, does not belong here. */
import { present } from '../../shared/assert.ts';

export type Summary = {
  readonly samples: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
};

/** The smallest sample that at least `share` of all samples do not exceed; of no samples it is not a number. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

export const summaryOf = (samples: readonly number[]): Summary => ({
  samples: samples.length,
  p50: percentile(samples, 0.5),
  p99: percentile(samples, 0.99),
  max: percentile(samples, 1),
});

export const sumOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);

/** A figure that grows, looked at now and then. */
export type Sample = { readonly at: number; readonly value: number };

/** What the figure was at a moment, on the line between the looks around it; before the first, what that said. */
export function valueAt(samples: readonly Sample[], at: number): number {
  const after = samples.findIndex((sample) => sample.at >= at);
  const right = present(samples.at(after), 'a sample');
  const left = after > 0 ? present(samples[after - 1], 'the sample before') : right;
  if (left === right || right.at < at) return right.value;
  return left.value + ((right.value - left.value) * (at - left.at)) / (right.at - left.at);
}

export const growthBetween = (samples: readonly Sample[], from: number, to: number): number =>
  valueAt(samples, to) - valueAt(samples, from);

/** Each step's barrier: from the last result that anybody sent to the first (or last) grant of the next step. */
export const barrierLatencies = (
  steps: readonly StepTimes[],
  until: 'firstGrantAt' | 'lastGrantAt',
): number[] =>
  steps.slice(1).map((next, index) => next[until] - present(steps[index], 'the step before').lastResultAt);

export type StepTimes = {
  readonly step: string;
  readonly firstGrantAt: number;
  readonly lastGrantAt: number;
  readonly lastResultAt: number;
};

/** The same steps as several processes saw them, in the order of the steps' names. */
export function mergeSteps(seen: readonly (readonly StepTimes[])[]): StepTimes[] {
  const merged = new Map<string, StepTimes>();
  for (const times of seen.flat()) {
    const known = merged.get(times.step) ?? times;
    merged.set(times.step, {
      step: times.step,
      firstGrantAt: Math.min(known.firstGrantAt, times.firstGrantAt),
      lastGrantAt: Math.max(known.lastGrantAt, times.lastGrantAt),
      lastResultAt: Math.max(known.lastResultAt, times.lastResultAt),
    });
  }
  return [...merged.values()].sort((a, b) => (a.step < b.step ? -1 : 1));
}
