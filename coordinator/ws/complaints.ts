/**
 * Warnings that strangers can cause, at a bounded rate: a thousand broken agents must not fill the disk with
 * what is wrong with them. What was left out is counted and said with the next one.
 */
import { limits } from '../../shared/limits.ts';

export type Complain = (what: string, details: Readonly<Record<string, unknown>>) => void;

export function boundedComplaints(warn: Complain, now: () => number): Complain {
  let minute = 0;
  let said = 0;
  let unsaid = 0;
  return (what, details) => {
    const current = Math.floor(now() / 60_000);
    if (current !== minute) {
      minute = current;
      said = 0;
    }
    said += 1;
    if (said > limits.complaintsPerMinuteMax) {
      unsaid += 1;
      return;
    }
    warn(what, unsaid > 0 ? { ...details, unsaid } : details);
    unsaid = 0;
  };
}
