/** What somebody who asks `why` is told of one closed gate. */

export type Gate = { readonly gate: string; readonly sentence: string; readonly since: number | null };

const listedMax = 5;

export function list(names: Iterable<string>): string {
  const all = [...names];
  const more = all.length - listedMax;
  return more > 0 ? `${all.slice(0, listedMax).join(', ')} and ${more} more` : all.join(', ');
}
