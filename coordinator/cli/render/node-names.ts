/**
 * Lists of node names, short for people: `n1,n2,n3,n7` is `n[1-3,7]`, and what was printed can be typed
 * back as a selector. Only names here; what a selector means is the coordinator's.
 */
import { nodeNamePattern } from '../../../shared/ids.ts';
import { limits } from '../../../shared/limits.ts';

const natural = new Intl.Collator('en', { numeric: true });
/** In the order that people count in: n2 before n10. */
export const byName = (a: string, b: string): number => natural.compare(a, b);

type Numbered = { readonly prefix: string; readonly digits: string; readonly suffix: string };

function splitName(name: string): Numbered | undefined {
  const [, prefix, digits, suffix] = /^(.*?)([0-9]{1,9})([^0-9]*)$/.exec(name) ?? [];
  if (prefix === undefined || digits === undefined || suffix === undefined) return undefined;
  return { prefix, digits, suffix };
}

const rangesOf = (numbers: readonly number[]): (readonly [number, number])[] => {
  const ranges: [number, number][] = [];
  for (const number of numbers) {
    const last = ranges.at(-1);
    if (last !== undefined && number === last[1] + 1) last[1] = number;
    else ranges.push([number, number]);
  }
  return ranges;
};

/** The names sorted and folded: a family of numbered names is `prefix[ranges]` when that is shorter. */
export function foldNames(names: readonly string[]): string {
  const sorted = [...new Set(names)].sort(byName);
  const split = sorted.map((name) => ({ name, parts: splitName(name) }));
  // Numbers with leading zeros form a family with those of the same length: n08, n09, n10.
  const padded = new Set<string>();
  const keyOf = ({ prefix, suffix }: Numbered, width: number): string => `${prefix}\0${suffix}\0${width}`;
  for (const { parts } of split)
    if (parts?.digits.startsWith('0') && parts.digits.length > 1)
      padded.add(keyOf(parts, parts.digits.length));

  type Family = { readonly parts: Numbered; readonly width: number; readonly names: string[] };
  const families = new Map<string, Family>();
  for (const { name, parts } of split) {
    const width =
      parts !== undefined && padded.has(keyOf(parts, parts.digits.length)) ? parts.digits.length : 0;
    const key = parts === undefined ? name : keyOf(parts, width);
    const family = families.get(key) ?? {
      parts: parts ?? { prefix: name, digits: '', suffix: '' },
      width,
      names: [],
    };
    family.names.push(name);
    families.set(key, family);
  }
  return [...families.values()]
    .map(({ parts, width, names: members }) => {
      const listed = members.join(',');
      if (members.length === 1) return listed;
      const numbers = members.map((name) => Number(splitName(name)?.digits)).sort((a, b) => a - b);
      const padding = (number: number): string => String(number).padStart(width, '0');
      const ranges = rangesOf(numbers).map(([first, last]) => {
        if (first === last) return padding(first);
        return `${padding(first)}${last === first + 1 ? ',' : '-'}${padding(last)}`;
      });
      const folded = `${parts.prefix}[${ranges.join(',')}]${parts.suffix}`;
      return folded.length < listed.length ? folded : listed;
    })
    .join(',');
}

/** `n1`, or `n1 (1 node)`, `n[1-5] (5 nodes)`: a list with how many it holds. */
export const countedNames = (names: readonly string[]): string =>
  `${foldNames(names)} (${names.length} ${names.length === 1 ? 'node' : 'nodes'})`;

/** The names that a folded list stands for, or undefined when the text is not such a list. */
export function expandNames(text: string): string[] | undefined {
  const names: string[] = [];
  // A comma inside brackets belongs to its ranges.
  for (const part of text.split(/,(?![^[]*\])/)) {
    const [, prefix, ranges, suffix] = /^([^[\]]*)\[([0-9,-]+)\]([^[\]]*)$/.exec(part) ?? [];
    if (prefix === undefined || ranges === undefined || suffix === undefined) {
      names.push(part);
      continue;
    }
    for (const range of ranges.split(',')) {
      const [, first, last] = /^([0-9]{1,9})(?:-([0-9]{1,9}))?$/.exec(range) ?? [];
      if (first === undefined) return undefined;
      const [from, to] = [Number(first), Number(last ?? first)];
      if (to < from || to - from + names.length >= limits.runNodesMax) return undefined;
      for (let number = from; number <= to; number += 1)
        names.push(`${prefix}${String(number).padStart(first.length, '0')}${suffix}`);
    }
  }
  return names.length > 0 && names.every((name) => nodeNamePattern.test(name)) ? names : undefined;
}

/**
 * What people type to choose nodes, as CEL: `all` is everyone, `n1,n4` and `n[1-5]` are names, the rest is
 * an expression already. No name list is a boolean expression, so nothing that is valid CEL changes here.
 */
export function selectorOf(text: string): string {
  const trimmed = text.trim();
  if (trimmed === 'all') return 'true';
  if (trimmed === 'true' || trimmed === 'false') return trimmed;
  const names = expandNames(trimmed.replace(/\s*,\s*/g, ','));
  if (names === undefined) return trimmed;
  return names.length === 1
    ? `name == ${JSON.stringify(names[0])}`
    : `name in [${names.map((name) => JSON.stringify(name)).join(', ')}]`;
}
