/**
 * Expressions of a pipeline that is called, as its caller would have written them: its steps and roles by their
 * names there, its params by what the caller gives for them.
 */
import type { Access } from '../expressions/accesses.ts';
import { compileExpression } from '../expressions/expression.ts';
import { parseTemplate } from '../expressions/template.ts';
import { isRecord } from './form.ts';
import type { ParamType } from './model.ts';

/** A value for a param: any JSON with `${{ }}` in its texts. */
export type GivenValue = { readonly template: unknown; readonly type: ParamType };

export type Renaming = {
  readonly step: (name: string) => string;
  readonly role: (name: string) => string;
  readonly params: ReadonlyMap<string, GivenValue>;
  /** Names that the given values read, and what is to happen when a variable of an expression hides one from them. */
  readonly roots: ReadonlySet<string>;
  readonly hide: (variable: string) => void;
};

type Edit = { readonly start: number; readonly end: number; readonly text: string };

/** The text, where it cannot be parsed as it is: then it was told that it is wrong. */
export function renameExpression(text: string, renaming: Renaming): string {
  const compiled = compileExpression(text);
  if (!compiled.ok) return text;
  const edits = new Map<number, Edit>();
  if (compiled.expression.accesses.some(({ root }) => root === 'params'))
    for (const [, variable = ''] of text.matchAll(/\.(?:map|filter|all|exists|exists_one)\s*\(\s*(\w+)\s*,/g))
      if (renaming.roots.has(variable)) renaming.hide(variable);
  for (const access of compiled.expression.accesses) {
    const edit = editOf(access, text, renaming);
    if (edit !== undefined) edits.set(edit.start, edit);
  }
  return [...edits.values()]
    .sort((a, b) => b.start - a.start)
    .reduce((whole, { start, end, text: part }) => whole.slice(0, start) + part + whole.slice(end), text);
}

function editOf(access: Access, text: string, renaming: Renaming): Edit | undefined {
  const { root, start, steps } = access;
  const [first] = steps;
  // A variable of map and its like stands for values from there, but under a name of its own.
  if (!text.startsWith(root, start) || (first !== undefined && first.start < start)) return undefined;
  const named = first?.key;
  if (root === 'params') {
    if (first === undefined || named === undefined)
      return { start, end: start + root.length, text: allOf(renaming) };
    const given = renaming.params.get(named);
    if (given === undefined) return undefined;
    return access.tested && steps.length === 1
      ? withoutHas(text, start, first.close)
      : { start, end: first.close, text: expressionOf(given) };
  }
  if ((root !== 'steps' && root !== 'roles') || first === undefined || named === undefined) return undefined;
  const name = root === 'steps' ? renaming.step(named) : renaming.role(named);
  return { start, end: first.close, text: `${root}[${JSON.stringify(name)}]` };
}

/** `has(params.x)`: every param has a value. */
function withoutHas(text: string, start: number, end: number): Edit {
  const before = /has\s*\(\s*$/.exec(text.slice(0, start))?.[0].length ?? 0;
  const after = /^\s*\)/.exec(text.slice(end))?.[0].length ?? 0;
  return { start: start - before, end: end + after, text: 'true' };
}

/** All params as one map, for whoever reads them by names that are computed. */
const allOf = ({ params }: Renaming): string =>
  `{${[...params].map(([name, given]) => `${JSON.stringify(name)}: ${expressionOf(given)}`).join(', ')}}`;

/** A value as CEL that can stand anywhere in an expression. */
function expressionOf({ template, type }: GivenValue): string {
  if (typeof template === 'number') {
    const text = String(template);
    const decimal = type === 'double' && Number.isInteger(template) && !text.includes('e');
    return template < 0 ? `(${text}${decimal ? '.0' : ''})` : `${text}${decimal ? '.0' : ''}`;
  }
  if (typeof template === 'string') return textOf(template, type);
  if (Array.isArray(template))
    return `[${template.map((each) => expressionOf({ template: each, type: 'json' })).join(', ')}]`;
  if (!isRecord(template)) return JSON.stringify(template);
  const entries = Object.entries(template).map(
    ([key, value]) => `${JSON.stringify(key)}: ${expressionOf({ template: value, type: 'json' })}`,
  );
  return `{${entries.join(', ')}}`;
}

function textOf(text: string, type: ParamType): string {
  const template = parseTemplate(text);
  const segments = template.ok ? template.segments : [];
  const [only, ...others] = segments;
  if (only === undefined) return '""';
  if (others.length > 0)
    return `[${segments.map((each) => (each.kind === 'text' ? JSON.stringify(each.text) : `string(${each.text}\n)`)).join(', ')}].join("")`;
  if (only.kind === 'text') return JSON.stringify(only.text);
  const simple = only.text.trim();
  // A whole number may be given where a fraction is wanted, but CEL does not mix them.
  if (type === 'double') return `double(${only.text}\n)`;
  return /^[A-Za-z_]\w*(\.[A-Za-z_]\w*|\["[^"\\]*"\])*$/.test(simple) ? simple : `(${only.text}\n)`;
}

const escaped = (text: string): string => text.replaceAll('${{', '$${{');

/** The same for a value with `${{ }}` in its texts; a param that stands alone is what was given for it. */
export function renameTemplate(value: unknown, renaming: Renaming): unknown {
  if (Array.isArray(value)) return value.map((each) => renameTemplate(each, renaming));
  if (isRecord(value))
    return Object.fromEntries(
      Object.entries(value).map(([key, each]) => [key, renameTemplate(each, renaming)]),
    );
  if (typeof value !== 'string') return value;
  const template = parseTemplate(value);
  if (!template.ok) return value;
  const { segments } = template;
  const [only] = segments;
  const alone =
    segments.length === 1 && only?.kind === 'expression' ? /^\s*params\.(\w+)\s*$/.exec(only.text) : null;
  const given = alone?.[1] === undefined ? undefined : renaming.params.get(alone[1]);
  if (given !== undefined) return given.template;
  return segments
    .map((each) =>
      each.kind === 'text' ? escaped(each.text) : `\${{${renameExpression(each.text, renaming)}}}`,
    )
    .join('');
}
