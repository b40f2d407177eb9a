/**
 * Every function that an expression may call, in one table: what is not here is refused when the file is
 * read. Most come with the CEL library; those with `implement` are added here. Left out on purpose:
 * `matches` (regular expressions can take exponential time), everything about the time of day (the same
 * expression would give another value when replayed), bytes and unsigned integers (JSON has neither).
 */
import type { Environment } from '@marcbachmann/cel-js';
import { limits } from '../limits.ts';
import { addressOf } from './addresses.ts';
import { matchParts, parseGlob } from './glob.ts';
import { ScopeError, textTooLong } from './scope.ts';

type Row = {
  readonly name: string;
  /** Called as `value.name(…)` rather than `name(…)`. */
  readonly method: boolean;
  readonly usage: string;
  readonly meaning: string;
  /** Signature for the library, and the function. Absent: the library has it. */
  readonly implement?: readonly (readonly [signature: string, run: (...values: never[]) => unknown])[];
};

type Sortable = string | bigint | number;

function sortable(values: readonly unknown[], what: string): readonly Sortable[] {
  const sorted: Sortable[] = [];
  for (const value of values) {
    if (typeof value !== 'string' && typeof value !== 'bigint' && typeof value !== 'number') {
      throw new ScopeError(`${what} needs a list of strings or of numbers`);
    }
    const [first] = sorted;
    if (first !== undefined && (typeof first === 'string') !== (typeof value === 'string')) {
      throw new ScopeError(`${what} needs elements of one type, not strings and numbers`);
    }
    sorted.push(value);
  }
  return sorted;
}

const ascending = (a: Sortable, b: Sortable): number => (a < b ? -1 : a > b ? 1 : 0);

function extreme(values: readonly unknown[], what: 'min' | 'max'): Sortable {
  const sorted = sortable(values, `${what}()`).toSorted(ascending);
  const value = what === 'min' ? sorted[0] : sorted.at(-1);
  if (value === undefined) throw new ScopeError(`${what}() of an empty list has no value`);
  return value;
}

/** Only scalars are compared: lists and maps are distinct by identity, which is what `distinct` of them means. */
function distinct(values: readonly unknown[]): unknown[] {
  return [...new Set(values)];
}

function replace(
  text: string,
  search: string,
  replacement: string,
  times = Number.POSITIVE_INFINITY,
): string {
  if (search === '') throw new ScopeError('replace() needs something to search for');
  const pieces = text.split(search);
  const joints = Math.min(pieces.length - 1, times);
  if (text.length + joints * replacement.length > limits.expressionTextLengthMax) {
    throw new ScopeError(`replace() would give ${textTooLong}`);
  }
  const tail = pieces.slice(joints + 1);
  const head = pieces.slice(0, joints + 1).join(replacement);
  return tail.length === 0 ? head : [head, ...tail].join(search);
}

function glob(text: string, pattern: string): boolean {
  const parsed = parseGlob(pattern);
  if (!parsed.ok) throw new ScopeError(parsed.message);
  return matchParts(parsed.parts, text);
}

const row = (name: string, usage: string, meaning: string, implement?: Row['implement']): Row => ({
  name,
  method: usage.includes(`.${name}(`),
  usage,
  meaning,
  ...(implement === undefined ? {} : { implement }),
});

