/**
 * The coordinator's time: the wall clock as it was at the start, plus what a monotonic clock has counted
 * since. A wall clock that is set back or forward by a day then neither stops time nor expires everything.
 */
import { performance } from 'node:perf_hooks';

export type Clock = {
  /** Whole milliseconds since 1970; never less than before. */
  now(): number;
};

/** Begins at `notBefore` when the wall clock is behind it, as it is after it was set back across a restart. */
export function startClock(notBefore: number): Clock {
  const origin = Math.max(Date.now(), notBefore);
  const begun = performance.now();
  return { now: () => origin + Math.floor(performance.now() - begun) };
}
