/** From the text of a profile file to what is applied, or to everything that is wrong with it. */
import type { Diagnostic } from '../diagnostic.ts';
import { keysAt, profileJsonSchema } from './editor-schema.ts';
import { reportIssues } from './issues.ts';
import { profileSchema } from './profile-language.ts';
import { Report } from './report.ts';
import { asList } from './roles.ts';
import { readSource } from './source.ts';
import { isReservedName } from './words.ts';

/** Where a secret is taken from; it is not in the file. */
export type SecretSource = { readonly env: string } | { readonly file: string };

export type ProfileFile = {
  readonly name: string;
  readonly priority: number;
  readonly where: {
    readonly labels: Readonly<Record<string, readonly string[]>>;
    /** Null: whatever the role. */
    readonly roles: readonly string[] | null;
  };
  readonly params: Readonly<Record<string, unknown>>;
  readonly secrets: Readonly<Record<string, SecretSource>>;
};

export type ProfileParsed =
  | { readonly ok: true; readonly profile: ProfileFile }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

export function parseProfile(file: string, text: string): ProfileParsed {
  const read = readSource(file, text);
  if (!read.ok) return read;
  const { source } = read;
  const report = new Report(source);
  const parsed = profileSchema.safeParse(source.value);
  if (!parsed.success) {
    const schema = profileJsonSchema();
    reportIssues(parsed.error.issues, { value: source.value, report, known: (path) => keysAt(schema, path) });
    return { ok: false, diagnostics: report.finish().errors };
  }
  const { name, priority = 0, where = {}, params = {}, secrets = {} } = parsed.data;
  const labels: Record<string, readonly string[]> = {};
  for (const [key, values] of Object.entries(where.labels ?? {})) labels[key] = asList(values);
  for (const key of ['platform', 'site'] as const) {
    const values = where[key];
    if (values === undefined) continue;
    if (Object.hasOwn(labels, key)) report.atKey(['where', 'labels', key], `"${key}" is said above already`);
    labels[key] = asList(values);
  }
  for (const key of ['params', 'secrets'] as const) {
    for (const param of Object.keys(parsed.data[key] ?? {}))
      if (isReservedName(param))
        report.atKey([key, param], `"${param}" is reserved and cannot be the name of a param`);
  }
  const sources: Record<string, SecretSource> = {};
  for (const [param, { env, file: path }] of Object.entries(secrets)) {
    const at = ['secrets', param];
    if (Object.hasOwn(params, param)) report.atKey(at, `${param} stands among the params already`);
    if (env !== undefined && path === undefined) sources[param] = { env };
    else if (env === undefined && path !== undefined) sources[param] = { file: path };
    else report.at(at, 'a secret is taken from one place', { expected: '{ env: NAME } or { file: ./path }' });
  }
  if (Object.keys(params).length + Object.keys(secrets).length === 0)
    report.at([], `profile ${name} gives no param`, { expected: 'params or secrets' });
  const { errors } = report.finish();
  if (errors.length > 0) return { ok: false, diagnostics: errors };
  const roles = where.role === undefined ? null : asList(where.role);
  return { ok: true, profile: { name, priority, where: { labels, roles }, params, secrets: sources } };
}
