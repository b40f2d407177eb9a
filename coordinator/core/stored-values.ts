/** What the journal holds of a value, and the value itself. */
import type { Lookup } from './commands.ts';
import type { StoredValue } from './event-values.ts';

/** A stored value as plain JSON. Secrets come out in clear: only for what becomes a secret again. */
export function plainValueOf(stored: StoredValue, lookup: Lookup): unknown {
  if ('value' in stored) return stored.value;
  if ('blob' in stored) return JSON.parse(lookup.text(stored.blob));
  if ('file' in stored) return { file: stored.file };
  return JSON.parse(lookup.secret(stored.secret));
}
