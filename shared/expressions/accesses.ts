/**
 * What an expression reads: every chain such as `steps.init.outputs.token`, followed through the variables of
 * `map`, `filter` and their like back to where their values come from, with what a `has()` before it has
 * made sure of. Types, secrets and dependencies are all judged from this.
 */
import type { ASTNode } from '@marcbachmann/cel-js';
import { assertNever } from '../assert.ts';
import { ends } from './guard.ts';

export type AccessStep = {
  /** Undefined: an element, or an index that is only known when it is evaluated. */
  readonly key: string | undefined;
  /** `element`: what a variable of `map` and its like stands for. */
  readonly kind: 'field' | 'index' | 'element';
  readonly start: number;
  readonly end: number;
  /** Where the access as a whole ends: behind the `]` of an index. */
  readonly close: number;
};

export type Access = {
  readonly root: string;
  readonly steps: readonly AccessStep[];
  readonly start: number;
  readonly end: number;
  /** Path keys that a `has()` found to be there on every way to this place. */
  readonly guards: ReadonlySet<string>;
  /** It stands inside `has()`: its last step may be missing. */
  readonly tested: boolean;
  /** As it is written, when it is a call that asks for it: `failed()`. */
  readonly call?: string;
};

/** As it would be written: `steps["a-b"].outputs.c`. */
export const writtenPath = (root: string, steps: readonly AccessStep[]): string =>
  steps.reduce((path, { key }) => {
    if (key === undefined) return `${path}[…]`;
    return /^[A-Za-z_][A-Za-z0-9_]*$/.test(key) ? `${path}.${key}` : `${path}["${key}"]`;
  }, root);

type Path = { readonly root: string; readonly steps: readonly AccessStep[] };
/** Undefined: a variable whose values were made inside the expression. */
type Variables = ReadonlyMap<string, Path | undefined>;

const comprehensionMethods: ReadonlySet<string> = new Set(['map', 'filter', 'all', 'exists', 'exists_one']);
/** Their result consists of elements of their receiver. */
const passing: ReadonlySet<string> = new Set(['filter', 'sort', 'distinct', 'min', 'max']);

/** `a.b.*.c`, where `*` stands for any element. */
export const pathKey = (root: string, steps: readonly AccessStep[]): string =>
  [root, ...steps.map(({ key }) => key ?? '*')].join('.');

function pathOf(node: ASTNode, variables: Variables): Path | undefined {
  switch (node.op) {
    case 'id':
      return variables.has(node.args) ? variables.get(node.args) : { root: node.args, steps: [] };
    case '.': {
      const path = pathOf(node.args[0], variables);
      const step: AccessStep = {
        key: node.args[1],
        kind: 'field',
        start: node.pos,
        end: node.end,
        close: node.end,
      };
      return path === undefined ? undefined : { root: path.root, steps: [...path.steps, step] };
    }
    case '[]': {
      const path = pathOf(node.args[0], variables);
      const [, index] = node.args;
      const key = index.op === 'value' && typeof index.args === 'string' ? index.args : undefined;
      const step: AccessStep = { key, kind: 'index', start: index.start, end: index.end, close: node.end };
      return path === undefined ? undefined : { root: path.root, steps: [...path.steps, step] };
    }
    case 'rcall': {
      const [name, receiver] = node.args;
      const path = passing.has(name) ? pathOf(receiver, variables) : undefined;
      if (path === undefined || (name !== 'min' && name !== 'max')) return path;
      return elementOf(path, node);
    }
    default:
      return undefined;
  }
}

const elementOf = (path: Path, at: ASTNode): Path => ({
  root: path.root,
  steps: [...path.steps, { key: undefined, kind: 'element', start: at.start, end: at.end, close: -1 }],
});

