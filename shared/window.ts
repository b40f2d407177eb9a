/** Whether a recurring window is open at a time: a function of its arguments alone, so that it can be played again. */
import { nextTime } from './cron.ts';
import { limits } from './limits.ts';
import type { Window } from './pipeline/model.ts';

/** `until`, ms since 1970: when that changes; null when it never does. */
export type Opening = { readonly open: boolean; readonly until: number | null };

/** Windows that overlap, or of which one opens as another closes, are one. */
export function openingAt(window: Window, at: number): Opening {
  const { durationMs } = window;
  let start = nextTime(window, at - durationMs);
  if (start === null || start > at) return { open: false, until: start };
  // Bounded: what is always open is looked at again then.
  for (let joined = 0; joined < limits.windowsJoinedMax; joined += 1) {
    const next = nextTime(window, start);
    if (next === null || next > start + durationMs) break;
    start = next;
  }
  return { open: true, until: start + durationMs };
}
