/** Measures for people: how long something took, how long ago it was, what the clock said, how many bytes. */

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

const twoDigits = (value: number): string => String(value).padStart(2, '0');

/** `0.4s`, `12s`, `1m23s`, `2h05m`, `3d04h`: two units at most, rounded down. */
export function formatDuration(ms: number): string {
  const span = Math.max(0, ms);
  if (span < 10 * second) return `${(Math.floor(span / 100) / 10).toFixed(1)}s`;
  if (span < minute) return `${Math.floor(span / second)}s`;
  if (span < hour) return `${Math.floor(span / minute)}m${twoDigits(Math.floor((span % minute) / second))}s`;
  if (span < day) return `${Math.floor(span / hour)}h${twoDigits(Math.floor((span % hour) / minute))}m`;
  return `${Math.floor(span / day)}d${twoDigits(Math.floor((span % day) / hour))}h`;
}

/** The largest unit alone, for columns: `12s`, `4m`, `3h`, `9d`. */
export function formatAge(ms: number): string {
  const span = Math.max(0, ms);
  if (span < minute) return `${Math.floor(span / second)}s`;
  if (span < hour) return `${Math.floor(span / minute)}m`;
  if (span < day) return `${Math.floor(span / hour)}h`;
  return `${Math.floor(span / day)}d`;
}

/** `12:03:04` in the reader's time zone. */
export function formatClock(at: number): string {
  const time = new Date(at);
  return [time.getHours(), time.getMinutes(), time.getSeconds()].map(twoDigits).join(':');
}

/** `2026-03-01 12:03:04` in the reader's time zone. */
export function formatDate(at: number): string {
  const time = new Date(at);
  return `${time.getFullYear()}-${twoDigits(time.getMonth() + 1)}-${twoDigits(time.getDate())} ${formatClock(at)}`;
}

/** A sentence of the coordinator, which does not know the reader's time zone: times in it as `formatDate` has them. */
export const inLocalTime = (sentence: string): string =>
  sentence.replace(/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, (time) => formatDate(Date.parse(time)));

const unitBytes = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** `512 B`, `1.5 GiB`. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < unitBytes.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1).replace(/\.0$/, '')} ${unitBytes[unit]}`;
}
