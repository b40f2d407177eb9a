/**
 * What is left of a thing that the schema refuses: without the keys that are wrong, so that the rest can be judged
 * too and everything is told at once. What is missing or was taken away must not count as missing again.
 */
import type * as z from 'zod';

export type Salvaged<T> = {
  readonly value: T;
  /** Keys that were wrong or missing; empty when the schema accepts the thing as it is. */
  readonly removed: ReadonlySet<string>;
};

/** `instead`: values for keys that must be there. Undefined: it is not even a map, or too much is wrong. */
export function salvage<T>(
  schema: z.ZodType<T>,
  item: unknown,
  instead: Readonly<Record<string, unknown>>,
): Salvaged<T> | undefined {
  const parsed = schema.safeParse(item);
  if (parsed.success) return { value: parsed.data, removed: new Set() };
  if (typeof item !== 'object' || item === null || Array.isArray(item)) return undefined;
  const removed = new Set<string>();
  for (const issue of parsed.error.issues) {
    if (issue.code === 'unrecognized_keys' && issue.path.length === 0)
      for (const key of issue.keys) removed.add(key);
    else removed.add(String(issue.path[0]));
  }
  const kept = Object.entries(item).filter(([key]) => !removed.has(key));
  const again = schema.safeParse({ ...instead, ...Object.fromEntries(kept) });
  return again.success ? { value: again.data, removed } : undefined;
}
