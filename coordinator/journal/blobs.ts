/**
 * Content by digest: facts, scripts, inputs, outputs and module files, which events name as `sha256:<hex>`. A
 * blob is durable before `put` resolves, and so before any event can name it. What it contains does not belong
 * here, nor which blobs are still named: `collect` is told.
 *
 * On disk: `<two hex digits>/<64 hex digits>`, and `incoming/` for what is being written or broke off.
 */
import { createHash, hash } from 'node:crypto';
import { readFileSync, statSync, unlinkSync } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, stat, utimes } from 'node:fs/promises';
import path from 'node:path';
import {
  explainDiskError,
  isMissing,
  makeFolder,
  privateFileMode,
  privateFolderMode,
  removeIfThere,
  sweepTemporaries,
  syncFolder,
  temporaryName,
} from '../../shared/disk/durable-file.ts';
import { LockstepError } from '../../shared/errors.ts';
import { digestPattern } from '../../shared/ids.ts';
import { limits } from '../../shared/limits.ts';
import { FolderSyncs } from './folder-syncs.ts';
import { type Part, PartialBlobs } from './partial-blobs.ts';
import { Turnstile } from './turnstile.ts';

/** Bytes from `start` on, up to and without `end`. */
export type ByteRange = { readonly start: number; readonly end: number };

export type StoredBlob = { readonly digest: string; readonly bytes: number };

export type BlobStream = {
  /** Of the whole blob, whatever the range. */
  readonly size: number;
  readonly chunks: AsyncGenerator<Buffer>;
};

const chunkBytes = 256 * 1024;
const fanOut = Array.from({ length: 256 }, (_, number) => number.toString(16).padStart(2, '0'));

export class BlobStore {
  readonly #folder: string;
  readonly #folderSyncs = new FolderSyncs();
  readonly #partial: PartialBlobs;
  readonly #writers = new Turnstile(limits.blobsAtOnceMax, limits.blobsQueuedMax);
  /** Being stored now, so that puts of the same content share one write. */
  readonly #storing = new Map<string, Promise<void>>();
  /**
   * Durable for certain, with the time of the last put by the monotonic clock; the least recently put first,
   * bounded.
   */
  readonly #known = new Map<string, number>();

  private constructor(folder: string) {
    this.#folder = folder;
    this.#partial = new PartialBlobs(path.join(folder, 'incoming'));
  }

  static async open(folder: string): Promise<BlobStore> {
    const incoming = path.join(folder, 'incoming');
    await makeFolder(incoming);
    await sweepTemporaries(incoming);
    const there = new Set(await readdir(folder));
    const missing = fanOut.filter((name) => !there.has(name));
    for (const name of missing) await mkdir(path.join(folder, name), { mode: privateFolderMode });
    if (missing.length > 0) await syncFolder(folder);
    return new BlobStore(folder);
  }

