/**
 * Content by digest on the node: scripts, inputs and the files of bundles, each fetched once. Least recently
 * used content goes when there is more than `agentCacheBytesMax`, never what a held job names.
 *
 *   cache/blobs/<hex>       one blob, read-only
 *   cache/bundles/<hex>/    the files of one bundle as a tree: hard links to blobs, copies where executable
 *
 * Nothing is fsynced: content is hashed again before its first use in each process.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import {
  chmod,
  copyFile,
  link,
  lstat,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  utimes,
} from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { isMissing, privateFolderMode, removeIfThere } from '../../shared/disk/durable-file.ts';
import { LockstepError } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import { type BundleManifest, bundleManifestSchema } from '../../shared/messages.ts';

/** Fetches a blob into a file, going on where the file ends. The bytes are checked by the caller. */
export type Fetch = (digest: string, file: string, signal: AbortSignal) => Promise<void>;

export type BlobCacheParts = {
  readonly folder: string;
  readonly fetch: Fetch;
  /** Digests that must not be evicted now. */
  readonly pinned: () => ReadonlySet<string>;
  readonly bytesMax?: number;
};

type Manifest = { readonly folder: string; readonly files: readonly string[] };

export class BlobCache {
  readonly #parts: BlobCacheParts;
  /** Hashed, or fetched, by this process. */
  readonly #verified = new Set<string>();
  readonly #bundles = new Map<string, Manifest>();
  #grown = true;

  constructor(parts: BlobCacheParts) {
    this.#parts = parts;
  }

