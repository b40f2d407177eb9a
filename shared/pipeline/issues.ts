/**
 * From the findings of the schema to sentences: what was found, what was expected, and the nearest valid word.
 * Where a value may have several forms, only the form that was meant is spoken of.
 */
import type * as z from 'zod';
import { oneOf } from '../expressions/shape.ts';
import { nearestWord } from '../nearest.ts';
import type { Report } from './report.ts';
import type { Path } from './source.ts';
import { laterWords, misplacedWords } from './words.ts';

type Issue = z.core.$ZodIssue;

/** What stands somewhere else in the end, and is judged by that. */
export type Standing = { readonly path: Path; readonly kind: keyof typeof misplacedWords | undefined };

type File = {
  readonly value: unknown;
  readonly report: Report;
  readonly standing?: Standing;
  /** The keys that may stand in the map at a path, for suggesting the nearest. */
  readonly known: (path: Path) => readonly string[];
};

export function reportIssues(issues: readonly Issue[], file: File, base: Path = []): void {
  for (const issue of issues) reportIssue(issue, file, base);
}

function reportIssue(issue: Issue, file: File, base: Path): void {
  const { report } = file;
  const path = [...base, ...steps(issue.path)];
  const found = valueAt(file.value, path);
  const name = nameOf(path, file.value);
  switch (issue.code) {
    case 'unrecognized_keys':
      for (const key of issue.keys) reportKey([...path, key], key, file);
      return;
    case 'invalid_key': {
      const [inner] = issue.issues;
      report.atKey(path, `${quote(path.at(-1))} cannot be a name`, { expected: inner?.message });
      return;
    }
    case 'invalid_union': {
      if (found === undefined) {
        reportLack(path, issue, file);
        return;
      }
      const branch = meant(issue.errors, found);
      if (branch === undefined) {
        const expected = [...new Set(issue.errors.flatMap((errors) => errors.map(formOf)))].join(' or ');
        report.at(path, `${name} cannot be ${described(found)}`, { expected });
      } else {
        reportIssues(branch, file, path);
      }
      return;
    }
    case 'invalid_type': {
      if (found === undefined) {
        reportLack(path, issue, file);
        return;
      }
      const expected =
        durations.has(String(path.at(-1))) && typeof found === 'number'
          ? `"${found}s" or another duration`
          : formOf(issue);
      report.at(path, `${name} cannot be ${described(found)}`, { expected });
      return;
    }
    case 'invalid_value': {
      if (found === undefined) {
        reportLack(path, issue, file);
        return;
      }
      const nearest = typeof found === 'string' ? nearestWord(found, issue.values.map(String)) : undefined;
      report.at(path, `${name} cannot be ${described(found)}`, { expected: formOf(issue), nearest });
      return;
    }
    default:
      report.at(path, `${name} cannot be ${described(found)}`, { expected: formOf(issue) });
  }
}

function reportLack(path: Path, issue: Issue, { value, report }: File): void {
  report.at(path.slice(0, -1), `${ownerOf(path, value)} lacks ${quote(path.at(-1))}`, {
    expected: formOf(issue),
  });
}

const durations: ReadonlySet<string> = new Set([
  'timeout',
  'every',
  'pause',
  'backoff',
  'waitFor',
  'unknownAfter',
]);

const steps = (path: readonly PropertyKey[]): (string | number)[] =>
  path.map((key) => (typeof key === 'symbol' ? String(key) : key));

function reportKey(path: Path, key: string, { value, report, known, standing }: File): void {
  const owner = path.slice(0, -1);
  const kind =
    standing === undefined || owner.length > standing.path.length ? kindOf(owner, value) : standing.kind;
  const misplaced = kind === undefined ? undefined : misplacedWords[kind];
  if (misplaced !== undefined && Object.hasOwn(misplaced, key)) {
    report.atKey(path, `"${key}" does not stand here: ${misplaced[key]}`);
  } else if (laterWords.has(key)) {
    report.atKey(path, `this version does not have "${key}" yet`);
  } else {
    const keys = known(owner);
    const nearest = nearestWord(key, keys);
    // Where the nearest word is known, all the others are noise.
    const expected = nearest !== undefined || keys.length === 0 ? undefined : oneOf(keys);
    report.atKey(path, `${ownerOf(path, value)} has no "${key}"`, { nearest, expected });
  }
}

function kindOf(owner: Path, value: unknown): keyof typeof misplacedWords | undefined {
  if (owner.length === 0) return extendsAnother(value) ? 'extension' : 'file';
  if (owner[0] === 'finally') return owner.length === 2 ? 'finally' : undefined;
  if (isAftermath(owner.at(-2)) && typeof owner.at(-1) === 'number') return 'aftermath';
  if (owner[0] !== 'steps') return undefined;
  if (owner[2] === 'group') return owner.length === 4 ? 'member' : undefined;
  return owner.length === 2 && isGroup(valueAt(value, owner)) ? 'group' : undefined;
}

