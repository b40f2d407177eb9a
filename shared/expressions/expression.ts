/**
 * From text to an expression that can be evaluated: parsed within limits, only the functions of functions.ts
 * called, guarded as guard.ts says, and kept, because the same few expressions are evaluated for thousands
 * of nodes. Types are not judged here (check.ts does, when a file is read): a wrong one is an error when
 * the expression is evaluated.
 */
import { type ASTNode, Environment } from '@marcbachmann/cel-js';
import { limits } from '../limits.ts';
import { nearestWord } from '../nearest.ts';
import { type Access, accessesOf } from './accesses.ts';
import { functionNames, registerFunctions } from './functions.ts';
import { Meter, meterNodes, replaceEnds, replaceHas } from './guard.ts';

/** What is wrong with an expression, and where in its text (offsets, the end is exclusive). */
export type Fault = {
  readonly message: string;
  readonly start: number;
  readonly end: number;
  readonly expected?: string;
  readonly nearest?: string | undefined;
};

export type Expression = {
  readonly text: string;
  readonly accesses: readonly Access[];
  readonly meter: Meter;
  /** Throws what the library, guard.ts or a function throws. */
  readonly run: (scope: ReadonlyMap<string, unknown>) => unknown;
};

export type Compiled =
  | { readonly ok: true; readonly expression: Expression }
  | ({
      readonly ok: false;
      readonly faults: readonly Fault[];
      /** Present when nothing is wrong but names, which each place can tell more about. */
      readonly accesses?: readonly Access[];
    } & Fault);

/** Every name that any place may know. Which of them a place has, check.ts says. */
export const variables: ReadonlySet<string> = new Set([
  ...[
    'name',
    'labels',
    'facts',
    'params',
    'node',
    'target',
    'targets',
    'cluster',
    'roles',
    'steps',
    'services',
  ],
  ...['outputs', 'exitCode', 'iteration', 'outcome', 'failure'],
]);

export const parsing = {
  homogeneousAggregateLiterals: false,
  limits: {
    maxAstNodes: limits.expressionNodesMax,
    maxDepth: limits.expressionDepthMax,
    maxListElements: limits.expressionNodesMax,
    maxMapEntries: limits.expressionNodesMax,
  },
} as const;

function createEnvironment(): Environment {
  const environment = new Environment(parsing);
  for (const variable of variables) environment.registerVariable(variable, 'dyn');
  registerFunctions(environment, 'dyn');
  return environment;
}

const environment = createEnvironment();
const kept = new Map<string, Compiled>();

/** Parses and guards an expression; the same text gives the same object while it is kept. */
export function compileExpression(text: string): Compiled {
  const known = kept.get(text);
  if (known !== undefined) return known;
  const compiled = compile(text);
  if (text.length > limits.expressionLengthMax) return compiled;
  if (kept.size >= limits.expressionsCachedMax) {
    const [oldest] = kept.keys();
    if (oldest !== undefined) kept.delete(oldest);
  }
  kept.set(text, compiled);
  return compiled;
}

function compile(text: string): Compiled {
  if (text.trim() === '') return refuse([{ message: 'the expression is empty', start: 0, end: text.length }]);
  if (text.length > limits.expressionLengthMax) {
    const message = `an expression has at most ${limits.expressionLengthMax} characters, this has ${text.length}`;
    return refuse([{ message, start: 0, end: text.length }]);
  }
  try {
    const parsed = environment.parse(text);
    const accesses = accessesOf(parsed.ast);
    const unknown = accesses.filter(({ root }) => !variables.has(root)).map(unknownValue);
    const faults = [...forbidden(parsed.ast)];
    if (faults.length > 0) return refuse([...faults, ...unknown]);
    if (unknown.length > 0) return { ...refuse(unknown), accesses };
    replaceHas(parsed.ast);
    replaceEnds(parsed.ast, environment);
    const checked = parsed.check();
    if (!checked.valid) return refuse([faultOf(checked.error, text)]);
    const meter = new Meter();
    meterNodes(parsed.ast, meter);
    return { ok: true, expression: { text, accesses, meter, run: (scope) => parsed(scope) } };
  } catch (error) {
    return refuse([faultOf(error, text)]);
  }
}

function unknownValue({ root, start }: Access): Fault {
  const nearest = nearestWord(root, variables);
  return { message: `there is no value "${root}"`, start, end: start + root.length, nearest };
}

function refuse(faults: readonly Fault[]): Extract<Compiled, { ok: false }> {
  const [first] = faults;
  const fault = first ?? { message: 'the expression is not valid', start: 0, end: 0 };
  return { ok: false, ...fault, faults };
}

