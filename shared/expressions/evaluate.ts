/**
 * Evaluates expressions and templates over a scope of plain JSON (or of values that `toScopeValue` made from
 * it before). Nothing here throws for a wrong expression or value: a reason comes back instead.
 */
import { type Access, pathKey } from './accesses.ts';
import { compileExpression, type Expression, plainWords } from './expression.ts';
import { costTooHigh, isMissing } from './guard.ts';
import {
  formatInText,
  fromScopeValue,
  ScopeError,
  type ScopeValue,
  toScopeValue,
  toScopeValueOnce,
} from './scope.ts';
import { parseTemplate } from './template.ts';

export type Scope = Readonly<Record<string, unknown>>;
export type Evaluated<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: string };

type Outcome =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'missing'; readonly path: string; readonly reason: string }
  | { readonly kind: 'error'; readonly reason: string };

function run(text: string, scope: ReadonlyMap<string, unknown>): Outcome {
  const compiled = compileExpression(text);
  if (!compiled.ok) return { kind: 'error', reason: compiled.message };
  const { expression } = compiled;
  expression.meter.refill();
  try {
    const value = fromScopeValue(expression.run(scope), expression.meter.spend);
    if (expression.meter.exhausted) return { kind: 'error', reason: costTooHigh };
    return { kind: 'value', value };
  } catch (error) {
    if (expression.meter.exhausted) return { kind: 'error', reason: costTooHigh };
    return failure(error, expression);
  }
}

function failure(error: unknown, expression: Expression): Outcome {
  if (isMissing(error)) {
    const path = missingPath(error.node, expression.accesses);
    return { kind: 'missing', path, reason: `${path} is missing` };
  }
  if (error instanceof RangeError) return { kind: 'error', reason: 'the expression is nested too deeply' };
  if (error instanceof ScopeError || !(error instanceof Error)) {
    return { kind: 'error', reason: error instanceof Error ? error.message : String(error) };
  }
  const summary = 'summary' in error && typeof error.summary === 'string' ? error.summary : error.message;
  return { kind: 'error', reason: plainWords(summary) };
}

/** Which path was missing: the access that ends where the node ends, seen through variables of `map` and its like. */
function missingPath(node: unknown, accesses: readonly Access[]): string {
  if (!isPlaced(node)) return 'a value';
  for (const access of accesses) {
    const last = access.steps.findIndex((step) => step.close === node.end);
    if (last !== -1) return pathKey(access.root, access.steps.slice(0, last + 1));
  }
  return 'a value';
}

const isPlaced = (value: unknown): value is { readonly end: number } =>
  typeof value === 'object' && value !== null && 'end' in value && typeof value.end === 'number';

const scopeMap = (scope: Scope): ReadonlyMap<string, ScopeValue> =>
  new Map(Object.entries(scope).map(([name, value]) => [name, toScopeValue(value)]));

function plain(outcome: Outcome): Evaluated<unknown> {
  return outcome.kind === 'value'
    ? { ok: true, value: outcome.value }
    : { ok: false, reason: outcome.reason };
}

/** The value as plain JSON. */
export function evaluateExpression(text: string, scope: Scope): Evaluated<unknown> {
  return plain(run(text, scopeMap(scope)));
}

/** A bool; what is missing is an error, which `has()` avoids. */
export function evaluateCondition(text: string, scope: Scope): Evaluated<boolean> {
  return asBoolean(run(text, scopeMap(scope)));
}

function asBoolean(outcome: Outcome): Evaluated<boolean> {
  const evaluated = plain(outcome);
  if (!evaluated.ok) return evaluated;
  if (typeof evaluated.value === 'boolean') return { ok: true, value: evaluated.value };
  return {
    ok: false,
    reason: `the condition gave ${formatInText(evaluated.value).slice(0, 80)} instead of true or false`,
  };
}

export type Lenient =
  | {
      readonly ok: true;
      readonly value: boolean /** Paths that are not there: the value is then false. */;
      readonly missing: readonly string[];
    }
  | { readonly ok: false; readonly reason: string };

function lenient(outcome: Outcome, roots: readonly string[]): Lenient {
  if (outcome.kind === 'missing' && roots.some((root) => outcome.path.startsWith(`${root}.`))) {
    return { ok: true, value: false, missing: [outcome.path] };
  }
  const evaluated = asBoolean(outcome);
  return evaluated.ok ? { ...evaluated, missing: [] } : evaluated;
}

