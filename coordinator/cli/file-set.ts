/**
 * What lies beside a pipeline or module file on this machine, hashed when it is asked for. Paths that lead
 * out of the folder are not found: a pipeline from somewhere else must not take the operator's files along.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { LockstepError, messageOf } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import type { FileSet, FileStat } from '../../shared/pipeline/scripts.ts';

export const digestOf = (content: string | Uint8Array): string =>
  `sha256:${createHash('sha256').update(content).digest('hex')}`;

const isMissing = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');

export class FolderFileSet implements FileSet {
  readonly #root: string;
  readonly #known = new Map<string, FileStat>();

  constructor(folder: string) {
    this.#root = realpathSync(folder);
  }

  /** The place on disk of a path that was found. */
  placeOf(path: string): string {
    return join(this.#root, path);
  }

  find(path: string): ReturnType<FileSet['find']> {
    const place = this.#resolve(path);
    if (place === undefined) return undefined;
    const stat = statSync(place);
    if (stat.isFile()) return { kind: 'file', ...this.#statOf(place) };
    if (!stat.isDirectory()) return undefined;
    const files: Record<string, FileStat> = {};
    this.#collect(place, '', files, []);
    return { kind: 'folder', files };
  }

  digest(text: string): string {
    return digestOf(text);
  }

  /** Follows links, but not out of the folder. */
  #resolve(path: string): string | undefined {
    let place: string;
    try {
      place = realpathSync(join(this.#root, path));
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw new LockstepError('usage', `cannot look at ${join(this.#root, path)}: ${messageOf(error)}`, {
        cause: error,
      });
    }
    const inside = relative(this.#root, place);
    return inside === '..' || inside.startsWith(`..${sep}`) ? undefined : place;
  }

  #collect(folder: string, prefix: string, files: Record<string, FileStat>, above: readonly string[]): void {
    // A link to a folder above would go round for ever.
    if (above.includes(folder)) return;
    for (const name of readdirSync(folder).sort()) {
      const place = this.#resolve(relative(this.#root, join(folder, name)));
      if (place === undefined) continue;
      const stat = statSync(place);
      if (stat.isDirectory()) this.#collect(place, `${prefix}${name}/`, files, [...above, folder]);
      else if (stat.isFile()) files[prefix + name] = this.#statOf(place);
      if (Object.keys(files).length > limits.bundleFilesMax)
        throw new LockstepError(
          'too-large',
          `${folder} holds more than ${limits.bundleFilesMax} files: name those that are needed`,
        );
    }
  }

  #statOf(place: string): FileStat {
    const known = this.#known.get(place);
    if (known !== undefined) return known;
    const { size, mode } = statSync(place);
    if (size > limits.blobBytesMax)
      throw new LockstepError(
        'too-large',
        `${place} has ${size} bytes, more than the ${limits.blobBytesMax} that a file may have`,
      );
    let content: Buffer;
    try {
      content = readFileSync(place);
    } catch (cause) {
      throw new LockstepError('usage', `cannot read ${place}: ${messageOf(cause)}`, { cause });
    }
    const stat = { digest: digestOf(content), sizeBytes: content.length, executable: (mode & 0o111) !== 0 };
    this.#known.set(place, stat);
    return stat;
  }
}
