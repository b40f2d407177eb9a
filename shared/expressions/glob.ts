/**
 * Globs over text: `*` any run of characters, `?` one, `[a-z]` or `[!a-z]` one of a set, `\` takes the next
 * character as it is. They stand wherever others would use regular expressions, whose matching can take
 * exponential time; here the time is bounded by pattern length × text length.
 */
import { limits } from '../limits.ts';

type Part =
  | { readonly kind: 'run' }
  | { readonly kind: 'any' }
  | { readonly kind: 'one'; readonly character: string }
  | {
      readonly kind: 'set';
      readonly negated: boolean;
      readonly ranges: readonly (readonly [string, string])[];
    };

export type Glob =
  | { readonly ok: true; readonly parts: readonly Part[] }
  | { readonly ok: false; readonly message: string };

export function parseGlob(pattern: string): Glob {
  if (pattern.length > limits.globLengthMax) {
    return { ok: false, message: `a glob has at most ${limits.globLengthMax} characters` };
  }
  const characters = [...pattern];
  const parts: Part[] = [];
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at] ?? '';
    if (character === '*') {
      if (parts.at(-1)?.kind !== 'run') parts.push({ kind: 'run' });
    } else if (character === '?') {
      parts.push({ kind: 'any' });
    } else if (character === '\\') {
      const next = characters[++at];
      if (next === undefined) return { ok: false, message: 'a glob cannot end in a single "\\"' };
      parts.push({ kind: 'one', character: next });
    } else if (character === '[') {
      // A `]` that comes first belongs to the set, as in the shell.
      const negated = characters[at + 1] === '!' || characters[at + 1] === '^';
      const first = at + (negated ? 2 : 1);
      const end = characters.indexOf(']', first + 1);
      if (end === -1) return { ok: false, message: 'a "[" in a glob needs a "]" (or write "\\[")' };
      const ranges: [string, string][] = [];
      for (let inside = first; inside < end; inside++) {
        const from = characters[inside] ?? '';
        const to = characters[inside + 2];
        if (characters[inside + 1] === '-' && inside + 2 < end && to !== undefined) {
          if (from > to) return { ok: false, message: `the range "${from}-${to}" in a glob is empty` };
          ranges.push([from, to]);
          inside += 2;
        } else {
          ranges.push([from, from]);
        }
      }
      parts.push({ kind: 'set', negated, ranges });
      at = end;
    } else {
      parts.push({ kind: 'one', character });
    }
  }
  return { ok: true, parts };
}

function accepts(part: Part, character: string): boolean {
  switch (part.kind) {
    case 'run':
      return false;
    case 'any':
      return true;
    case 'one':
      return part.character === character;
    case 'set':
      return part.ranges.some(([from, to]) => character >= from && character <= to) !== part.negated;
  }
}

/** Whether the whole text fits. Only the last `*` is ever taken again, which keeps the time bounded. */
export function matchParts(parts: readonly Part[], text: string): boolean {
  const characters = [...text];
  let part = 0;
  let at = 0;
  let run: { readonly part: number; at: number } | undefined;
  while (at < characters.length) {
    const current = parts[part];
    if (current?.kind === 'run') {
      run = { part: ++part, at };
    } else if (current !== undefined && accepts(current, characters[at] ?? '')) {
      part++;
      at++;
    } else if (run !== undefined) {
      at = ++run.at;
      part = run.part;
    } else {
      return false;
    }
  }
  while (parts[part]?.kind === 'run') part++;
  return part === parts.length;
}

/** Whether `text` fits `pattern`; a malformed pattern fits nothing (`parseGlob` says what is wrong). */
export function matchGlob(pattern: string, text: string): boolean {
  const glob = parseGlob(pattern);
  return glob.ok && matchParts(glob.parts, text);
}
