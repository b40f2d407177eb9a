/**
 * Uploads that broke, kept so that they can go on: one file for each digest, `<64 hex digits>.part`, also across
 * a restart. What such a file holds is not durable and not proved; only when an upload has come to its end is it
 * checked, and then it belongs to the store of blobs. Old ones, and the oldest over a bound, are deleted.
 */
import { createHash } from 'node:crypto';
import { createReadStream, renameSync } from 'node:fs';
import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { isMissing, privateFileMode, removeIfThere, temporaryName } from '../../shared/disk/durable-file.ts';
import { LockstepError } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';

/** Which bytes come, of how many. */
export type Part = { readonly start: number; readonly size: number };

const suffix = '.part';

export class PartialBlobs {
  readonly #folder: string;
  /** The upload that may write, by digest: a later one takes over from one whose connection is dead. */
  readonly #writers = new Map<string, symbol>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** How much of it is here. */
  async offset(digest: string): Promise<number> {
    return (await look(this.#place(digest)))?.bytes ?? 0;
  }

  /**
   * Takes the bytes from `start` to the end and gives a temporary file, which is synced and what the digest says.
   * What came before an error stays. Throws `conflict` when it has less than what is before `start`, when
   * another upload took over, or when what was put together is something else: then it is gone.
   */
  async take(digest: string, { start, size }: Part, chunks: AsyncIterable<Uint8Array>): Promise<string> {
    const place = this.#place(digest);
    const have = await this.offset(digest);
    if (start > have)
      throw new LockstepError('conflict', `${have} bytes of ${digest} are here; send it from there on`);
    if (have === 0) await this.#makeRoom(size);
    const writer = Symbol(digest);
    this.#writers.set(digest, writer);
    try {
      const handle = await open(place, start === 0 ? 'w' : 'r+', privateFileMode);
      try {
        await this.#write(handle, digest, writer, { start, size }, chunks);
        await handle.sync();
      } finally {
        await handle.close();
      }
      // Out of reach of other uploads before it is looked at: nobody may write to what was proved.
      this.#checkWriter(digest, writer);
      const whole = temporaryName(path.join(this.#folder, 'blob'));
      renameSync(place, whole);
      if ((await digestOfFile(whole)) === digest) return whole;
      await removeIfThere(whole);
      // Sent in one piece, it is the sender's content that is wrong.
      throw new LockstepError(
        start === 0 ? 'invalid' : 'conflict',
        `the content that was sent is not ${digest}; send it again from its beginning`,
      );
    } finally {
      if (this.#writers.get(digest) === writer) this.#writers.delete(digest);
    }
  }

  async drop(digest: string): Promise<void> {
    await removeIfThere(this.#place(digest));
  }

  /** Deletes what nobody went on with for `partialBlobKeptMs`. */
  async sweep(now: number): Promise<void> {
    for (const { file, at } of await this.#idle())
      if (at < now - limits.partialBlobKeptMs) await removeIfThere(file);
  }

  async #write(
    handle: FileHandle,
    digest: string,
    writer: symbol,
    { start, size }: Part,
    chunks: AsyncIterable<Uint8Array>,
  ): Promise<void> {
    await handle.truncate(start);
    let position = start;
    for await (const chunk of chunks) {
      this.#checkWriter(digest, writer);
      if (position + chunk.length > size)
        throw new LockstepError('invalid', `more was sent of ${digest} than its ${size} bytes`);
      for (let written = 0; written < chunk.length; ) {
        const { bytesWritten } = await handle.write(
          chunk,
          written,
          chunk.length - written,
          position + written,
        );
        written += bytesWritten;
      }
      position += chunk.length;
    }
    if (position < size)
      throw new LockstepError('unreachable', `the upload of ${digest} broke off after ${position} bytes`);
  }

  #checkWriter(digest: string, writer: symbol): void {
    if (this.#writers.get(digest) !== writer)
      throw new LockstepError('conflict', `another upload of ${digest} goes on with it`);
  }

  /** The oldest go first. */
  async #makeRoom(bytes: number): Promise<void> {
    const idle = (await this.#idle()).sort((a, b) => a.at - b.at);
    let total = idle.reduce((sum, one) => sum + one.bytes, bytes);
    for (const [index, one] of idle.entries()) {
      if (total <= limits.partialBlobsBytesMax && idle.length - index < limits.partialBlobsMax) return;
      await removeIfThere(one.file);
      total -= one.bytes;
    }
  }

  /** Those that no upload writes to. */
  async #idle(): Promise<{ file: string; bytes: number; at: number }[]> {
    const active = new Set([...this.#writers.keys()].map((digest) => this.#place(digest)));
    const found: { file: string; bytes: number; at: number }[] = [];
    for (const name of await readdir(this.#folder)) {
      const file = path.join(this.#folder, name);
      if (!name.endsWith(suffix) || active.has(file)) continue;
      const there = await look(file);
      if (there !== undefined) found.push({ file, ...there });
    }
    return found;
  }

  /** The digest was checked by whoever asks. */
  #place(digest: string): string {
    return path.join(this.#folder, `${digest.slice('sha256:'.length)}${suffix}`);
  }
}

async function look(file: string): Promise<{ bytes: number; at: number } | undefined> {
  try {
    const { size, mtimeMs } = await stat(file);
    return { bytes: size, at: mtimeMs };
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

async function digestOfFile(file: string): Promise<string> {
  const digester = createHash('sha256');
  for await (const chunk of createReadStream(file)) digester.update(chunk);
  return `sha256:${digester.digest('hex')}`;
}
