/** The language reference as Markdown, made from the schema and the table of functions, so that it cannot lag behind. */
import * as z from 'zod';
import { functions } from '../expressions/functions.ts';
import { moduleJsonSchema, pipelineJsonSchema } from './editor-schema.ts';

type Schema = {
  readonly type?: string | undefined;
  readonly title?: string | undefined;
  readonly description?: string | undefined;
  readonly properties?: Readonly<Record<string, Schema>> | undefined;
  readonly required?: readonly string[] | undefined;
  readonly additionalProperties?: unknown;
  readonly items?: unknown;
  readonly anyOf?: readonly Schema[] | undefined;
  readonly enum?: readonly unknown[] | undefined;
  readonly const?: unknown;
};

const schema: z.ZodType<Schema> = z.looseObject({
  type: z.string().optional(),
  title: z.string().optional(),
  description: z.string().optional(),
  properties: z
    .record(
      z.string(),
      z.lazy(() => schema),
    )
    .optional(),
  required: z.array(z.string()).optional(),
  additionalProperties: z.unknown().optional(),
  items: z.unknown().optional(),
  anyOf: z.array(z.lazy(() => schema)).optional(),
  enum: z.array(z.unknown()).optional(),
  const: z.unknown().optional(),
});

const asSchema = (value: unknown): Schema | undefined => schema.safeParse(value).data;

type Inside = { readonly of: Schema; readonly step: string };

/** The map that a key may hold: itself, one of its forms, what its names stand for, or its entries. */
function mapIn(of: Schema | undefined): Inside | undefined {
  if (of === undefined) return undefined;
  if (of.properties !== undefined) return { of, step: '' };
  for (const form of of.anyOf ?? []) {
    const found = mapIn(form);
    if (found !== undefined) return found;
  }
  const named = mapIn(asSchema(of.additionalProperties));
  if (named !== undefined) return { of: named.of, step: `.NAME${named.step}` };
  const entry = mapIn(asSchema(of.items));
  return entry === undefined ? undefined : { of: entry.of, step: `[]${entry.step}` };
}

const forms = (of: Schema): readonly Schema[] => of.anyOf?.flatMap(forms) ?? [of];

function typeOf(of: Schema): string {
  const words = forms(of).map((form) => {
    if (form.enum !== undefined) return form.enum.map((word) => `\`${word}\``).join(', ');
    if (form.const !== undefined) return `\`${form.const}\``;
    if (form.title !== undefined && form.properties === undefined) return form.title;
    switch (form.type) {
      case 'string':
        return 'text';
      case 'integer':
        return 'whole number';
      case 'boolean':
        return '`true`, `false`';
      case 'object':
        return 'map';
      case 'array':
        return 'list';
      default:
        return form.type ?? 'any value';
    }
  });
  return [...new Set(words)].join(' or ');
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

/** Rows of a map and of the maps inside it; `stop` names keys that have a section of their own. */
function rows(of: Schema, prefix: string, stop: ReadonlySet<string>): string[] {
  return Object.entries(of.properties ?? {}).flatMap(([key, value]) => {
    const name = `${prefix}${key}`;
    const needed = of.required?.includes(key) === true ? ', required' : '';
    const own = `| \`${name}\` | ${cell(typeOf(value))}${needed} | ${cell(value.description ?? '')} |`;
    const inside = stop.has(key) ? undefined : mapIn(value);
    return [own, ...(inside === undefined ? [] : rows(inside.of, `${name}${inside.step}.`, stop))];
  });
}

function section(title: string, of: Schema | undefined, stop: readonly string[] = []): string {
  const lines = of === undefined ? [] : rows(of, '', new Set(stop));
  return [`### ${title}`, '', '| key | value | meaning |', '| --- | --- | --- |', ...lines, ''].join('\n');
}

const valuesOf = (of: Schema | undefined): Schema | undefined => asSchema(of?.additionalProperties);

export function describeLanguage(): string {
  const pipeline = asSchema(pipelineJsonSchema());
  const module = asSchema(moduleJsonSchema());
  const units = asSchema(pipeline?.properties?.steps?.items)?.anyOf ?? [];
  const step = units.find((unit) => unit.properties?.group === undefined);
  const group = units.find((unit) => unit.properties?.group !== undefined);
  const calls = functions.map(({ usage, meaning }) => `| \`${cell(usage)}\` | ${cell(meaning)} |`);
  return [
    section('The file', pipeline, ['params', 'roles', 'steps']),
    section('`params.NAME`', valuesOf(pipeline?.properties?.params)),
    section('`roles.NAME`', valuesOf(pipeline?.properties?.roles)),
    section('A step', step),
    section('A group', group, ['group', 'strategy', 'verify', 'needs']),
    section('A module (`module.yaml`)', module, ['tasks']),
    section('`tasks.NAME` of a module', valuesOf(module?.properties?.tasks), ['params']),
    ['### Functions in expressions', '', '| call | meaning |', '| --- | --- |', ...new Set(calls), ''].join(
      '\n',
    ),
  ].join('\n');
}
