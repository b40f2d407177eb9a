/** What the schema says of a pipeline file. Other findings follow all the same: as many as possible are told at once. */
import type * as z from 'zod';
import { extensionJsonSchema, keysAt, pipelineJsonSchema } from './editor-schema.ts';
import { extensionSchema } from './extension-language.ts';
import { reportIssues, type Standing } from './issues.ts';
import {
  callSchema,
  finallySchema,
  groupSchema,
  memberStepSchema,
  pipelineSchema,
  stepSchema,
} from './language.ts';
import type { Report } from './report.ts';
import type { Path, Source } from './source.ts';

export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export const extendsAnother = (value: unknown): boolean => isRecord(value) && 'extends' in value;

export function reportForm(source: Source, report: Report): void {
  const { value } = source;
  const extending = extendsAnother(value);
  const parsed = (extending ? extensionSchema : pipelineSchema).safeParse(value);
  if (parsed.success) return;
  const schema = extending ? extensionJsonSchema() : pipelineJsonSchema();
  const formOf = (path: Path): string | undefined => {
    const [, index] = path;
    const steps = isRecord(value) ? value.steps : undefined;
    const unit: unknown = Array.isArray(steps) && typeof index === 'number' ? steps[index] : undefined;
    if (path[0] !== 'steps' || path.length !== 2) return undefined;
    return isGroup(unit) ? 'group' : isCall(unit) ? 'pipeline' : undefined;
  };
  // What is put into another pipeline is judged where it comes to stand.
  const issues = parsed.error.issues.filter(({ path }) => !isPlacedLater(path.map(String)));
  reportIssues(issues, { value, report, known: (path) => keysAt(schema, path, formOf(path)) });
}

const isPlacedLater = ([list, , key, ...inside]: readonly string[]): boolean =>
  (list === 'insert' && key === 'steps' && inside.length > 0) || (list === 'replace' && key === 'with');

/** Where a step may come to stand: beside others, in a group, at the end. */
export type Standpoint = 'unit' | 'member' | 'finally';

/** A step or group that another file puts there. */
export function reportPlaced(
  item: unknown,
  standpoint: Standpoint,
  path: Path,
  source: Source,
  report: Report,
): void {
  const schema = schemaFor(item, standpoint);
  const parsed = schema.safeParse(item);
  if (parsed.success) return;
  const known = extensionJsonSchema();
  const kinds: Readonly<Record<Standpoint, Standing['kind']>> = {
    unit: isGroup(item) ? 'group' : undefined,
    member: 'member',
    finally: 'finally',
  };
  const like =
    standpoint === 'member' ? undefined : isGroup(item) ? 'group' : isCall(item) ? 'pipeline' : 'on';
  reportIssues(
    parsed.error.issues,
    {
      value: source.value,
      report,
      standing: { path, kind: kinds[standpoint] },
      known: (at) => keysAt(known, at, at.length === path.length ? like : undefined),
    },
    path,
  );
}

const isGroup = (item: unknown): boolean => isRecord(item) && 'group' in item;
const isCall = (item: unknown): boolean => isRecord(item) && 'pipeline' in item;

function schemaFor(item: unknown, standpoint: Standpoint): z.ZodType {
  if (standpoint === 'unit') return isGroup(item) ? groupSchema : isCall(item) ? callSchema : stepSchema;
  return standpoint === 'member' ? memberStepSchema : finallySchema;
}
