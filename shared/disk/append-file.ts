/**
 * A file that only grows, one write and one fdatasync at a time: what the journal, the logs and the secrets
 * are made of. It knows bytes and offsets; what they mean, and what a crash may leave of them, is its owner's
 * business.
 */
import fs from 'node:fs';
import { rename } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import {
  explainDiskError,
  privateFileMode,
  removeIfThere,
  syncFolder,
  temporaryName,
} from './durable-file.ts';

const open = promisify(fs.open);
const write = promisify(fs.write);
const datasync = promisify(fs.fdatasync);
const sync = promisify(fs.fsync);
const truncate = promisify(fs.ftruncate);
const close = promisify(fs.close);

/** Plain descriptors instead of `FileHandle`s: two fewer objects and one fewer promise for each write. */
async function writeAll(descriptor: number, bytes: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await write(descriptor, bytes, done, bytes.length - done, offset + done);
    done += bytesWritten;
  }
}

export class AppendFile {
  readonly path: string;
  readonly #descriptor: number;
  #bytes: number;

  private constructor(path: string, descriptor: number, bytes: number) {
    this.path = path;
    this.#descriptor = descriptor;
    this.#bytes = bytes;
  }

  /** All of it is durable. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Gets its name when its beginning is durable: no crash leaves a file without it. Replaces an older file. */
  static async create(file: string, beginning: string): Promise<AppendFile> {
    const temporary = temporaryName(file);
    const bytes = Buffer.from(beginning);
    let descriptor: number | undefined;
    try {
      descriptor = await open(temporary, 'wx', privateFileMode);
      await writeAll(descriptor, bytes, 0);
      await sync(descriptor);
      await rename(temporary, file);
    } catch (error) {
      if (descriptor !== undefined) await close(descriptor);
      await removeIfThere(temporary);
      throw explainDiskError(error, `cannot begin ${file}`);
    }
    await syncFolder(path.dirname(file));
    return new AppendFile(file, descriptor, bytes.length);
  }

  /**
   * Goes on with an existing file: what is beyond `bytes` is cut, `ending` is added, and everything is
   * fsynced, also when nothing changed. The process before may have been killed between write and fsync, and
   * what was read will be acted upon.
   */
  static async resume(file: string, bytes: number, ending = ''): Promise<AppendFile> {
    const descriptor = await open(file, 'r+');
    try {
      await truncate(descriptor, bytes);
      await writeAll(descriptor, Buffer.from(ending), bytes);
      await sync(descriptor);
      await syncFolder(path.dirname(file));
    } catch (error) {
      await close(descriptor);
      throw explainDiskError(error, `cannot open ${file}`);
    }
    return new AppendFile(file, descriptor, bytes + Buffer.byteLength(ending));
  }

  /**
   * Resolves when the bytes are durable. Not while another append is in flight. Rejects with `disk-full` when
   * the write found no space: the file is then as it was before. After any other rejection what the disk holds
   * is unknown, and the file must not be used again until it was read anew.
   */
  async append(bytes: Uint8Array): Promise<void> {
    const before = this.#bytes;
    try {
      await writeAll(this.#descriptor, bytes, before);
    } catch (error) {
      const explained = explainDiskError(error, `cannot append to ${this.path}`);
      // Cut durably, so that a crash after the next, shorter append cannot bring back the end of this one.
      if (explained !== error) {
        await truncate(this.#descriptor, before);
        await sync(this.#descriptor);
      }
      throw explained;
    }
    await datasync(this.#descriptor);
    this.#bytes = before + bytes.length;
  }

  close(): Promise<void> {
    return close(this.#descriptor);
  }
}