export type SelectorScope = {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly facts: unknown;
};

function selectorMap({ name, labels, facts }: SelectorScope): ReadonlyMap<string, ScopeValue> {
  const known =
    typeof facts === 'object' && facts !== null ? toScopeValueOnce(facts) : new Map<string, ScopeValue>();
  return new Map<string, ScopeValue>([
    ['name', name],
    ['labels', toScopeValueOnce(labels)],
    ['facts', known],
  ]);
}

/**
 * Whether a node is selected. A label or fact that is missing makes the whole selector false, unless the
 * expression does without it (`||`, `has()`); the paths are named so that a plan can warn. `labels` and
 * `facts` are converted once per object and must not be changed afterwards.
 */
export function evaluateSelector(text: string, scope: SelectorScope): Lenient {
  return lenient(run(text, selectorMap(scope)), ['labels', 'facts']);
}

/** The key by which nodes are ordered for leadership; null when a label or fact that it needs is missing. */
export function evaluatePreference(
  text: string,
  scope: SelectorScope,
): Evaluated<string | number | boolean | null> {
  const outcome = run(text, selectorMap(scope));
  if (outcome.kind === 'missing') return { ok: true, value: null };
  const evaluated = plain(outcome);
  if (!evaluated.ok) return evaluated;
  const { value } = evaluated;
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return { ok: true, value };
  return { ok: false, reason: 'prefer must give text, a number or a bool' };
}

export type UntilScope = {
  readonly outputs: Scope;
  readonly params: Scope;
  readonly node: Scope;
  readonly exitCode: number;
  readonly iteration: number;
};

/** Whether an iterated job is done. An output that was not written yet means "not yet". */
export function evaluateUntil(text: string, scope: UntilScope): Lenient {
  return lenient(run(text, scopeMap(scope)), ['outputs']);
}

/**
 * Any JSON whose strings may hold `${{ }}`. A string that is one expression and nothing else takes its value
 * and type; in other text, values are written out. Keys of objects stay as they are.
 */
export function evaluateTemplate(value: unknown, scope: Scope): Evaluated<unknown> {
  try {
    return { ok: true, value: fill(value, scopeMap(scope)) };
  } catch (error) {
    if (error instanceof ScopeError) return { ok: false, reason: error.message };
    throw error;
  }
}

function fill(value: unknown, scope: ReadonlyMap<string, unknown>): unknown {
  if (typeof value === 'string') return fillText(value, scope);
  if (Array.isArray(value)) return value.map((element) => fill(element, scope));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, element]) => [key, fill(element, scope)]));
}

function fillText(text: string, scope: ReadonlyMap<string, unknown>): unknown {
  const template = parseTemplate(text);
  if (!template.ok) throw new ScopeError(template.message);
  const values = template.segments.map((segment) => {
    if (segment.kind === 'text') return segment.text;
    const evaluated = plain(run(segment.text, scope));
    if (!evaluated.ok) throw new ScopeError(evaluated.reason);
    return evaluated.value;
  });
  const [only] = template.segments;
  if (values.length === 1 && only?.kind === 'expression') return values[0];
  return values.map(formatInText).join('');
}

export type Reference = { readonly path: readonly string[]; readonly start: number; readonly end: number };

/** The paths that an expression reads, `*` for any element; nothing when it cannot be parsed. */
export function referencesOf(text: string): readonly Reference[] {
  const compiled = compileExpression(text);
  if (!compiled.ok) return [];
  return compiled.expression.accesses.map(({ root, steps, start, end }) => ({
    path: [root, ...steps.map(({ key }) => key ?? '*')],
    start,
    end,
  }));
}

/** The same for all expressions inside a template value. */
export function referencesInTemplate(value: unknown): readonly Reference[] {
  if (typeof value === 'string') {
    const template = parseTemplate(value);
    if (!template.ok) return [];
    return template.segments.flatMap((segment) =>
      segment.kind === 'expression' ? referencesOf(segment.text) : [],
    );
  }
  if (Array.isArray(value)) return value.flatMap(referencesInTemplate);
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(referencesInTemplate);
}
