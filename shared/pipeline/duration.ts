/** Durations as people write them: `500ms`, `30s`, `5m`, `1h30m`, `2d`. Inside, everything is milliseconds. */

const units = [
  { unit: 'd', ms: 24 * 60 * 60_000 },
  { unit: 'h', ms: 60 * 60_000 },
  { unit: 'm', ms: 60_000 },
  { unit: 's', ms: 1_000 },
  { unit: 'ms', ms: 1 },
] as const;

/** Each unit at most once, the large ones first. Nine digits keep the sum a safe integer. */
export const durationPattern = /^(?=\d)(\d{1,9}d)?(\d{1,9}h)?(\d{1,9}m)?(\d{1,9}s)?(\d{1,9}ms)?$/;

export const durationExample = 'a duration such as 500ms, 30s, 5m or 1h30m';

/** Milliseconds, or undefined when the text is not a duration. */
export function parseDuration(text: string): number | undefined {
  const match = durationPattern.exec(text);
  if (match === null) return undefined;
  return units.reduce((sum, { ms }, index) => sum + Number.parseInt(match[index + 1] ?? '0', 10) * ms, 0);
}

/** The shortest text that `parseDuration` reads as the same; whole milliseconds from 0 on. */
export function formatDuration(durationMs: number): string {
  let rest = durationMs;
  let text = '';
  for (const { unit, ms } of units) {
    const count = Math.floor(rest / ms);
    rest -= count * ms;
    if (count > 0) text += `${count}${unit}`;
  }
  return text === '' ? '0s' : text;
}
