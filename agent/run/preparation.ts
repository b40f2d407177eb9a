/**
 * Makes an attempt's folder ready for its executions: inputs, the files of its bundle, and whatever comes by
 * digest. What is missing on this host (an interpreter) is said here, before anything runs.
 */
import { accessSync, constants, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { errnoOf, privateFileMode, privateFolderMode } from '../../shared/disk/durable-file.ts';
import { LockstepError, messageOf } from '../../shared/errors.ts';
import type { InputValue, JobSpecification, Script } from '../../shared/messages.ts';
import { clashOf } from '../core/environment.ts';
import { type AttemptFolder, type ExecutionFolder, removeTree, streamFile } from './attempt-folder.ts';
import { basePath } from './base-environment.ts';
import { outputFile, partsFile } from './execution.ts';
import { logMark } from './log-capture.ts';
import { lackOf } from './runners.ts';

/** Content by digest, fetched when it is not here yet. Rejects when it cannot be had, or when told to give up. */
export type ContentStore = {
  /** Path of a read-only file. */
  file(digest: string, signal: AbortSignal): Promise<string>;
  /** Path of a read-only folder with the files of a bundle, and their paths inside it. */
  bundle(digest: string, signal: AbortSignal): Promise<{ folder: string; files: readonly string[] }>;
  /** Where a file that was asked for before is. */
  pathOf(digest: string): string;
};

export type Params = Readonly<Record<string, unknown>>;

export type Prepared =
  | { readonly ok: true; readonly params: Params }
  | { readonly ok: false; readonly reason: string };

export async function prepareAttempt(
  folder: AttemptFolder,
  specification: JobSpecification,
  content: ContentStore,
  signal: AbortSignal,
): Promise<Prepared> {
  const problem = problemOf(specification);
  if (problem !== undefined) return { ok: false, reason: problem };
  try {
    makeEmptyFolder(folder.path);
    mkdirSync(folder.work, { mode: privateFolderMode });
    for (const stream of ['stdout', 'stderr'] as const)
      writeFileSync(streamFile(folder, stream), logMark, { mode: privateFileMode });
    for (const script of scriptsOf(specification)) {
      if ('digest' in script.source) await content.file(script.source.digest, signal);
    }
    if (specification.bundle !== undefined) await layOutBundle(folder, specification.bundle, content, signal);
    const params: Record<string, unknown> = {};
    for (const [name, input] of Object.entries(specification.inputs)) {
      params[name] = await readInput(folder, name, input, content, signal);
    }
    writeFileSync(folder.paramsFile, JSON.stringify(params), { mode: privateFileMode });
    return { ok: true, params };
  } catch (error) {
    return { ok: false, reason: `cannot prepare the job: ${describe(error)}` };
  }
}

const scriptsOf = ({ check, run, verify }: JobSpecification): Script[] =>
  [check, run, verify?.script].filter((script) => script !== undefined);

function problemOf(specification: JobSpecification): string | undefined {
  const clash = clashOf(Object.keys(specification.inputs));
  if (clash !== undefined) {
    const [one, other] = clash;
    return `inputs ${one} and ${other} would both be PARAM_${one.toUpperCase()}: rename one of them`;
  }
  const lack = lackOf(specification.runner, isInstalled);
  if (lack !== undefined) return lack;
  for (const { shell } of scriptsOf(specification)) {
    const [interpreter = ''] = shell;
    if (!isInstalled(interpreter)) {
      return `the interpreter "${interpreter}" is not on this node (looked in ${interpreter.includes('/') ? 'its path' : basePath})`;
    }
  }
  return undefined;
}

function isInstalled(program: string): boolean {
  // A path relative to the working folder may come with the bundle.
  if (program.includes('/')) return !path.isAbsolute(program) || isExecutable(program);
  return basePath.split(':').some((folder) => isExecutable(path.join(folder, program)));
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** What an earlier preparation left behind, before anything was executed, goes. */
function makeEmptyFolder(folder: string): void {
  try {
    mkdirSync(folder, { mode: privateFolderMode });
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
    removeTree(folder);
    mkdirSync(folder, { mode: privateFolderMode });
  }
}

/** Folders of their own, so that a script can write beside the files; the files are links to one shared copy. */
async function layOutBundle(
  folder: AttemptFolder,
  digest: string,
  content: ContentStore,
  signal: AbortSignal,
): Promise<void> {
  const bundle = await content.bundle(digest, signal);
  for (const file of bundle.files) {
    const link = path.join(folder.work, file);
    mkdirSync(path.dirname(link), { recursive: true, mode: privateFolderMode });
    symlinkSync(path.join(bundle.folder, file), link);
  }
}

async function readInput(
  folder: AttemptFolder,
  name: string,
  input: InputValue,
  content: ContentStore,
  signal: AbortSignal,
): Promise<unknown> {
  if ('value' in input) return input.value;
  if ('blob' in input) return JSON.parse(await readFile(await content.file(input.blob, signal), 'utf8'));
  const source = await content.file(input.file, signal);
  const place = path.join(folder.inputs, name);
  mkdirSync(place, { recursive: true, mode: privateFolderMode });
  const link = path.join(place, fileNameOf(input.name));
  symlinkSync(source, link);
  return link;
}

/** The last part of a name that somebody gave, so that what reads the file knows its kind. */
function fileNameOf(name: string): string {
  const base = path.basename(name.replaceAll('\0', ''));
  return base === '' || base === '.' || base === '..' ? 'file' : base;
}

/** What was prepared before a restart. A job can destroy it; then nothing is known of its inputs any more. */
export function readParams(folder: AttemptFolder): Params {
  try {
    const params: Params = JSON.parse(readFileSync(folder.paramsFile, 'utf8'));
    return params;
  } catch {
    return {};
  }
}

/** Makes the folder of one execution. The command that runs its script. */
export function layOutExecution(
  folder: ExecutionFolder,
  script: Script,
  content: Pick<ContentStore, 'pathOf'>,
): readonly string[] {
  mkdirSync(folder.path, { mode: privateFolderMode });
  for (const file of [outputFile(folder.path), partsFile(folder.path)])
    writeFileSync(file, '', { mode: privateFileMode });
  if ('digest' in script.source) return [...script.shell, content.pathOf(script.source.digest)];
  const file = path.join(folder.path, 'script');
  writeFileSync(file, script.source.text, { mode: privateFileMode });
  return [...script.shell, file];
}

/** Without what an error may quote: JSON.parse repeats the text, which may be a secret value. */
function describe(error: unknown): string {
  if (error instanceof SyntaxError) return 'a value that was sent by digest is not JSON';
  return error instanceof LockstepError || error instanceof Error ? messageOf(error) : 'unknown error';
}
