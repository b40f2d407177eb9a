/**
 * JSON in and out of expressions. Inside, whole numbers are BigInt (CEL keeps int and double apart) and
 * objects are Map: keys such as `constructor` or `__proto__`, which a label may well be called, then mean
 * nothing special. Which values stand in a scope is decided by whoever evaluates; see evaluate.ts.
 */
import { limits } from '../limits.ts';
import type { ParamDeclaration } from '../pipeline/model.ts';

export type ScopeValue =
  | string
  | bigint
  | number
  | boolean
  | null
  | readonly ScopeValue[]
  | ReadonlyMap<string, ScopeValue>;

/** A value cannot leave an expression: the message says why. */
export class ScopeError extends Error {
  override readonly name = 'ScopeError';
}

/**
 * Deep conversion. What was converted before (a Map) passes through untouched, so a big shared object, such
 * as the facts of a node, is converted once by whoever holds it and then put into many scopes.
 */
export function toScopeValue(json: unknown): ScopeValue {
  if (json instanceof Map) return json;
  switch (typeof json) {
    case 'string':
    case 'boolean':
    case 'bigint':
      return json;
    case 'number':
      return Number.isSafeInteger(json) ? BigInt(json) : json;
    case 'object': {
      if (json === null) return null;
      if (Array.isArray(json)) return json.map(toScopeValue);
      const map = new Map<string, ScopeValue>();
      for (const [key, value] of Object.entries(json))
        if (value !== undefined) map.set(key, toScopeValue(value));
      return map;
    }
    default:
      return null;
  }
}

/** Params by their declared types: a `double` stays one when its value happens to be whole. */
export function toScopeParams(
  values: Readonly<Record<string, unknown>>,
  declarations: Readonly<Record<string, Pick<ParamDeclaration, 'type'>>>,
): ReadonlyMap<string, ScopeValue> {
  const map = new Map<string, ScopeValue>();
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined) continue;
    const double = Object.hasOwn(declarations, name) && declarations[name]?.type === 'double';
    map.set(name, double && typeof value === 'number' ? value : toScopeValue(value));
  }
  return map;
}

const remembered = new WeakMap<object, ScopeValue>();

/** `toScopeValue` of an object that is shared and never changed, done once for as long as it lives. */
export function toScopeValueOnce(json: object): ScopeValue {
  const known = remembered.get(json);
  if (known !== undefined) return known;
  const value = toScopeValue(json);
  remembered.set(json, value);
  return value;
}

/**
 * Back to plain JSON. `spend` is asked before each value and throws when the cost is used up: lists may
 * share their elements inside an expression, so that what comes out can be far larger than what was made.
 */
export function fromScopeValue(value: unknown, spend: (cost: number) => void): unknown {
  switch (typeof value) {
    case 'string':
      spend(1 + value.length / 16);
      return value;
    case 'boolean':
      spend(1);
      return value;
    case 'bigint': {
      spend(1);
      const number = Number(value);
      if (Number.isSafeInteger(number)) return number;
      throw new ScopeError(`${value} is beyond the whole numbers that JSON carries exactly`);
    }
    case 'number':
      spend(1);
      if (Number.isFinite(value)) return value;
      throw new ScopeError(`${value} is not a number that JSON can carry`);
    case 'object': {
      spend(1);
      if (value === null) return null;
      if (Array.isArray(value)) return value.map((element) => fromScopeValue(element, spend));
      const entries = value instanceof Map ? [...value.entries()] : plainEntries(value);
      return Object.fromEntries(
        entries.map(([key, element]) => {
          if (typeof key !== 'string') throw new ScopeError('the keys of a map must be strings');
          return [key, fromScopeValue(element, spend)];
        }),
      );
    }
    default:
      throw new ScopeError(`a value of type ${typeof value} cannot leave an expression`);
  }
}

function plainEntries(value: object): [unknown, unknown][] {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === null || prototype === Object.prototype) return Object.entries(value);
  throw new ScopeError('the value is not text, a number, a bool, a list or a map');
}

/** How a value reads inside text: text as it is, everything else as JSON. */
export function formatInText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

export const textTooLong = `text of more than ${limits.expressionTextLengthMax} characters`;
