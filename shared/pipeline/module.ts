/**
 * Module files: a versioned package of tasks. A module is read with the files beside it; which modules there are
 * and what their digests are is the caller's knowledge.
 */
import type { Diagnostic } from '../diagnostic.ts';
import { keysAt, moduleJsonSchema } from './editor-schema.ts';
import { reportIssues } from './issues.ts';
import type { ParamDeclaration } from './model.ts';
import { moduleSchema } from './module-language.ts';
import { readParam } from './params.ts';
import { Report } from './report.ts';
import type { FileSet, FileStat } from './scripts.ts';
import { readSource } from './source.ts';
import { isReservedName } from './words.ts';
import { readWork, reportRerun, rerunOf, type Work } from './work.ts';

export type ModuleTask = Work & { readonly params: Readonly<Record<string, ParamDeclaration>> };

export type Module = {
  readonly name: string;
  readonly version: string;
  readonly tasks: Readonly<Record<string, ModuleTask>>;
};

/** A module that pipelines may use, with the digest that pins it. */
export type LoadedModule = { readonly module: Module; readonly digest: string };

export type ModuleInput = { readonly file: string; readonly text: string; readonly files?: FileSet };

export type ModuleParsed =
  | {
      readonly ok: true;
      readonly module: Module;
      readonly warnings: readonly Diagnostic[];
      /** Texts of bundle manifests by digest, and the files that they name, by path beside the module file. */
      readonly manifests: ReadonlyMap<string, string>;
      readonly requiredFiles: ReadonlyMap<string, FileStat>;
    }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

export function parseModule(input: ModuleInput): ModuleParsed {
  const read = readSource(input.file, input.text);
  if (!read.ok) return read;
  const { source } = read;
  const report = new Report(source);
  const parsed = moduleSchema.safeParse(source.value);
  if (!parsed.success) {
    const schema = moduleJsonSchema();
    reportIssues(parsed.error.issues, { value: source.value, report, known: (path) => keysAt(schema, path) });
    return { ok: false, diagnostics: report.finish().errors };
  }
  const bundles = { manifests: new Map<string, string>(), files: new Map<string, FileStat>() };
  const tasks: Record<string, ModuleTask> = {};
  for (const [name, file] of Object.entries(parsed.data.tasks)) {
    const path = ['tasks', name];
    if (isReservedName(name)) report.atKey(path, `"${name}" is reserved and cannot be the name of a task`);
    const params: Record<string, ParamDeclaration> = {};
    for (const [param, declaration] of Object.entries(file.params ?? {})) {
      params[param] = readParam(param, declaration, [...path, 'params', param], report);
    }
    const work = readWork(file, path, false, input.files, bundles, report);
    const hasCheck = work.scripts.check !== undefined;
    const rerun = rerunOf(work.policy.rerun, hasCheck, false);
    const attempts = work.policy.retry?.attempts ?? 1;
    const at = { rerun: [...path, 'rerun'], retry: [...path, 'retry'], until: path };
    reportRerun({ rerun, attempts, hasCheck, hasUntil: false }, at, report);
    tasks[name] = { ...work, params };
  }
  const { errors, warnings } = report.finish();
  if (errors.length > 0) return { ok: false, diagnostics: errors };
  const { name, version } = parsed.data;
  return {
    ok: true,
    module: { name, version, tasks },
    warnings,
    manifests: bundles.manifests,
    requiredFiles: bundles.files,
  };
}
