/**
 * A lowdb adapter whose documents survive crashes, bit rot and half-finished writes: `new Low(new
 * DurableAdapter(path, parse), initial)`. lowdb's own file adapter renames without an fsync, keeps no
 * checksum and no earlier generation, and fails on an empty file.
 *
 * On disk a document is one JSON line `{"format":1,"checksum":"…","document":…}`; the checksum is the SHA-256
 * of format and document. The generation before it stands beside it as `<path>.previous`. Whoever
 * owns the folder holds its lock: two processes must not write one document.
 */
import { hash } from 'node:crypto';
import { readFile, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Adapter } from 'lowdb';
import { LockstepError, messageOf } from '../errors.ts';
import { isMissing, privateFileMode, replaceFile, sweepTemporaries, syncFolder } from './durable-file.ts';

const formatNewest = 1;
const opening = /^\{"format":(\d{1,6}),"checksum":"([A-Za-z0-9_-]{43})","document":/;
const closing = '}\n';

type Stored =
  | { readonly kind: 'good'; readonly document: unknown; readonly checksum: string }
  | { readonly kind: 'absent' | 'empty' }
  | { readonly kind: 'damaged'; readonly why: string };

export type DurableAdapterOptions = {
  /** For a file that does not exist yet; an existing one keeps its mode. Default 0600. */
  readonly mode?: number;
  /** Told when the newest generation could not be used and the one before it was. */
  readonly onPrevious?: (why: string) => void;
};

type Waiting<T> = { document: T; readonly written: Promise<void> };

export class DurableAdapter<T> implements Adapter<T> {
  readonly path: string;
  readonly #parse: (document: unknown) => T;
  readonly #options: DurableAdapterOptions;
  #checksum: string | undefined;
  /** Whether the newest generation on disk verified, so that it may become the previous one. */
  #newestIsGood: boolean | undefined;
  #running: Promise<unknown> = Promise.resolve();
  #waiting: Waiting<T> | undefined;

  /** `parse` turns what was stored into `T` and throws on a document that it does not understand. */
  constructor(path: string, parse: (document: unknown) => T, options: DurableAdapterOptions = {}) {
    this.path = path;
    this.#parse = parse;
    this.#options = options;
  }

  /** Of the document last read or written. */
  get checksum(): string | undefined {
    return this.#checksum;
  }

  /** The newest good generation, or null when there never was one. Throws `damaged` when none is good. */
  read(): Promise<T | null> {
    return this.#inTurn(() => this.#read());
  }

  /**
   * Resolves when the document is durable. Writes that come while one is running share the next one, which
   * stores the latest of their documents.
   */
  write(document: T): Promise<void> {
    if (this.#waiting !== undefined) {
      this.#waiting.document = document;
      return this.#waiting.written;
    }
    const written = this.#inTurn(async () => {
      const latest = waiting.document;
      this.#waiting = undefined;
      await this.#write(latest);
    });
    const waiting: Waiting<T> = { document, written };
    this.#waiting = waiting;
    return written;
  }

  #inTurn<R>(work: () => Promise<R>): Promise<R> {
    const turn = this.#running.then(work);
    this.#running = turn.catch(() => undefined);
    return turn;
  }

  async #read(): Promise<T | null> {
    const folder = dirname(this.path);
    await sweepTemporaries(folder, this.path);
    const newest = await load(this.path);
    this.#newestIsGood = newest.kind === 'good';
    if (newest.kind === 'good') {
      // Its writer may have been killed between the rename and the folder's fsync: what is read here will be
      // acted upon, so it must not vanish with a power cut.
      await syncFolder(folder);
      this.#checksum = newest.checksum;
      return this.#parse(newest.document);
    }
    const previous = await load(this.#previousPath);
    if (previous.kind === 'good') {
      this.#options.onPrevious?.(`${this.path} is ${describe(newest)}; the generation before it is used`);
      this.#checksum = previous.checksum;
      return this.#parse(previous.document);
    }
    // Nothing but an empty file was ever here (`touch`, a full disk under another program): a new document.
    if (newest.kind !== 'damaged' && previous.kind !== 'damaged') return null;
    throw new LockstepError(
      'damaged',
      `cannot read ${this.path}: it is ${describe(newest)}, and ${this.#previousPath} is ${describe(previous)}; ` +
        'restore one of them from a backup',
    );
  }

  async #write(document: T): Promise<void> {
    const text = JSON.stringify(document);
    const checksum = checksumOf(formatNewest, text);
    this.#newestIsGood ??= (await load(this.path)).kind === 'good';
    const keepsNewest = this.#newestIsGood;
    await replaceFile(
      this.path,
      (handle) =>
        handle.writeFile(`{"format":${formatNewest},"checksum":"${checksum}","document":${text}${closing}`),
      {
        mode: await this.#modeToKeep(),
        // A damaged newest must not replace a good previous. Between the two renames only the previous
        // exists; reading then uses it, which is right because this write has not been acknowledged.
        beforeRename: async () => {
          if (keepsNewest) await rename(this.path, this.#previousPath);
        },
      },
    );
    this.#newestIsGood = true;
    this.#checksum = checksum;
  }

  async #modeToKeep(): Promise<number> {
    try {
      return (await stat(this.path)).mode & 0o7777;
    } catch (error) {
      if (!isMissing(error)) throw error;
      return this.#options.mode ?? privateFileMode;
    }
  }

  get #previousPath(): string {
    return `${this.path}.previous`;
  }
}

const checksumOf = (format: number, text: string): string => hash('sha256', `${format} ${text}`, 'base64url');

async function load(file: string): Promise<Stored> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (isMissing(error)) return { kind: 'absent' };
    throw error;
  }
  if (text.length === 0) return { kind: 'empty' };
  const [envelope, format, checksum] = opening.exec(text) ?? [];
  if (envelope === undefined || checksum === undefined)
    return { kind: 'damaged', why: 'without its envelope' };
  if (!text.endsWith(closing)) return { kind: 'damaged', why: 'cut short' };
  const document = text.slice(envelope.length, -closing.length);
  if (checksumOf(Number(format), document) !== checksum)
    return { kind: 'damaged', why: 'different from its checksum' };
  if (Number(format) > formatNewest) {
    throw new LockstepError(
      'version',
      `cannot read ${file}: it has format ${format} and this version knows up to ${formatNewest}; use a newer version`,
    );
  }
  try {
    return { kind: 'good', document: JSON.parse(document), checksum };
  } catch (error) {
    return { kind: 'damaged', why: messageOf(error) };
  }
}

function describe(stored: Exclude<Stored, { kind: 'good' }>): string {
  return stored.kind === 'damaged' ? `damaged (${stored.why})` : stored.kind;
}
