/**
 * Files that are still there after a power cut: written aside, fsynced, renamed, and their folder fsynced.
 * `rename` alone is atomic but not durable, and a file is only as durable as the entry that names it.
 * What the bytes mean does not belong here.
 */
import { type FileHandle, mkdir, open, readdir, rename, unlink } from 'node:fs/promises';
import path from 'node:path';
import { LockstepError } from '../errors.ts';

export const privateFileMode = 0o600;
export const privateFolderMode = 0o700;

export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

export const isMissing = (error: unknown): boolean => errnoOf(error) === 'ENOENT';

/** A disk or quota without space, as the system says it or as `explainDiskError` does. */
export const isFull = (error: unknown): boolean =>
  errnoOf(error) === 'ENOSPC' ||
  errnoOf(error) === 'EDQUOT' ||
  (error instanceof LockstepError && error.code === 'disk-full');

/** A full disk or quota as `disk-full`, so that callers can wait for space; any other error as it is. */
export function explainDiskError(error: unknown, attempted: string): unknown {
  if (!isFull(error) || error instanceof LockstepError) return error;
  return new LockstepError(
    'disk-full',
    `${attempted}: no space is left there; free some or enlarge the disk`,
    {
      cause: error,
    },
  );
}

/** Makes the entries of a folder durable: creations, renames and removals inside it. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Creates what is missing of a folder's path, each new entry durable in its parent. */
export async function makeFolder(folder: string): Promise<void> {
  const absolute = path.resolve(folder);
  const top = await mkdir(absolute, { recursive: true, mode: privateFolderMode });
  if (top === undefined) return;
  for (let created = absolute; ; created = path.dirname(created)) {
    await syncFolder(path.dirname(created));
    if (created === path.resolve(top)) return;
  }
}

let temporaryCount = 0;

/** A name beside `file` that no other writer uses, hidden from whoever lists `*` and swept by `sweepTemporaries`. */
export function temporaryName(file: string): string {
  temporaryCount += 1;
  return path.join(path.dirname(file), `.${path.basename(file)}.${process.pid}-${temporaryCount}.tmp`);
}

/**
 * Removes what crashed writers left in a folder, or of one `file` in it. Only for the single owner of the
 * folder; a folder that does not exist has nothing to sweep.
 */
export async function sweepTemporaries(folder: string, file = ''): Promise<void> {
  const names = await readdir(folder).catch((error: unknown) => {
    if (isMissing(error)) return [];
    throw error;
  });
  const prefix = file === '' ? '.' : `.${path.basename(file)}.`;
  for (const name of names) {
    if (name.startsWith(prefix) && name.endsWith('.tmp')) await removeIfThere(path.join(folder, name));
  }
}

export async function removeIfThere(file: string): Promise<void> {
  await unlink(file).catch((error: unknown) => {
    if (!isMissing(error)) throw error;
  });
}

/**
 * Lets `fill` write a temporary file beside `file`, then makes it durable under its name. `beforeRename` runs
 * when the new content is safe and the old still stands. On any failure the old content stands.
 */
export async function replaceFile(
  file: string,
  fill: (handle: FileHandle) => Promise<void>,
  options: { readonly mode?: number; readonly beforeRename?: () => Promise<void> } = {},
): Promise<void> {
  const temporary = temporaryName(file);
  const mode = options.mode ?? privateFileMode;
  try {
    const handle = await open(temporary, 'wx', mode);
    try {
      // `open` subtracts the umask, which would take away what an existing file's mode grants.
      await handle.chmod(mode);
      await fill(handle);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await options.beforeRename?.();
    await rename(temporary, file);
  } catch (error) {
    await removeIfThere(temporary);
    throw explainDiskError(error, `cannot write ${file}`);
  }
  await syncFolder(path.dirname(file));
}

export function writeFileDurably(
  file: string,
  content: string | Uint8Array,
  options: { readonly mode?: number } = {},
): Promise<void> {
  return replaceFile(file, (handle) => handle.writeFile(content), options);
}
