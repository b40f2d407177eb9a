/** Copies of `file` outputs by digest, from the end of the attempt until its result is acknowledged. */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdir, open, readdir, rename } from 'node:fs/promises';
import path from 'node:path';
import {
  explainDiskError,
  privateFileMode,
  privateFolderMode,
  removeIfThere,
  syncFolder,
} from '../../shared/disk/durable-file.ts';
import { LockstepError } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import type { Reserve } from './reserve.ts';

const chunkBytes = 1024 * 1024;

export class OutputStore {
  readonly #folder: string;
  readonly #reserve: Reserve;

  private constructor(folder: string, reserve: Reserve) {
    this.#folder = folder;
    this.#reserve = reserve;
  }

  /** `needed`: digests that results still name; the rest is swept. */
  static async open(folder: string, needed: ReadonlySet<string>, reserve: Reserve): Promise<OutputStore> {
    await mkdir(folder, { recursive: true, mode: privateFolderMode });
    const store = new OutputStore(folder, reserve);
    const names = new Set([...needed].map((digest) => path.basename(store.pathOf(digest))));
    for (const name of await readdir(folder)) {
      if (!names.has(name)) await removeIfThere(path.join(folder, name));
    }
    return store;
  }

  pathOf(digest: string): string {
    return path.join(this.#folder, digest.slice(digest.indexOf(':') + 1));
  }

  /** Durable under its digest when it resolves, because the result that names it will be. */
  async keep(file: string): Promise<string> {
    try {
      return await this.#reserve.spend(() => this.#copy(file));
    } catch (error) {
      // What was copied of it would only take the space of others.
      await removeIfThere(path.join(this.#folder, 'incoming'));
      throw explainDiskError(error, 'cannot keep it');
    }
  }

  async #copy(file: string): Promise<string> {
    const temporary = path.join(this.#folder, 'incoming');
    const source = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const found = await source.stat();
      if (!found.isFile()) throw new LockstepError('invalid', 'it is not a regular file');
      const target = await open(temporary, 'w', privateFileMode);
      const hash = createHash('sha256');
      let total = 0;
      try {
        for (;;) {
          const { bytesRead, buffer } = await source.read({ buffer: Buffer.allocUnsafe(chunkBytes) });
          if (bytesRead === 0) break;
          total += bytesRead;
          if (total > limits.outputFileBytesMax)
            throw new LockstepError('too-large', `it has more than ${limits.outputFileBytesMax} bytes`);
          const bytes = buffer.subarray(0, bytesRead);
          hash.update(bytes);
          await target.writeFile(bytes);
        }
        await target.sync();
      } finally {
        await target.close();
      }
      const digest = `sha256:${hash.digest('hex')}`;
      await rename(temporary, this.pathOf(digest));
      await syncFolder(this.#folder);
      return digest;
    } finally {
      await source.close();
    }
  }

  async drop(digests: readonly string[]): Promise<void> {
    for (const digest of digests) await removeIfThere(this.pathOf(digest));
  }
}
