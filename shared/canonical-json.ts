/**
 * One text for one JSON value: keys sorted by code unit, no spaces, numbers as JavaScript prints them
 * (RFC 8785). Digests of facts and manifests are taken over it, so that both sides, and agents in other
 * languages, come to the same name for the same content.
 */

export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`);
  return `{${members.join(',')}}`;
}
