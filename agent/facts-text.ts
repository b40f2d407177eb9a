/** Facts for a person to read: one `path: value` line each, in the words that selectors use. */
export function formatFacts(facts: unknown, path = 'facts'): string[] {
  if (typeof facts !== 'object' || facts === null) return [`${path}: ${String(facts)}`];
  if (Array.isArray(facts)) return facts.flatMap((value, index) => formatFacts(value, `${path}[${index}]`));
  return Object.entries(facts).flatMap(([key, value]) => formatFacts(value, `${path}.${key}`));
}
