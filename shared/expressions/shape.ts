/**
 * The types of what a place can read, as trees that can be asked what comes after a dot. The CEL library
 * knows types too, but stops at the first wrong name and cannot say which names would have been right.
 */
import * as z from 'zod';
import { assertNever } from '../assert.ts';
import { factsSchema } from '../facts.ts';
import { nearestWord } from '../nearest.ts';
import { type Access, type AccessStep, pathKey, writtenPath } from './accesses.ts';
import type { Fault } from './expression.ts';

export type Scalar = 'string' | 'int' | 'double' | 'bool';

export type Shape =
  | { readonly kind: Scalar }
  | { readonly kind: 'any' }
  | { readonly kind: 'list'; readonly of: Shape }
  /** Any keys. */
  | { readonly kind: 'map'; readonly of: Shape }
  | ObjectShape;

/** Known keys. `title` is what messages call it: "a node", "the outputs of step init". */
export type ObjectShape = {
  readonly kind: 'object';
  readonly title: string;
  readonly fields: Readonly<Record<string, Field>>;
  /** What keys that are not known stand for. Absent: they are faults. */
  readonly others?: Field;
};

export type Field =
  | {
      readonly shape: Shape;
      /** Why it may be missing: then only `has()` makes it safe to read. */
      readonly optional?: string;
    }
  /** A key that exists but cannot be read here, and why. */
  | { readonly refused: string; readonly expected?: string };

/** Titles like `params` and `the outputs of step init`. */
const pluralTitle = /^(?:the )?\w+s(?: |$)/;

export const shapes = {
  string: { kind: 'string' },
  int: { kind: 'int' },
  double: { kind: 'double' },
  bool: { kind: 'bool' },
  any: { kind: 'any' },
  list: (of: Shape): Shape => ({ kind: 'list', of }),
  map: (of: Shape): Shape => ({ kind: 'map', of }),
  object: (title: string, fields: Readonly<Record<string, Field>>): ObjectShape => ({
    kind: 'object',
    title,
    fields,
  }),
  /** Known keys and others, all alike. */
  open: (title: string, fields: Readonly<Record<string, Field>>, others: Field): ObjectShape => ({
    kind: 'object',
    title,
    fields,
    others,
  }),
} as const;

const jsonSchema = z.object({
  type: z.string().optional(),
  title: z.string().optional(),
  properties: z.record(z.string(), z.json()).optional(),
  additionalProperties: z.json().optional(),
  items: z.json().optional(),
});

/** The shape of what a JSON Schema describes; what it does not describe closely is `any`. */
function shapeOfJsonSchema(schema: unknown, title: string): Shape {
  const parsed = jsonSchema.safeParse(schema);
  if (!parsed.success) return shapes.any;
  const { type, properties, additionalProperties, items } = parsed.data;
  switch (type) {
    case 'string':
      return shapes.string;
    case 'integer':
      return shapes.int;
    case 'number':
      return shapes.double;
    case 'boolean':
      return shapes.bool;
    case 'array':
      return shapes.list(shapeOfJsonSchema(items, `an element of ${title}`));
    case 'object': {
      if (properties === undefined)
        return shapes.map(shapeOfJsonSchema(additionalProperties, `a value of ${title}`));
      const fields = Object.entries(properties).map(
        ([key, value]) => [key, { shape: shapeOfJsonSchema(value, `${title}.${key}`) }] as const,
      );
      return shapes.object(title, Object.fromEntries(fields));
    }
    default:
      return shapes.any;
  }
}

/** Derived from the schema of facts, so that a fact that no agent can report is a fault when a file is read. */
export const factsShape: Shape = shapeOfJsonSchema(z.toJSONSchema(factsSchema), 'facts');
export const labelsShape: Shape = shapes.map(shapes.string);

type Resolved = { readonly ok: true; readonly shape: Shape } | { readonly ok: false; readonly fault: Fault };

/** Follows an access through the shape of a place; the first step that cannot be taken is the fault. */
export function resolveAccess(access: Access, place: ObjectShape): Resolved {
  const start: AccessStep = {
    key: access.root,
    kind: 'field',
    start: access.start,
    end: access.start + access.root.length,
    close: -1,
  };
  let shape: Shape = place;
  for (const [index, step] of [start, ...access.steps].entries()) {
    const next = stepInto(shape, step, access, index);
    if (!next.ok) return next;
    shape = next.shape;
  }
  return { ok: true, shape };
}

/** `index` counts the steps before this one, the root included. */
function stepInto(shape: Shape, step: AccessStep, access: Access, index: number): Resolved {
  const { start, end } = step;
  const taken = access.steps.slice(0, index);
  const path = pathKey(access.root, taken);
  const written = writtenPath(access.root, taken);
  const refuse = (fault: Omit<Fault, 'start' | 'end'>): Resolved => ({
    ok: false,
    fault: { ...fault, start, end },
  });
  const owner = writtenPath(access.root, taken.slice(0, -1));
  switch (shape.kind) {
    case 'any':
      return { ok: true, shape };
    case 'list':
      if (step.key !== undefined) {
        return refuse({
          message: `${owner} is a list and has no "${step.key}"`,
          expected: `an index or .map(x, x.${step.key})`,
        });
      }
      return { ok: true, shape: shape.of };
    case 'map':
      return { ok: true, shape: step.kind === 'element' ? shapes.string : shape.of };
    case 'object': {
      if (step.key === undefined) return { ok: true, shape: shapes.any };
      const field = Object.hasOwn(shape.fields, step.key) ? shape.fields[step.key] : shape.others;
      const known = Object.keys(shape.fields);
      if (field === undefined) {
        // `steps.a-b` is a subtraction in CEL.
        const dashed = known.find((key) => key.startsWith(`${step.key}-`));
        const isPlural = pluralTitle.test(shape.title);
        const lacks = `${shape.title} ${isPlural ? 'have' : 'has'} no "${step.key}"`;
        const expected = dashed !== undefined ? `${owner}["${dashed}"]` : oneOf(known);
        if (known.length === 0)
          return refuse({
            message: `${lacks}: ${isPlural ? 'there are none' : 'nothing of it can be read'}`,
          });
        return refuse({
          message: lacks,
          expected,
          nearest: nearestWord(step.key, known),
        });
      }
      if ('refused' in field) {
        return refuse({
          message: field.refused,
          ...(field.expected === undefined ? {} : { expected: field.expected }),
        });
      }
      const tested = access.tested || access.guards.has(path);
      if (field.optional !== undefined && !tested) {
        const nearest = Object.hasOwn(shape.fields, step.key) ? undefined : nearestWord(step.key, known);
        const expected = `has(${written}) ? ${written} : …`;
        return refuse({ message: `${written} may be missing: ${field.optional}`, expected, nearest });
      }
      return { ok: true, shape: field.shape };
    }
    case 'string':
    case 'int':
    case 'double':
    case 'bool':
      return refuse({
        message: `${owner} is of type ${shape.kind} and has nothing inside`,
        expected: `${owner} alone`,
      });
    default:
      return assertNever(shape);
  }
}

/** `"a"`, or `one of a, b, c`. */
export const oneOf = (words: readonly string[]): string =>
  words.length === 1 ? `"${words[0]}"` : `one of ${listed(words)}`;

/** At most a dozen words: more do not help. */
function listed(words: readonly string[]): string {
  const shown = words.slice(0, 12);
  return words.length > shown.length ? `${shown.join(', ')}, … (${words.length} in all)` : shown.join(', ');
}
