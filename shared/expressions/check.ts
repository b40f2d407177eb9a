/**
 * Judges an expression when the file is read: every name it reads must exist at its place, operators and
 * functions must fit the types, and the result must be of the type that is wanted. Each place (`select`,
 * `if`, `until`, …) is an object shape of the values that it can read.
 */
import { Environment } from '@marcbachmann/cel-js';
import { assertNever } from '../assert.ts';
import { nearestWord } from '../nearest.ts';
import type { Access } from './accesses.ts';
import { compileExpression, type Fault, faultOf, parsing, variables } from './expression.ts';
import { registerFunctions } from './functions.ts';
import { replaceEnds, replaceHas } from './guard.ts';
import { type ObjectShape, oneOf, resolveAccess, type Shape } from './shape.ts';

export type Place = {
  /** What messages call it, such as `if`. */
  readonly title: string;
  /** What can be read here, by the first word of a path. */
  readonly values: ObjectShape;
  /** The shape of node objects, which `addressOf` takes. */
  readonly node?: Shape;
  /** For a name that other places have: why not here, and what to do. */
  readonly hint?: string;
};

export type Wanted = 'string' | 'int' | 'double' | 'bool' | 'json';

export type Checked = {
  readonly faults: readonly Fault[];
  readonly accesses: readonly Access[];
  /** The type of the result, when it is known. */
  readonly type?: string;
};

/** `judge` may refuse an access that is well typed, for a reason of its own. */
export function checkExpression(
  text: string,
  place: Place,
  wanted: Wanted,
  judge: (access: Access) => Fault | undefined = () => undefined,
): Checked {
  const compiled = compileExpression(text);
  const accesses = compiled.ok ? compiled.expression.accesses : compiled.accesses;
  if (accesses === undefined) return { faults: compiled.ok ? [] : compiled.faults, accesses: [] };
  const faults: Fault[] = [];
  for (const access of accesses) {
    const fault = judgeAccess(access, place, judge);
    if (fault !== undefined && !faults.some(({ start, end }) => start === fault.start && end === fault.end)) {
      faults.push(fault);
    }
  }
  if (faults.length > 0) return { faults, accesses };
  const typed = typeOf(text, place);
  if (!typed.ok) return { faults: [typed.fault], accesses };
  if (!fits(typed.type, wanted)) {
    const expected = wanted === 'bool' ? 'a comparison or another bool' : `a value of type ${wanted}`;
    const fault = { message: `the expression gives ${typed.shown}`, expected, start: 0, end: text.length };
    return { faults: [fault], accesses, type: typed.type };
  }
  return { faults: [], accesses, type: typed.type };
}

function judgeAccess(
  access: Access,
  place: Place,
  judge: (access: Access) => Fault | undefined,
): Fault | undefined {
  const { title } = place;
  const { fields } = place.values;
  if (!Object.hasOwn(fields, access.root)) {
    const known = Object.keys(fields);
    const why = place.hint === undefined ? '' : `: ${place.hint}`;
    if (access.call !== undefined) {
      const { start, end } = access;
      return { message: `${title} cannot ask ${access.call}${why}`, start, end };
    }
    return {
      message: variables.has(access.root)
        ? `${title} cannot read "${access.root}"${why}`
        : `there is no value "${access.root}"`,
      start: access.start,
      end: access.start + access.root.length,
      expected: oneOf(known),
      nearest: nearestWord(access.root, known),
    };
  }
  const resolved = resolveAccess(access, place.values);
  return resolved.ok ? judge(access) : resolved.fault;
}

/** Whether a result of this type may stand where the other is wanted; `dyn` is judged when it is evaluated. */
export function fits(type: string, wanted: Wanted): boolean {
  if (type === 'dyn' || wanted === 'json') return true;
  return type === wanted || (wanted === 'double' && type === 'int');
}

type Typed =
  | { readonly ok: true; readonly type: string; readonly shown: string }
  | { readonly ok: false; readonly fault: Fault };

function typeOf(text: string, place: Place): Typed {
  const { environment, titles } = typedEnvironment(place);
  try {
    const parsed = environment.parse(text);
    replaceHas(parsed.ast);
    replaceEnds(parsed.ast, environment);
    const result = parsed.check();
    if (result.valid) {
      const type = result.type ?? 'dyn';
      return { ok: true, type, shown: shownType(type, titles) };
    }
    const fault = faultOf(result.error, text);
    return { ok: false, fault: { ...fault, message: withTitles(fault.message, titles) } };
  } catch (error) {
    return { ok: false, fault: faultOf(error, text) };
  }
}

type TypedEnvironment = { readonly environment: Environment; readonly titles: ReadonlyMap<string, string> };
const environments = new WeakMap<ObjectShape, TypedEnvironment>();

/** Making one takes milliseconds for a big pipeline, so there is one per place, made when it is first needed. */
function typedEnvironment(place: Place): TypedEnvironment {
  const known = environments.get(place.values);
  if (known !== undefined) return known;
  const environment = new Environment(parsing);
  const names = new Map<ObjectShape, string>();
  const titles = new Map<string, string>();
  for (const [name, field] of Object.entries(place.values.fields)) {
    if ('shape' in field)
      environment.registerVariable(name, register(field.shape, environment, names, titles));
  }
  registerFunctions(
    environment,
    place.node === undefined ? 'dyn' : register(place.node, environment, names, titles),
  );
  const made = { environment, titles };
  environments.set(place.values, made);
  return made;
}

/** Types get numbers for names: the library keeps every name it ever saw, in one table for the whole process. */
function register(
  shape: Shape,
  environment: Environment,
  names: Map<ObjectShape, string>,
  titles: Map<string, string>,
): string {
  switch (shape.kind) {
    case 'string':
    case 'int':
    case 'double':
    case 'bool':
      return shape.kind;
    case 'any':
      return 'dyn';
    case 'list':
      return `list<${register(shape.of, environment, names, titles)}>`;
    case 'map':
      return `map<string, ${register(shape.of, environment, names, titles)}>`;
    case 'object': {
      const { others } = shape;
      if (others !== undefined) {
        return `map<string, ${'shape' in others ? register(others.shape, environment, names, titles) : 'dyn'}>`;
      }
      const known = names.get(shape);
      if (known !== undefined) return known;
      const fields: Record<string, string> = {};
      for (const [key, field] of Object.entries(shape.fields)) {
        if ('shape' in field) fields[key] = register(field.shape, environment, names, titles);
      }
      const name = `Type${names.size + 1}`;
      names.set(shape, name);
      titles.set(name, shape.title);
      environment.registerType(name, { fields });
      return name;
    }
    default:
      return assertNever(shape);
  }
}

/** `a string`, `a list of a node`, `role member`. */
function shownType(type: string, titles: ReadonlyMap<string, string>): string {
  const inner = /^list<(.*)>$/.exec(type)?.[1];
  if (inner !== undefined) return `a list of ${shownType(inner, titles)}`;
  if (type === 'int') return 'an int';
  return titles.get(type) ?? `a ${type.startsWith('map') ? 'map' : type}`;
}

const withTitles = (message: string, titles: ReadonlyMap<string, string>): string =>
  message.replaceAll(/Type\d+/g, (name) => titles.get(name) ?? name);
