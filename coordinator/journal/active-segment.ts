/**
 * The one segment that is written: batches go to its end by one write and one fdatasync. It knows bytes and
 * offsets, not events.
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
} from '../../shared/disk/durable-file.ts';
import { encodeHeader, type SegmentHeader } from './chain.ts';
import { plainSegment } from './segment-folder.ts';

const open = promisify(fs.open);
const write = promisify(fs.write);
const datasync = promisify(fs.fdatasync);
const sync = promisify(fs.fsync);
const truncate = promisify(fs.ftruncate);
const close = promisify(fs.close);

/** Plain descriptors instead of `FileHandle`s: two fewer objects and one fewer promise for each batch. */
async function writeAll(descriptor: number, bytes: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await write(descriptor, bytes, done, bytes.length - done, offset + done);
    done += bytesWritten;
  }
}

export class ActiveSegment {
  readonly first: number;
  readonly #file: string;
  readonly #descriptor: number;
  #bytes: number;

  private constructor(first: number, file: string, descriptor: number, bytes: number) {
    this.first = first;
    this.#file = file;
    this.#descriptor = descriptor;
    this.#bytes = bytes;
  }

  /** All of it is durable. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Durable, entry and header, before it has its name: no crash leaves a segment without a whole header. */
  static async create(
    folder: string,
    header: Omit<SegmentHeader, 'format'>,
  ): Promise<{ readonly segment: ActiveSegment; readonly chain: string }> {
    const { file } = plainSegment(folder, header.first);
    const temporary = temporaryName(file);
    const { text, hash } = encodeHeader(header);
    const bytes = Buffer.from(text);
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
    return { segment: new ActiveSegment(header.first, file, descriptor, bytes.length), chain: hash };
  }

  /**
   * Goes on with an existing file: what is beyond `bytes` is cut, `ending` is added, and everything is
   * fsynced, also when nothing changed. The process before may have been killed between write and fsync, and
   * what is read from now on will be acted upon.
   */
  static async resume(file: string, first: number, bytes: number, ending: string): Promise<ActiveSegment> {
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
    return new ActiveSegment(first, file, descriptor, bytes + Buffer.byteLength(ending));
  }

  /**
   * Rejects with `disk-full` when the write found no space: the file is then as it was before. Any other
   * rejection leaves the file unknown, and it must not be used again.
   */
  async append(bytes: Uint8Array): Promise<void> {
    const before = this.#bytes;
    try {
      await writeAll(this.#descriptor, bytes, before);
    } catch (error) {
      const explained = explainDiskError(error, `cannot append to ${this.#file}`);
      // Cut durably, so that a crash after the next, shorter batch cannot bring back the end of this one.
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
