/**
 * A pipeline file with everything it needs, read and judged on this machine, then handed to the coordinator:
 * all its faults are told at once and without a coordinator; only files that it does not have yet travel.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { present } from '../../shared/assert.ts';
import type { Diagnostic } from '../../shared/diagnostic.ts';
import { LockstepError, messageOf } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import type { BundleManifest } from '../../shared/messages.ts';
import type { Pipeline } from '../../shared/pipeline/model.ts';
import { type LoadedModule, parseModule } from '../../shared/pipeline/module.ts';
import { type Opener, openPipeline } from '../../shared/pipeline/opening.ts';
import { parsePipeline } from '../../shared/pipeline/pipeline.ts';
import type { FileStat } from '../../shared/pipeline/scripts.ts';
import type { Variation } from '../../shared/pipeline/variation.ts';
import { digests as digestsSchema } from '../http/resources.ts';
import type { CoordinatorClient } from './client.ts';
import { digestOf, FolderFileSet } from './file-set.ts';
import type { Submission } from './resources.ts';

/** Where on this machine the content of a blob is, by its digest. */
type Content = ReadonlyMap<string, string>;

export type PipelineFile = {
  readonly pipeline: Pipeline;
  readonly warnings: readonly Diagnostic[];
  readonly submission: Submission;
  readonly content: Content;
  /** What it does differently from the pipeline that it extends, if it does. */
  readonly variation?: Variation;
};