/** A fault from what the library threw; it knows the place for nearly all of them. */
export function faultOf(error: unknown, text: string): Fault {
  if (error instanceof RangeError) return { message: nestedTooDeeply, start: 0, end: text.length };
  if (!(error instanceof Error)) return { message: String(error), start: 0, end: text.length };
  const summary = 'summary' in error && typeof error.summary === 'string' ? error.summary : error.message;
  const range = 'range' in error ? error.range : undefined;
  const place = isRange(range) ? { start: range.start, end: range.end } : { start: 0, end: text.length };
  return { message: plainWords(summary), ...place };
}

const nestedTooDeeply = `the expression is nested too deeply (at most ${limits.expressionDepthMax} levels)`;

const isRange = (value: unknown): value is { readonly start: number; readonly end: number } =>
  typeof value === 'object' &&
  value !== null &&
  'start' in value &&
  typeof value.start === 'number' &&
  'end' in value &&
  typeof value.end === 'number';

/** The library's words for tokens and types, in those that somebody who writes pipelines knows. */
export function plainWords(summary: string): string {
  if (/^Exceeded maxDepth/.test(summary)) return nestedTooDeeply;
  if (/^Exceeded maxAstNodes/.test(summary))
    return `the expression has more than ${limits.expressionNodesMax} parts`;
  const overload = /^no such overload: (\S.*?) (==|!=|<=|>=|<|>|\+|-|\*|\/|%|in) (\S.*)$/.exec(summary);
  const [, left, operator, right] = overload ?? [];
  const plainType = (type: string): string =>
    type.replaceAll(/dyn<([^<>]*)>/g, '$1').replaceAll('dyn', 'any');
  if (left !== undefined && operator !== undefined && right !== undefined) {
    return `"${operator}" does not work on ${plainType(left)} and ${plainType(right)}`;
  }
  const call = /^found no matching overload for '(.*)'$/.exec(summary)?.[1];
  if (call !== undefined) return `no function fits ${plainType(call)}`;
  return plainType(summary)
    .replace(/Unexpected token: EOF/, 'the expression ends too early')
    .replace(/Expected (\w+), got EOF/, 'the expression ends too early')
    .replace(/^Unexpected character: ([=&|])$/, 'a single "$1" means nothing here: write "$1$1"')
    .replace(/^Unknown variable: (.*)$/, 'there is no value "$1"')
    .replace(/^No such key: (.*)$/, '"$1" is missing');
}

/** Calls and literals that this language does not have, all of them. */
function* forbidden(node: ASTNode): Generator<Fault> {
  switch (node.op) {
    case 'value':
      yield* forbiddenLiteral(node.args, node);
      return;
    case 'call': {
      const [name, args] = node.args;
      yield* forbiddenCall(name, node, false);
      if (name === 'has' && args.length === 1 && args[0]?.op !== '.' && args[0]?.op !== '[]') {
        const expected = 'a path such as has(node.labels.rack)';
        yield { message: 'has() asks for a field', start: node.start, end: node.end, expected };
      }
      break;
    }
    case 'rcall':
      yield* forbiddenCall(node.args[0], node, true);
      break;
  }
  for (const child of childrenOf(node.args)) yield* forbidden(child);
}

function* childrenOf(args: unknown): Generator<ASTNode> {
  if (Array.isArray(args)) for (const each of args) yield* childrenOf(each);
  else if (isAst(args)) yield args;
}

const isAst = (value: unknown): value is ASTNode =>
  typeof value === 'object' && value !== null && 'op' in value;

const wholeMax = 2n ** 63n;

function* forbiddenLiteral(value: unknown, { start, end }: ASTNode): Generator<Fault> {
  if (typeof value === 'bigint' && value >= wholeMax) {
    yield { message: 'the number is too large for a whole number of 64 bits', start, end };
  } else if (typeof value === 'object' && value !== null) {
    yield {
      message: 'bytes and unsigned numbers do not exist here',
      start,
      end,
      expected: 'text or a plain number',
    };
  }
}

function* forbiddenCall(name: string, { start, end }: ASTNode, method: boolean): Generator<Fault> {
  const known = method ? functionNames.methods : functionNames.functions;
  if (known.has(name)) return;
  if (name === 'matches') {
    const message = 'matches() is left out: a regular expression can take forever';
    yield { message, start, end, expected: 'glob, as in labels.name.glob("web-*")' };
    return;
  }
  const other = method ? functionNames.functions : functionNames.methods;
  const called = method ? `.${name}()` : `${name}()`;
  if (other.has(name)) {
    const expected = method ? `${name}(value)` : `value.${name}(…)`;
    yield { message: `${called} is called the other way round`, start, end, expected };
  } else {
    yield { message: `there is no function ${called}`, start, end, nearest: nearestWord(name, known) };
  }
}
