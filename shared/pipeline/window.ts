/** When a step or a whole pipeline may begin work on nodes: the words, and what they come to. */
import * as z from 'zod';
import { faultOfCron } from '../cron.ts';
import { limits } from '../limits.ts';
import { nearestWord } from '../nearest.ts';
import { formatDuration, parseDuration } from './duration.ts';
import { about, duration, words } from './language-primitives.ts';
import type { Window } from './model.ts';
import type { Report } from './report.ts';
import type { Path } from './source.ts';

export const window = z.strictObject({
  cron: about(words, 'When it opens: minute, hour, day, month and weekday, such as `0 22 * * mon-fri`.'),
  duration: about(duration, 'How long it is open.'),
  timezone: about(words.optional(), 'Whose clock it goes by, such as `Europe/Prague`; UTC when absent.'),
});

/** What is wrong is reported, and undefined: then nothing is said of when. */
export function readWindow(
  { cron, duration, timezone = 'UTC' }: z.infer<typeof window>,
  path: Path,
  report: Report,
): Window | undefined {
  const durationMs = parseDuration(duration) ?? 0;
  if (durationMs < limits.windowDurationMinMs || durationMs > limits.windowDurationMaxMs) {
    report.at([...path, 'duration'], `no window is open for ${duration}`, {
      expected: `${formatDuration(limits.windowDurationMinMs)} to ${formatDuration(limits.windowDurationMaxMs)}`,
    });
    return undefined;
  }
  if (!isTimezone(timezone)) {
    report.at([...path, 'timezone'], `no time zone is called "${timezone}"`, {
      expected: 'a name such as Europe/Prague, or UTC',
      nearest: nearestWord(timezone, Intl.supportedValuesOf('timeZone')),
    });
    return undefined;
  }
  const fault = faultOfCron({ cron, timezone });
  if (fault === undefined) return { cron: cron.trim(), timezone, durationMs };
  report.at([...path, 'cron'], fault);
  return undefined;
}

const isTimezone = (timezone: string): boolean => faultOfCron({ cron: '0 0 * * *', timezone }) === undefined;