export function readText(path: string): string {
  let text: string;
  try {
    if (statSync(path).size > limits.pipelineFileBytesMax)
      throw new LockstepError(
        'too-large',
        `${path} is longer than the ${limits.pipelineFileBytesMax} bytes that a pipeline file may have`,
      );
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    if (cause instanceof LockstepError) throw cause;
    throw new LockstepError('usage', `cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
  return text;
}

const invalid = (file: string, diagnostics: readonly Diagnostic[]): LockstepError => {
  const errors = diagnostics.filter(({ severity }) => severity === 'error').length;
  return new LockstepError(
    'invalid',
    `${file} has ${errors} ${errors === 1 ? 'fault' : 'faults'}: nothing was run`,
    { diagnostics },
  );
};

const manifestOf = (files: ReadonlyMap<string, FileStat>): BundleManifest => ({
  files: [...files]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([path, { digest, sizeBytes, executable }]) => ({ path, digest, sizeBytes, executable })),
});

type Gathered = {
  readonly modules: NonNullable<Submission['modules']>;
  readonly loaded: readonly LoadedModule[];
  readonly diagnostics: readonly Diagnostic[];
  readonly content: Content;
};

const noModules: Gathered = { modules: [], loaded: [], diagnostics: [], content: new Map() };

/** Every module in a folder of modules; those that the pipeline does not use do no harm. */
function gatherModules(folder: string): Gathered {
  const modules: NonNullable<Submission['modules']> = [];
  const loaded: LoadedModule[] = [];
  const diagnostics: Diagnostic[] = [];
  const content = new Map<string, string>();
  for (const name of readdirSync(folder).sort()) {
    const path = join(folder, name, 'module.yaml');
    if (!existsSync(path)) continue;
    const text = readText(path);
    const files = new FolderFileSet(dirname(path));
    const shown = shownPath(path);
    const parsed = parseModule({ file: shown, text, files });
    if (!parsed.ok) {
      diagnostics.push(...parsed.diagnostics);
      continue;
    }
    const bundle = manifestOf(parsed.requiredFiles);
    for (const [file, { digest }] of parsed.requiredFiles) content.set(digest, files.placeOf(file));
    // Only the coordinator's digest pins a module; this one lets the pipeline be judged here.
    loaded.push({ module: parsed.module, digest: digestOf(JSON.stringify({ text, bundle })) });
    modules.push({ file: shown, text, bundle });
    diagnostics.push(...parsed.warnings);
  }
  return { modules, loaded, diagnostics, content };
}

/** As people would type it: relative where it is below this folder. */
export function shownPath(path: string): string {
  const fromHere = relative(process.cwd(), path);
  return fromHere.startsWith('..') ? path : fromHere;
}

/** Other pipeline files, as they are named from this folder; each is read once. */
class PipelineFolder {
  readonly #files = new Map<string, { readonly text: string; readonly files: FolderFileSet }>();

  readonly open: Opener = (name) => {
    const known = this.#files.get(name);
    if (known !== undefined || !existsSync(name)) return known;
    const file = { text: readText(name), files: new FolderFileSet(dirname(name)) };
    this.#files.set(name, file);
    return file;
  };

  placeOf(name: string, path: string): string {
    return present(this.#files.get(name), 'file').files.placeOf(path);
  }
}

/** Reads a pipeline with its files and modules. Throws `invalid` with every fault of all of them. */
export function readPipelineFile(path: string, modulesFolder: string | undefined): PipelineFile {
  if (modulesFolder !== undefined && !existsSync(modulesFolder))
    throw new LockstepError('usage', `--modules ${modulesFolder}: there is no such folder`);
  const main = { file: shownPath(path), text: readText(path), files: new FolderFileSet(dirname(path)) };
  const folder = new PipelineFolder();
  const opened = openPipeline(main, folder.open);
  // A pipeline that cannot be opened is told once more, with all that is wrong.
  const names = opened.ok ? [...opened.texts.keys()] : [main.file];
  const beside = [...new Set(names.map((name) => resolve(dirname(name), 'modules')))];
  const folders = modulesFolder === undefined ? beside.filter(existsSync) : [modulesFolder];
  return readPipeline(main, together(folders.map(gatherModules)), folder);
}

const together = (all: readonly Gathered[]): Gathered => ({
  modules: all.flatMap(({ modules }) => modules),
  loaded: all.flatMap(({ loaded }) => loaded),
  diagnostics: all.flatMap(({ diagnostics }) => diagnostics),
  content: new Map(all.flatMap(({ content }) => [...content])),
});

type Input = { readonly file: string; readonly text: string; readonly files?: FolderFileSet };

/** The same for a pipeline that is in no file. */
export function readPipeline(
  { file, text, files }: Input,
  gathered: Gathered = noModules,
  folder = new PipelineFolder(),
): PipelineFile {
  const parsed = parsePipeline({
    file,
    text,
    modules: gathered.loaded,
    open: folder.open,
    ...(files === undefined ? {} : { files }),
  });
  const fromModules = gathered.diagnostics;
  if (!parsed.ok) throw invalid(basename(file), [...fromModules, ...parsed.diagnostics]);
  if (fromModules.some(({ severity }) => severity === 'error')) throw invalid(basename(file), fromModules);
  const content = new Map(gathered.content);
  if (files !== undefined)
    for (const [path, { digest }] of parsed.requiredFiles) content.set(digest, files.placeOf(path));
  for (const { file: name, requiredFiles } of parsed.others)
    for (const [path, { digest }] of requiredFiles) content.set(digest, folder.placeOf(name, path));
  const pipelines = parsed.others.map(({ file: name, text: other, requiredFiles }) => ({
    file: name,
    text: other,
    bundle: manifestOf(requiredFiles),
  }));
  const bundle = manifestOf(parsed.requiredFiles);
  return {
    pipeline: parsed.pipeline,
    warnings: [...fromModules, ...parsed.warnings],
    submission: { file, text, bundle, modules: gathered.modules, pipelines },
    content,
    ...(parsed.variation === undefined ? {} : { variation: parsed.variation }),
  };
}

/** Sends the files that the coordinator does not have yet. */
export async function uploadMissing(client: CoordinatorClient, content: Content): Promise<void> {
  if (content.size === 0) return;
  const asked = { digests: [...content.keys()] };
  const { digests } = await client.send('POST', '/blobs/missing', asked, digestsSchema);
  const queue = [...digests];
  const upload = async (): Promise<void> => {
    for (let digest = queue.shift(); digest !== undefined; digest = queue.shift()) {
      const place = content.get(digest);
      if (place === undefined) continue;
      const bytes = readFileSync(place);
      if (digestOf(bytes) !== digest)
        throw new LockstepError('usage', `${place} changed while it was being sent: run this again`);
      await client.order('PUT', `/blobs/${digest}`, { content: { bytes } });
    }
  };
  await Promise.all(Array.from({ length: limits.clientUploadsAtOnceMax }, upload));
}
