/**
 * The JSON Schemas of the language, made from its one schema: for editors (completion, hovers and red lines while
 * a pipeline is written), and for telling which keys may stand in a map, which "did you mean" chooses from.
 */
import * as z from 'zod';
import { extensionSchema } from './extension-language.ts';
import { pipelineSchema } from './language.ts';
import { moduleSchema } from './module-language.ts';
import { profileSchema } from './profile-language.ts';

const forEditors = { target: 'draft-7', io: 'input' } as const;

/** Each takes milliseconds to make and is the same every time. */
const made = new Map<z.ZodType, Readonly<Record<string, unknown>>>();

function editorSchemaOf(schema: z.ZodType): Readonly<Record<string, unknown>> {
  const known = made.get(schema);
  if (known !== undefined) return known;
  const json = { ...z.toJSONSchema(schema, forEditors) };
  made.set(schema, json);
  return json;
}

export const pipelineJsonSchema = (): Readonly<Record<string, unknown>> => editorSchemaOf(pipelineSchema);

export const extensionJsonSchema = (): Readonly<Record<string, unknown>> => editorSchemaOf(extensionSchema);

const either = z.union([pipelineSchema, extensionSchema]);
const eitherJson = z.looseObject({
  definitions: z.unknown(),
  anyOf: z.tuple([
    z.looseObject({ properties: z.record(z.string(), z.unknown()) }),
    z.looseObject({ properties: z.record(z.string(), z.unknown()) }),
  ]),
});

/** Of every file of `kind: pipeline`: one that extends another has keys of its own. */
export function pipelineEditorSchema(): Readonly<Record<string, unknown>> {
  const { definitions, anyOf } = eitherJson.parse(editorSchemaOf(either));
  const [whole, extension] = anyOf;
  const { title, description } = pipelineJsonSchema();
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title,
    description,
    properties: { ...extension.properties, ...whole.properties },
    if: { required: ['extends'] },
    // biome-ignore lint/suspicious/noThenProperty: it is a word of JSON Schema
    then: extension,
    else: whole,
    definitions,
  };
}

export const profileJsonSchema = (): Readonly<Record<string, unknown>> => editorSchemaOf(profileSchema);

export const moduleJsonSchema = (): Readonly<Record<string, unknown>> => editorSchemaOf(moduleSchema);

const node = z.looseObject({
  properties: z.record(z.string(), z.unknown()).optional(),
  additionalProperties: z.unknown().optional(),
  items: z.unknown().optional(),
  anyOf: z.array(z.unknown()).optional(),
});
type Node = z.infer<typeof node>;

/** The schema and, where it allows several forms, each of them. */
function formsOf(schema: unknown): readonly Node[] {
  const parsed = node.safeParse(schema);
  if (!parsed.success) return [];
  return [parsed.data, ...(parsed.data.anyOf ?? []).flatMap(formsOf)];
}

function inside(form: Node, key: string | number): readonly unknown[] {
  if (typeof key === 'number') return [form.items];
  const { properties, additionalProperties } = form;
  if (properties !== undefined && Object.hasOwn(properties, key)) return [properties[key]];
  return [additionalProperties];
}

/** `like` is a key that the map has already: of several forms only those count that know it. */
export function keysAt(
  schema: unknown,
  path: readonly (string | number)[],
  like?: string,
): readonly string[] {
  let forms = formsOf(schema);
  for (const key of path) forms = forms.flatMap((form) => inside(form, key)).flatMap(formsOf);
  const maps = forms.flatMap(({ properties }) => (properties === undefined ? [] : [Object.keys(properties)]));
  const alike = like === undefined ? [] : maps.filter((keys) => keys.includes(like));
  return [...new Set((alike.length > 0 ? alike : maps).flat())];
}