const isAftermath = (key: string | number | undefined): boolean => key === 'rescue' || key === 'always';

const extendsAnother = (value: unknown): boolean => valueAt(value, ['extends']) !== undefined;

const isGroup = (owner: unknown): boolean => typeof owner === 'object' && owner !== null && 'group' in owner;

function valueAt(value: unknown, path: Path): unknown {
  let at = value;
  for (const key of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined;
    at = Object.entries(at).find(([name]) => name === String(key))?.[1];
  }
  return at;
}

/** A step that has one of these is of that form, however wrong the rest is. */
const formKeys = ['group', 'pipeline'] as const;

function isOfForm(key: (typeof formKeys)[number], issues: readonly Issue[], found: unknown): boolean {
  if (typeof found === 'object' && found !== null && key in found)
    return !issues.some(
      (issue) => issue.code === 'unrecognized_keys' && issue.path.length === 0 && issue.keys.includes(key),
    );
  const wanted = key === 'group' ? 'array' : 'string';
  return !issues.some(
    (issue) =>
      issue.path.length === 1 &&
      issue.path[0] === key &&
      issue.code === 'invalid_type' &&
      issue.expected === wanted,
  );
}

/** The form that the value tries to have: of those it could be at all, the one with the fewest faults. */
function meant(branches: readonly (readonly Issue[])[], found: unknown): readonly Issue[] | undefined {
  const unlike = (issue: Issue): boolean =>
    (issue.path.length === 0 &&
      (issue.code === 'invalid_type' || (issue.code === 'invalid_value' && typeof found !== 'string'))) ||
    (issue.code === 'invalid_union' && issue.path.length === 0 && meant(issue.errors, found) === undefined);
  const possible = branches.filter(
    (issues) => !issues.some(unlike) && formKeys.every((key) => isOfForm(key, issues, found)),
  );
  const [best] = possible.toSorted((a, b) => a.length - b.length);
  return best;
}

/** What would have been right, in words. */
function formOf(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return typeNames[issue.expected] ?? issue.expected;
    case 'invalid_value':
      return issue.values.length === 1 ? quote(issue.values[0]) : oneOf(issue.values.map(String));
    case 'too_small':
      return issue.origin === 'string' || issue.origin === 'array'
        ? 'something that is not empty'
        : `at least ${issue.minimum}`;
    case 'too_big':
      return issue.origin === 'string'
        ? `at most ${issue.maximum} characters`
        : issue.origin === 'array'
          ? `at most ${issue.maximum} entries`
          : `at most ${issue.maximum}`;
    case 'unrecognized_keys':
      return 'other keys';
    case 'invalid_union':
      return [...new Set(issue.errors.flatMap((errors) => errors.map(formOf)))].join(' or ');
    default:
      return issue.message;
  }
}

const typeNames: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'a map',
  record: 'a map',
  array: 'a list',
  tuple: 'a list',
};

const quote = (word: unknown): string => `"${String(word)}"`;

function described(value: unknown): string {
  if (value === null) return 'empty';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  switch (typeof value) {
    case 'string':
      return value === '' ? 'empty' : `"${value.length > 60 ? `${value.slice(0, 57)}…` : value}"`;
    case 'number':
    case 'boolean':
      return `${value}`;
    default:
      return 'a map';
  }
}

const listsOfSteps: ReadonlySet<string> = new Set(['steps', 'group', 'finally', 'rescue', 'always']);

/** The thing that a key stands in: `step install`, `role member`, `"strategy"`. */
function ownerOf(path: Path, value: unknown): string {
  const owner = path.slice(0, -1);
  const last = owner.at(-1);
  if (last === undefined) return 'the file';
  const before = owner.at(-2);
  if (typeof last === 'number') {
    if (!listsOfSteps.has(String(before))) return `entry ${last + 1}`;
    const id = valueAt(value, [...owner, 'id']);
    return typeof id === 'string' ? `step ${id}` : `step ${last + 1}`;
  }
  if (last === 'with' && owner.at(-3) === 'replace') {
    const id = valueAt(value, [...owner.slice(0, -1), 'step']);
    if (typeof id === 'string') return `step ${id}`;
  }
  const kind = typeof before === 'string' && Object.hasOwn(singular, before) ? singular[before] : undefined;
  return kind === undefined ? `"${last}"` : `${kind} ${last}`;
}

const singular: Readonly<Record<string, string>> = {
  params: 'param',
  roles: 'role',
  outputs: 'output',
  tasks: 'task',
};

function nameOf(path: Path, value: unknown): string {
  const last = path.at(-1);
  if (last === undefined) return 'the file';
  return typeof last === 'number' ? ownerOf([...path, ''], value) : quote(last);
}
