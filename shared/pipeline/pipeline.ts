/**
 * From the text of a pipeline file to the model that runs are planned from, or to everything that is wrong with
 * it. Pure: what lies beside the file and which modules there are comes in as arguments.
 */
import * as z from 'zod';
import type { Diagnostic } from '../diagnostic.ts';
import { Analyst, Folders } from './analysis.ts';
import { pipelineHead } from './language.ts';
import type { Pipeline, Unit } from './model.ts';
import type { LoadedModule } from './module.ts';
import { type Opener, openPipeline, type PipelineText } from './opening.ts';
import type { FileStat } from './scripts.ts';
import { type Variation, variationOf } from './variation.ts';

export type PipelineInput = PipelineText & {
  readonly modules?: readonly LoadedModule[];
  /** Absent: there are no other files. */
  readonly open?: Opener;
};

/** Another pipeline file that was read, with what it needs of what lies beside it. */
export type OtherFile = {
  readonly file: string;
  readonly text: string;
  readonly requiredFiles: ReadonlyMap<string, FileStat>;
};

export type PipelineParsed =
  | {
      readonly ok: true;
      readonly pipeline: Pipeline;
      readonly warnings: readonly Diagnostic[];
      /** Texts of bundle manifests by digest, and the files that they name, by path beside the pipeline. */
      readonly manifests: ReadonlyMap<string, string>;
      readonly requiredFiles: ReadonlyMap<string, FileStat>;
      readonly others: readonly OtherFile[];
      /** What it does differently from the pipeline that it extends, if it does. */
      readonly variation?: Variation;
    }
  /** Errors first, then warnings, each in the order of the text. */
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

export function parsePipeline(input: PipelineInput): PipelineParsed {
  const opened = openPipeline(input, input.open ?? (() => undefined));
  if (!opened.ok) return opened;
  const { source, report, texts, removed, base } = opened;
  const folders = new Folders(texts);
  const { params, roles, concurrency, units } = new Analyst(input.modules ?? [], folders).analyse(opened);
  const { errors, warnings } = report.finish();
  if (errors.length > 0) return { ok: false, diagnostics: [...errors, ...warnings] };
  const { name, title } = pipelineHeadSchema.parse(source.value);
  const pipeline: Pipeline = {
    name,
    ...(title === undefined ? {} : { title }),
    ...(concurrency === undefined ? {} : { concurrency }),
    params: Object.fromEntries(params),
    roles: Object.fromEntries(roles),
    units,
    modules: modulesOf(units),
  };
  return {
    ok: true,
    pipeline,
    warnings,
    manifests: folders.manifests,
    requiredFiles: folders.requiredOf(input.file),
    others: [...texts.values()]
      .filter(({ file }) => file !== input.file)
      .map(({ file, text }) => ({ file, text, requiredFiles: folders.requiredOf(file) })),
    ...(base === undefined ? {} : { variation: variationOf(base, source, removed) }),
  };
}

const pipelineHeadSchema = z.object({ name: pipelineHead.name, title: pipelineHead.title });

/** By `name@version`, as `uses` names them. */
function modulesOf(units: readonly Unit[]): Readonly<Record<string, string>> {
  const sources = units
    .flatMap(({ steps }) => steps)
    .flatMap(({ tasks }) => tasks.flatMap(({ source }) => (source === undefined ? [] : [source])));
  return Object.fromEntries(sources.map(({ uses, digest }) => [uses.replace(/\/[^@]*/, ''), digest]));
}
