/**
 * Puts three rules around a parsed expression that the CEL library does not have: evaluation has a bounded
 * cost, values of different types are never silently unequal, and `has()` takes any path. It does so by
 * wrapping the functions that the library's checker leaves on the nodes of its tree; the names used here
 * (`handle`, `meta`, `setMeta`) belong to the pinned version, and the tests of this folder fail when they move.
 */
import { assert } from '../assert.ts';
import { limits } from '../limits.ts';
import { costOfAddress } from './addresses.ts';
import { ScopeError, textTooLong } from './scope.ts';

/** What one evaluation may still cost. One object per expression: evaluation is synchronous. */
export class Meter {
  #left = 0;
  #exhausted = false;

  refill(): void {
    this.#left = limits.expressionCostMax;
    this.#exhausted = false;
  }

  readonly spend = (cost: number): void => {
    this.#left -= cost;
    if (this.#left >= 0) return;
    this.#exhausted = true;
    throw new ScopeError(costTooHigh);
  };

  /** `||` and `exists` swallow errors of one side, so whoever evaluates asks once more at the end. */
  get exhausted(): boolean {
    return this.#exhausted;
  }
}

export const costTooHigh = `the expression needs more than ${limits.expressionCostMax} operations on these values`;

type Handle = (...values: unknown[]) => unknown;
type Checker = { check(node: unknown, context: unknown): unknown; getType(name: string): unknown };
type Runner = { run(node: unknown, context: unknown): unknown };
type Node = {
  readonly op: string;
  readonly args: unknown;
  readonly meta: { readonly alternate?: unknown; readonly macro?: unknown };
  setMeta(key: string, value: unknown): unknown;
  handle?: unknown;
};

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && 'op' in value && 'setMeta' in value && 'meta' in value;

function* nodesUnder(value: unknown): Generator<Node> {
  if (isNode(value)) {
    yield value;
    // A macro such as `map` was expanded into another tree, which holds the arguments.
    if (value.meta.alternate !== undefined) yield* nodesUnder(value.meta.alternate);
    else yield* nodesUnder(value.args);
  } else if (Array.isArray(value)) {
    for (const element of value) yield* nodesUnder(element);
  } else if (isComprehension(value)) {
    yield* nodesUnder([value.iterable, value.init, value.step]);
  }
}

type Comprehension = { readonly iterable: unknown; readonly init: unknown; readonly step: unknown };
const isComprehension = (value: unknown): value is Comprehension =>
  typeof value === 'object' && value !== null && 'iterable' in value && 'init' in value && 'step' in value;

const missingCodes: ReadonlySet<unknown> = new Set(['no_such_key', 'index_out_of_bounds']);
export const isMissing = (error: unknown): error is Error & { readonly node?: unknown } =>
  error instanceof Error && 'code' in error && missingCodes.has(error.code);

/** Before the check: `has()` of any path, false as soon as something on the way is missing. */
export function replaceHas(ast: unknown): void {
  for (const node of nodesUnder(ast)) {
    if (node.op !== 'call' || !Array.isArray(node.args) || node.args[0] !== 'has') continue;
    const argument: unknown = Array.isArray(node.args[1]) ? node.args[1][0] : undefined;
    if (!isNode(argument)) continue;
    node.setMeta('async', false);
    node.setMeta('macro', {
      typeCheck(checker: Checker, _macro: unknown, context: unknown): unknown {
        checker.check(argument, context);
        return checker.getType('bool');
      },
      evaluate(runner: Runner, _macro: unknown, context: unknown): boolean {
        try {
          runner.run(argument, context);
          return true;
        } catch (error) {
          if (isMissing(error)) return false;
          throw error;
        }
      },
    });
  }
}

/** What it means to ask how something ended, in terms of `outcome`. */
export const ends: Readonly<Record<string, string>> = {
  failed: 'outcome == "failed"',
  cancelled: 'outcome == "cancelled"',
};

/** Before the check: `failed()` and `cancelled()` stand for what they mean. */
export function replaceEnds(
  ast: unknown,
  language: { parse(text: string): { readonly ast: unknown } },
): void {
  for (const node of nodesUnder(ast)) {
    if (node.op !== 'call' || !Array.isArray(node.args) || !isNoArguments(node.args[1])) continue;
    const meaning = Object.hasOwn(ends, node.args[0]) ? ends[node.args[0]] : undefined;
    if (meaning === undefined) continue;
    const { ast: meant } = language.parse(meaning);
    node.setMeta('async', false);
    node.setMeta('macro', {
      typeCheck: (checker: Checker, _macro: unknown, context: unknown) => checker.check(meant, context),
      evaluate: (runner: Runner, _macro: unknown, context: unknown) => runner.run(meant, context),
    });
  }
}

const isNoArguments = (value: unknown): boolean => Array.isArray(value) && value.length === 0;

/** After the check: every operation that takes time or memory pays for it first. */
export function meterNodes(ast: unknown, meter: Meter): void {
  for (const node of nodesUnder(ast)) {
    if (node.op === 'comprehension') wrapComprehension(node, meter);
    else if (node.op === 'call' || node.op === 'rcall') wrapCall(node, meter);
    else if (node.op in operators) wrapOperator(node, meter);
  }
}

const operators: Readonly<Record<string, 'equal' | 'in' | 'other'>> = {
  '==': 'equal',
  '!=': 'equal',
  in: 'in',
  '+': 'other',
};

function handleOf(node: Node): Handle | undefined {
  const { handle } = node;
  // A macro has no handle of its own: its expansion has, and is visited by itself.
  if (node.meta.alternate !== undefined || node.meta.macro !== undefined) return undefined;
  assert(typeof handle === 'function', `the CEL library left a function on "${node.op}" nodes`);
  return (...values) => handle(...values);
}

function wrapComprehension(node: Node, meter: Meter): void {
  const handle = handleOf(node);
  if (handle === undefined || !isComprehension(node.args)) return;
  const nodes = [...nodesUnder(node.args.step)].length;
  node.handle = (items: unknown, ...rest: unknown[]): unknown => {
    meter.spend(1 + sizeOf(items) * nodes);
    return handle(items, ...rest);
  };
}

function wrapCall(node: Node, meter: Meter): void {
  const handle = handleOf(node);
  if (handle === undefined) return;
  const [name] = Array.isArray(node.args) ? node.args : [];
  const joins = name === 'join';
  const compares = name === 'addressOf';
  node.handle = (values: unknown, ...rest: unknown[]): unknown => {
    if (Array.isArray(values)) for (const value of values) meter.spend(weightOf(value));
    if (joins && Array.isArray(values)) boundJoin(values[0], values[1]);
    if (compares && Array.isArray(values) && values.length > 1)
      meter.spend(costOfAddress(values[0], values[1]));
    return boundText(handle(values, ...rest), meter);
  };
}

function wrapOperator(node: Node, meter: Meter): void {
  const handle = handleOf(node);
  if (handle === undefined) return;
  const kind = operators[node.op];
  node.handle = (left: unknown, right: unknown, ...rest: unknown[]): unknown => {
    if (kind === 'other') {
      meter.spend(weightOf(left) + weightOf(right));
      return boundText(handle(left, right, ...rest), meter);
    }
    spendDeep(left, meter);
    spendDeep(right, meter);
    if (kind === 'equal') compareOnlyAlike(left, right, node.op);
    else if (Array.isArray(right)) findOnlyAlike(left, right);
    return handle(left, right, ...rest);
  };
}

function sizeOf(value: unknown): number {
  if (Array.isArray(value)) return value.length;
  return value instanceof Map ? value.size : 1;
}

const textWeight = (value: unknown): number => (typeof value === 'string' ? value.length / 16 : 0);

/** The value and, for a list, its elements: not what is further inside. */
function weightOf(value: unknown): number {
  if (!Array.isArray(value)) return 1 + textWeight(value);
  let weight = 1 + value.length;
  for (const element of value) weight += textWeight(element);
  return weight;
}

/** Everything inside, as comparing it would visit. */
function spendDeep(value: unknown, meter: Meter): void {
  meter.spend(1 + textWeight(value));
  if (Array.isArray(value)) for (const element of value) spendDeep(element, meter);
  else if (value instanceof Map) for (const element of value.values()) spendDeep(element, meter);
  else if (typeof value === 'object' && value !== null) spendDeep(Object.values(value), meter);
}

function boundText(value: unknown, meter: Meter): unknown {
  if (typeof value !== 'string') return value;
  if (value.length > limits.expressionTextLengthMax)
    throw new ScopeError(`the expression makes ${textTooLong}`);
  meter.spend(textWeight(value));
  return value;
}

/** Before the text exists: a long separator between many elements would take all memory. */
function boundJoin(list: unknown, separator: unknown): void {
  if (!Array.isArray(list)) return;
  const between = typeof separator === 'string' ? separator.length : 0;
  let length = 0;
  for (const element of list) length += between + (typeof element === 'string' ? element.length : 0);
  if (length > limits.expressionTextLengthMax + between)
    throw new ScopeError(`join() would give ${textTooLong}`);
}

/** How a type is called to whoever writes expressions. Numbers are one kind: 1 and 1.0 are equal. */
function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'list';
  switch (typeof value) {
    case 'string':
      return 'string';
    case 'boolean':
      return 'bool';
    case 'bigint':
    case 'number':
      return 'number';
    default:
      return 'map';
  }
}

/** Null may be compared with everything: it is how JSON says that something is not set. */
function compareOnlyAlike(left: unknown, right: unknown, operator: string): void {
  const [a, b] = [kindOf(left), kindOf(right)];
  if (a !== b && a !== 'null' && b !== 'null') {
    throw new ScopeError(`"${operator}" compares a ${a} with a ${b}, which are never equal`);
  }
}

function findOnlyAlike(value: unknown, list: readonly unknown[]): void {
  const kind = kindOf(value);
  if (list.length === 0 || kind === 'null') return;
  if (list.some((element) => element === null || kindOf(element) === kind)) return;
  throw new ScopeError(`"in" looks for a ${kind} in a list that has none`);
}
