/** Stored values and times as people may see them: secrets never in clear. */
import type { Lookup } from '../../core/commands.ts';
import type { StoredValue } from '../../core/event-values.ts';

const concealed = '(secret)';

export const timeOf = (ms: number): string => new Date(ms).toISOString();

export const timeOrNull = (ms: number | null): string | null => (ms === null ? null : timeOf(ms));

export function shownValue(stored: StoredValue, lookup: Lookup): unknown {
  if ('value' in stored) return stored.value;
  if ('secret' in stored) return concealed;
  if ('file' in stored) return stored.file;
  return JSON.parse(lookup.text(stored.blob));
}

export function shownValues(
  stored: Readonly<Record<string, StoredValue>>,
  lookup: Lookup,
): Record<string, unknown> {
  return Object.fromEntries(Object.entries(stored).map(([name, value]) => [name, shownValue(value, lookup)]));
}