/** Path keys that are there when the condition came out as `outcome`: the path in `has()` and all before it. */
function guardsOf(node: ASTNode, outcome: boolean, variables: Variables): string[] {
  if (node.op === '!_') return guardsOf(node.args, !outcome, variables);
  if ((node.op === '&&' && outcome) || (node.op === '||' && !outcome)) {
    return node.args.flatMap((side) => guardsOf(side, outcome, variables));
  }
  if (node.op !== 'call' || node.args[0] !== 'has' || !outcome) return [];
  const [argument] = node.args[1];
  const path = argument === undefined ? undefined : pathOf(argument, variables);
  if (path === undefined) return [];
  return path.steps.map((_, index) => pathKey(path.root, path.steps.slice(0, index + 1)));
}

export function accessesOf(ast: ASTNode): readonly Access[] {
  const accesses: Access[] = [];
  collect(ast, new Map(), new Set(), accesses);
  return accesses;
}

function collect(node: ASTNode, variables: Variables, guards: ReadonlySet<string>, into: Access[]): void {
  const visit = (child: ASTNode, more: readonly string[] = []): void =>
    collect(child, variables, more.length === 0 ? guards : new Set([...guards, ...more]), into);
  const access = (chain: ASTNode, tested: boolean): void => {
    const path = pathOf(chain, variables);
    if (path !== undefined) into.push({ ...path, start: chain.start, end: chain.end, guards, tested });
  };
  switch (node.op) {
    case 'value':
      return;
    case 'id':
      access(node, false);
      return;
    case '.':
    case '.?':
    case '[]':
    case '[?]':
      access(node, false);
      visitInside(node, visit);
      return;
    case 'call': {
      const [name, args] = node.args;
      const [argument] = args;
      if (name === 'has' && argument !== undefined) {
        access(argument, true);
        visitInside(argument, visit);
        return;
      }
      if (argument === undefined && Object.hasOwn(ends, name)) {
        const { start, end } = node;
        into.push({ root: 'outcome', steps: [], start, end, guards, tested: false, call: `${name}()` });
      }
      for (const each of args) visit(each);
      return;
    }
    case 'rcall': {
      const [name, receiver, args] = node.args;
      visit(receiver);
      const [variable, ...bodies] = args;
      if (!comprehensionMethods.has(name) || variable?.op !== 'id') {
        for (const each of args) visit(each);
        return;
      }
      const path = pathOf(receiver, variables);
      const inside = new Map(variables).set(
        variable.args,
        path === undefined ? undefined : elementOf(path, variable),
      );
      const [condition] = bodies;
      const more = condition === undefined || bodies.length < 2 ? [] : guardsOf(condition, true, inside);
      bodies.forEach((body, index) => {
        collect(body, inside, index === 0 ? guards : new Set([...guards, ...more]), into);
      });
      return;
    }
    case 'list':
      for (const each of node.args) visit(each);
      return;
    case 'map':
      for (const [key, value] of node.args) {
        visit(key);
        visit(value);
      }
      return;
    case '?:': {
      const [condition, yes, no] = node.args;
      visit(condition);
      visit(yes, guardsOf(condition, true, variables));
      visit(no, guardsOf(condition, false, variables));
      return;
    }
    case '&&':
    case '||': {
      const [left, right] = node.args;
      visit(left);
      visit(right, guardsOf(left, node.op === '&&', variables));
      return;
    }
    case '!_':
    case '-_':
      visit(node.args);
      return;
    case '==':
    case '!=':
    case 'in':
    case '+':
    case '-':
    case '*':
    case '/':
    case '%':
    case '<':
    case '<=':
    case '>':
    case '>=':
      visit(node.args[0]);
      visit(node.args[1]);
      return;
    default:
      assertNever(node);
  }
}

/** The parts of a chain that are expressions of their own: computed indexes, and what the chain hangs on. */
function visitInside(node: ASTNode, visit: (child: ASTNode) => void): void {
  let at = node;
  while (at.op === '.' || at.op === '.?' || at.op === '[]' || at.op === '[?]') {
    const [inner, index] = at.args;
    if (typeof index !== 'string') visit(index);
    at = inner;
  }
  if (at.op !== 'id') visit(at);
}