  /** Once, before anything else. */
  async open(): Promise<void> {
    for (const folder of [this.#blobs, this.#trees]) {
      await mkdir(folder, { recursive: true, mode: privateFolderMode });
      for (const name of await readdir(folder)) {
        if (/\.(new|part)$/.test(name)) await rm(path.join(folder, name), { recursive: true, force: true });
      }
    }
  }

  pathOf(digest: string): string {
    return path.join(this.#blobs, hexOf(digest));
  }

  async file(digest: string, signal: AbortSignal): Promise<string> {
    const file = await this.#have(digest, signal);
    await this.#evict(digest);
    return file;
  }

  async bundle(digest: string, signal: AbortSignal): Promise<Manifest> {
    const known = this.#bundles.get(digest);
    const folder = path.join(this.#trees, hexOf(digest));
    if (known !== undefined) {
      await touch(folder);
      return known;
    }
    const manifest = await this.#manifest(digest, signal);
    if (!(await isWhole(folder, manifest))) await this.#build(folder, manifest, signal);
    await touch(folder);
    const bundle = { folder, files: manifest.files.map((file) => file.path) };
    this.#bundles.set(digest, bundle);
    await this.#evict(digest);
    return bundle;
  }

  get #blobs(): string {
    return path.join(this.#parts.folder, 'blobs');
  }

  get #trees(): string {
    return path.join(this.#parts.folder, 'bundles');
  }

  async #manifest(digest: string, signal: AbortSignal): Promise<BundleManifest> {
    const text = await readFile(await this.#have(digest, signal), 'utf8');
    const manifest = bundleManifestSchema.safeParse(parseJson(text));
    if (!manifest.success) throw new LockstepError('invalid', `bundle ${digest} is not a list of files`);
    const bytes = manifest.data.files.reduce((sum, file) => sum + file.sizeBytes, 0);
    if (bytes > limits.bundleBytesMax)
      throw new LockstepError('too-large', `bundle ${digest} has more than ${limits.bundleBytesMax} bytes`);
    return manifest.data;
  }

  async #have(digest: string, signal: AbortSignal): Promise<string> {
    const file = this.pathOf(digest);
    if (this.#verified.has(digest) || (await digestOf(file)) === digest) {
      this.#verified.add(digest);
      await touch(file);
      return file;
    }
    await removeIfThere(file);
    const part = `${file}.part`;
    await this.#parts.fetch(digest, part, signal);
    if ((await digestOf(part)) !== digest) {
      await removeIfThere(part);
      throw new LockstepError('damaged', `what the coordinator sent for ${digest} has another digest`);
    }
    await chmod(part, 0o444);
    await rename(part, file);
    // The kernel's time of writing is coarser than ours: by it, what is newest may look older than its neighbours.
    await touch(file);
    this.#grown = true;
    this.#verified.add(digest);
    return file;
  }

  async #build(folder: string, { files }: BundleManifest, signal: AbortSignal): Promise<void> {
    const digests = [...new Set(files.map((file) => file.digest))];
    const fetchNext = async (): Promise<void> => {
      for (let digest = digests.pop(); digest !== undefined; digest = digests.pop()) {
        await this.#have(digest, signal);
      }
    };
    await Promise.all(Array.from({ length: limits.blobFetchesAtOnceMax }, fetchNext));
    const fresh = `${folder}.new`;
    await rm(fresh, { recursive: true, force: true });
    await mkdir(fresh, { mode: privateFolderMode });
    for (const file of files) {
      const place = path.join(fresh, file.path);
      await mkdir(path.dirname(place), { recursive: true, mode: privateFolderMode });
      // Modes belong to the inode: an executable file is a copy, so that the same content can also be a plain one.
      if (!file.executable) await link(this.pathOf(file.digest), place);
      else {
        await copyFile(this.pathOf(file.digest), place);
        await chmod(place, 0o555);
      }
    }
    await rm(folder, { recursive: true, force: true });
    await rename(fresh, folder);
  }

  /**
   * Files that a kept bundle shares do not get smaller by going, so bytes count by inode. What was just asked
   * for stays, even if it alone is more than the bound.
   */
  async #evict(asked: string): Promise<void> {
    if (!this.#grown) return;
    this.#grown = false;
    const entries = await this.#entries();
    const links = new Map<number, number>();
    let total = 0;
    for (const { inodes } of entries) {
      for (const { inode, bytes } of inodes) {
        const count = links.get(inode) ?? 0;
        if (count === 0) total += bytes;
        links.set(inode, count + 1);
      }
    }
    const pinned = new Set([asked, ...this.#parts.pinned()].map(hexOf));
    for (const entry of entries.sort((a, b) => a.usedMs - b.usedMs)) {
      if (total <= (this.#parts.bytesMax ?? limits.agentCacheBytesMax)) return;
      if (pinned.has(entry.hex)) continue;
      await rm(entry.path, { recursive: true, force: true });
      this.#verified.delete(`sha256:${entry.hex}`);
      this.#bundles.delete(`sha256:${entry.hex}`);
      for (const { inode, bytes } of entry.inodes) {
        const left = (links.get(inode) ?? 1) - 1;
        links.set(inode, left);
        if (left === 0) total -= bytes;
      }
    }
  }

  async #entries(): Promise<CacheEntry[]> {
    const entries: CacheEntry[] = [];
    for (const folder of [this.#blobs, this.#trees]) {
      for (const name of await readdir(folder)) {
        // Content that is just being fetched has another name until it is whole.
        if (!/^[0-9a-f]{64}$/.test(name)) continue;
        const found = path.join(folder, name);
        const { mtimeMs } = await stat(found);
        entries.push({ hex: name, path: found, usedMs: mtimeMs, inodes: await inodesIn(found) });
      }
    }
    return entries;
  }
}

type CacheEntry = {
  readonly hex: string;
  readonly path: string;
  readonly usedMs: number;
  readonly inodes: readonly { readonly inode: number; readonly bytes: number }[];
};

async function inodesIn(found: string): Promise<CacheEntry['inodes']> {
  const { ino, size, mode } = await lstat(found);
  if ((mode & 0o170000) !== 0o040000) return [{ inode: ino, bytes: size }];
  const names = await readdir(found);
  return (await Promise.all(names.map((name) => inodesIn(path.join(found, name))))).flat();
}

const hexOf = (digest: string): string => digest.slice(digest.indexOf(':') + 1);

/** The time of the last use is the file's own time, so that it outlives this process. */
async function touch(file: string): Promise<void> {
  const now = new Date();
  await utimes(file, now, now);
}

async function digestOf(file: string): Promise<string | undefined> {
  const hash = createHash('sha256');
  try {
    await pipeline(createReadStream(file), hash);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  return `sha256:${hash.digest('hex')}`;
}

async function isWhole(folder: string, { files }: BundleManifest): Promise<boolean> {
  for (const file of files) {
    if ((await digestOf(path.join(folder, file.path))) !== file.digest) return false;
  }
  return (await stat(folder).catch(() => undefined)) !== undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
