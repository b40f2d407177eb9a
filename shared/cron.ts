/**
 * Times by the clock on a wall, as cron writes them: `minute hour day month weekday`, in a time zone with its
 * summer time. A function of its arguments alone, so that it gives the same in a simulation. By croner.
 */
import { Cron } from 'croner';
import { messageOf } from './errors.ts';

export type CronTimes = {
  /** Five fields; names of months and weekdays, lists, ranges and steps are understood, `@daily` and its like too. */
  readonly cron: string;
  /** A name of the IANA database, such as `Europe/Berlin`; UTC is one. */
  readonly timezone: string;
};

const weekly = /^@(hourly|daily|weekly|monthly|yearly|annually|midnight)$/;

/** Why it is no such time, or undefined. */
export function faultOfCron({ cron, timezone }: CronTimes): string | undefined {
  try {
    new Intl.DateTimeFormat('en', { timeZone: timezone });
  } catch {
    return `${JSON.stringify(timezone)} is not a time zone: write one like Europe/Berlin, or UTC`;
  }
  if (cron.trim().split(/\s+/).length !== 5 && !weekly.test(cron.trim()))
    return `${JSON.stringify(cron)} is not a time: write five fields, minute hour day month weekday, like "0 2 * * 1-5"`;
  try {
    const never = nextTime({ cron, timezone }, 0) === null;
    return never ? `${JSON.stringify(cron)} never comes` : undefined;
  } catch (error) {
    return `${JSON.stringify(cron)} is not a time: ${messageOf(error)}`;
  }
}

/** The first time after `afterMs`, ms since 1970 like it; null when there is none. Throws for what faultOfCron refuses. */
export function nextTime({ cron, timezone }: CronTimes, afterMs: number): number | null {
  return new Cron(cron.trim(), { timezone, paused: true }).nextRun(new Date(afterMs))?.getTime() ?? null;
}