/** `Node` stands for whatever type the environment gives node objects. */
export const functions: readonly Row[] = [
  row('has', 'has(a.b.c)', 'true when the field is there; false when it or anything before it is missing'),
  row(
    'failed',
    'failed()',
    'in rescue, always and finally: whether it failed; the same as outcome == "failed"',
  ),
  row('cancelled', 'cancelled()', 'in rescue, always and finally: whether it was cancelled'),
  row('size', 'size(x)', 'number of characters, elements or keys'),
  row('size', 'x.size()', 'number of characters, elements or keys'),
  row('string', 'string(x)', 'a number or bool as text'),
  row('int', 'int(x)', 'text or a double as a whole number'),
  row('double', 'double(x)', 'text or an int as a double'),
  row('bool', 'bool(x)', '"true" or "false" as a bool'),
  row(
    'addressOf',
    'addressOf(node), addressOf(node, from)',
    'address of a node; with from one that this node reaches: in its subnet if there is one, else of its family',
    [
      ['addressOf(Node): string', (node: unknown) => addressOf(node)],
      ['addressOf(Node, Node): string', (node: unknown, from: unknown) => addressOf(node, from)],
    ],
  ),
  row('all', 'list.all(x, condition)', 'true when the condition holds for every element'),
  row('exists', 'list.exists(x, condition)', 'true when it holds for at least one'),
  row('exists_one', 'list.exists_one(x, condition)', 'true when it holds for exactly one'),
  row('filter', 'list.filter(x, condition)', 'the elements for which it holds'),
  row('map', 'list.map(x, value), list.map(x, condition, value)', 'a value made from each element'),
  row('join', 'list.join(separator)', 'a list of strings as one string'),
  row('sort', 'list.sort()', 'strings or numbers in ascending order', [
    [
      'list<A>.sort(): list<A>',
      (values: readonly unknown[]) => sortable(values, 'sort()').toSorted(ascending),
    ],
  ]),
  row('distinct', 'list.distinct()', 'each value once, in the order of first sight', [
    ['list<A>.distinct(): list<A>', (values: readonly unknown[]) => distinct(values)],
  ]),
  row('min', 'list.min()', 'the smallest of a list of strings or numbers', [
    ['list<A>.min(): A', (values: readonly unknown[]) => extreme(values, 'min')],
  ]),
  row('max', 'list.max()', 'the largest', [
    ['list<A>.max(): A', (values: readonly unknown[]) => extreme(values, 'max')],
  ]),
  row('glob', 'text.glob(pattern)', 'true when the whole text fits: * ? [a-z]', [
    ['string.glob(string): bool', (text: string, pattern: string) => glob(text, pattern)],
  ]),
  row('startsWith', 'text.startsWith(text)', 'true when it begins so'),
  row('endsWith', 'text.endsWith(text)', 'true when it ends so'),
  row('contains', 'text.contains(text)', 'true when it is somewhere inside'),
  row('indexOf', 'text.indexOf(text)', 'where it is first found, or -1'),
  row('lastIndexOf', 'text.lastIndexOf(text)', 'where it is last found, or -1'),
  row('substring', 'text.substring(from), text.substring(from, to)', 'a part of the text'),
  row('split', 'text.split(separator)', 'the parts as a list'),
  row('replace', 'text.replace(search, replacement), … , times)', 'the text with parts replaced', [
    [
      'string.replace(string, string): string',
      (text: string, search: string, by: string) => replace(text, search, by),
    ],
    [
      'string.replace(string, string, int): string',
      (text: string, search: string, by: string, times: bigint) =>
        replace(text, search, by, Math.max(0, Number(times))),
    ],
  ]),
  row('lowerAscii', 'text.lowerAscii()', 'in small letters'),
  row('upperAscii', 'text.upperAscii()', 'in capital letters'),
  row('trim', 'text.trim()', 'without white space at either end'),
];

/** Names by how they are called, to refuse what is not in the table and to suggest what is. */
export const functionNames = {
  methods: new Set(functions.filter(({ method }) => method).map(({ name }) => name)),
  functions: new Set(functions.filter(({ method }) => !method).map(({ name }) => name)),
};

/** Adds what the library lacks. `nodeType`: the type of node objects in this environment, or `dyn`. */
export function registerFunctions(environment: Environment, nodeType: string): void {
  for (const { implement } of functions) {
    for (const [signature, run] of implement ?? []) {
      environment.registerFunction(signature.replaceAll('Node', nodeType), run, { async: false });
    }
  }
}