  /**
   * The digest, once the content is durable. Content that was put before costs a hash. Throws `too-large`, or
   * `disk-full` without a trace.
   */
  async put(content: Uint8Array | string): Promise<string> {
    const bytes = typeof content === 'string' ? Buffer.from(content) : content;
    this.#checkSize(bytes.length);
    const digest = `sha256:${hash('sha256', bytes, 'hex')}`;
    if (this.#isKnown(digest)) return digest;
    await this.#storeOnce(digest, bytes.length, () => this.#writers.pass(() => this.#write(bytes)));
    return digest;
  }

  /**
   * Like `put`, for content that comes in pieces and need not fit into memory. It may come slowly, so that it
   * takes no writer's place; whoever accepts such streams bounds their number.
   */
  async putStream(chunks: AsyncIterable<Uint8Array>): Promise<StoredBlob> {
    const digester = createHash('sha256');
    let bytes = 0;
    const temporary = await this.#fill(async (handle) => {
      for await (const chunk of chunks) {
        bytes += chunk.length;
        this.#checkSize(bytes);
        digester.update(chunk);
        await handle.appendFile(chunk);
      }
    });
    const digest = `sha256:${digester.digest('hex')}`;
    try {
      await this.#storeOnce(digest, bytes, async () => temporary);
    } finally {
      await removeIfThere(temporary);
    }
    return { digest, bytes };
  }

  /**
   * Like `putStream`, for content whose digest and size are known: what came before the stream broke is kept, and
   * the next part begins at `offset`. Throws `conflict` when it does not fit what is here.
   */
  async putPart(digest: string, part: Part, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    this.#place(digest);
    this.#checkSize(part.size);
    try {
      const file = await this.#partial.take(digest, part, chunks);
      try {
        await this.#storeOnce(digest, part.size, async () => file);
      } finally {
        await removeIfThere(file);
      }
    } catch (error) {
      const explained = explainDiskError(error, `cannot store a blob in ${this.#folder}`);
      if (explained instanceof LockstepError && explained.code === 'disk-full')
        await this.#partial.drop(digest);
      throw explained;
    }
  }

  /** From where on a part of it can be put. */
  async offset(digest: string): Promise<number> {
    this.#place(digest);
    return this.#partial.offset(digest);
  }

  async has(digest: string): Promise<boolean> {
    return this.#known.has(digest) || (await sizeOf(this.#place(digest))) !== undefined;
  }

  /** Those that are not here. */
  async missing(digests: Iterable<string>): Promise<readonly string[]> {
    const absent: string[] = [];
    for (const digest of digests) if (!(await this.has(digest))) absent.push(digest);
    return absent;
  }

  /**
   * The content, checked against its digest unless only a range of it is read. Throws `not-found`, or `damaged`;
   * a damaged blob is put aside, so that it counts as missing and can be put again.
   */
  async read(digest: string, range?: ByteRange): Promise<Buffer> {
    const { chunks } = await this.stream(digest, range);
    const parts: Buffer[] = [];
    for await (const chunk of chunks) parts.push(chunk);
    return Buffer.concat(parts);
  }

  /**
   * A short text at once, checked against its digest: decisions are synchronous and look up what events name.
   * Undefined when there is none. Throws `damaged`.
   */
  textSync(digest: string): string | undefined {
    const place = this.#place(digest);
    let content: Buffer;
    try {
      content = readFileSync(place);
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
    if (`sha256:${hash('sha256', content, 'hex')}` === digest) return content.toString();
    throw new LockstepError('damaged', `${place} is damaged: its content has another digest`);
  }

  /**
   * Like `read`, in pieces; the file is opened when the first one is asked for. A whole read that ends without
   * an error was what the digest says; until then the pieces are not proved.
   */
  async stream(digest: string, range?: ByteRange): Promise<BlobStream> {
    const size = await sizeOf(this.#place(digest));
    if (size === undefined) throw notFound(digest);
    const { start, end } = range ?? { start: 0, end: size };
    if (
      !(Number.isSafeInteger(start) && Number.isSafeInteger(end) && 0 <= start && start <= end && end <= size)
    ) {
      throw new LockstepError('invalid', `cannot read bytes ${start} to ${end} of ${digest}: it has ${size}`);
    }
    return { size, chunks: this.#chunks(digest, { start, end }, start === 0 && end === size) };
  }

  /**
   * Deletes blobs that are not live, and what was put aside, when they not put for `blobAgeMinMs`: an event that
   * names a new blob may not be in the journal yet from which the caller learned what is live. `now` is that of the
   * wall, as times of files are.
   */
  async collect(
    isLive: (digest: string) => boolean,
    now: number,
  ): Promise<{ deleted: number; bytes: number }> {
    const newest = now - limits.blobAgeMinMs;
    // The clock on the wall may have been set since.
    const newestPut = performance.now() - limits.blobAgeMinMs;
    await this.#partial.sweep(now);
    let deleted = 0;
    let bytes = 0;
    for (const name of fanOut) {
      const folder = path.join(this.#folder, name);
      for (const file of await readdir(folder)) {
        const digest = `sha256:${file}`;
        const isBlob = digestPattern.test(digest);
        if (isBlob && (isLive(digest) || this.#storing.has(digest))) continue;
        if ((this.#known.get(digest) ?? Number.NEGATIVE_INFINITY) > newestPut) continue;
        // Looking and deleting without an `await` in between: a put either came before, and is seen, or finds
        // the blob gone and writes it again.
        const there = statSync(path.join(folder, file), { throwIfNoEntry: false });
        if (there === undefined || there.mtimeMs > newest) continue;
        unlinkSync(path.join(folder, file));
        this.#known.delete(digest);
        deleted += 1;
        bytes += there.size;
      }
    }
    return { deleted, bytes };
  }

  async *#chunks(digest: string, range: ByteRange, whole: boolean): AsyncGenerator<Buffer> {
    const handle = await open(this.#place(digest), 'r').catch((error: unknown) => {
      throw isMissing(error) ? notFound(digest) : error;
    });
    try {
      const digester = createHash('sha256');
      for (let position = range.start; position < range.end; ) {
        const length = Math.min(chunkBytes, range.end - position);
        const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(length), 0, length, position);
        if (bytesRead === 0) throw await this.#putAside(digest, 'it became shorter while it was read');
        const chunk = buffer.subarray(0, bytesRead);
        if (whole) digester.update(chunk);
        yield chunk;
        position += bytesRead;
      }
      if (whole && `sha256:${digester.digest('hex')}` !== digest) {
        throw await this.#putAside(digest, 'its content has another digest');
      }
    } finally {
      await handle.close();
    }
  }

  async #putAside(digest: string, why: string): Promise<LockstepError> {
    const place = this.#place(digest);
    this.#known.delete(digest);
    await rename(place, `${place}.damaged`);
    await touch(`${place}.damaged`);
    return new LockstepError('damaged', `${place} is damaged: ${why}; it was put aside as ${place}.damaged`);
  }

  /** `temporary` gives the name of a durable file with the content, and is called only if that is needed. */
  #storeOnce(digest: string, bytes: number, temporary: () => Promise<string>): Promise<void> {
    const running = this.#storing.get(digest);
    if (running !== undefined) return running;
    const storing = this.#store(digest, bytes, temporary).finally(() => this.#storing.delete(digest));
    this.#storing.set(digest, storing);
    return storing;
  }

  async #store(digest: string, bytes: number, temporary: () => Promise<string>): Promise<void> {
    const place = this.#place(digest);
    if ((await sizeOf(place)) === bytes) {
      // New again for `collect`; and its entry may not be durable, if a process was killed after the rename.
      await touch(place);
    } else {
      await rename(await temporary(), place);
    }
    await this.#folderSyncs.sync(path.dirname(place));
    this.#remember(digest);
  }

  #write(bytes: Uint8Array): Promise<string> {
    return this.#fill((handle) => handle.writeFile(bytes));
  }

  async #fill(fill: (handle: FileHandle) => Promise<void>): Promise<string> {
    const temporary = temporaryName(path.join(this.#folder, 'incoming', 'blob'));
    try {
      const handle = await open(temporary, 'wx', privateFileMode);
      try {
        await fill(handle);
        await handle.sync();
      } finally {
        await handle.close();
      }
      return temporary;
    } catch (error) {
      await removeIfThere(temporary);
      throw explainDiskError(error, `cannot store a blob in ${this.#folder}`);
    }
  }

  #checkSize(bytes: number): void {
    if (bytes <= limits.blobBytesMax) return;
    throw new LockstepError(
      'too-large',
      `cannot store a blob of more than ${limits.blobBytesMax} bytes (blobBytesMax)`,
    );
  }

  /** Throws `invalid` for what is not a digest, so that no text from outside becomes a path. */
  #place(digest: string): string {
    if (!digestPattern.test(digest))
      throw new LockstepError('invalid', `not a digest: ${digest.slice(0, 100)}`);
    const hex = digest.slice('sha256:'.length);
    return path.join(this.#folder, hex.slice(0, 2), hex);
  }

  #isKnown(digest: string): boolean {
    if (!this.#known.has(digest)) return false;
    this.#remember(digest);
    return true;
  }

  #remember(digest: string): void {
    this.#known.delete(digest);
    this.#known.set(digest, performance.now());
    if (this.#known.size <= limits.blobsKnownMax) return;
    const [oldest] = this.#known.keys();
    if (oldest !== undefined) this.#known.delete(oldest);
  }
}

async function sizeOf(file: string): Promise<number | undefined> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function touch(file: string): Promise<void> {
  const now = new Date();
  return utimes(file, now, now);
}

const notFound = (digest: string): LockstepError =>
  new LockstepError('not-found', `there is no blob ${digest}; put it first`);
