/**
 * Values that the journal only names: secret params and outputs, by reference. Encrypted on disk, in memory
 * while the coordinator runs, and never in a message. Who may have which value is decided elsewhere.
 *
 * The file only grows, and is written anew when most of it is history. Whoever opens it holds the lock of the
 * data folder.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { assertNever } from '../../shared/assert.ts';
import { AppendFile } from '../../shared/disk/append-file.ts';
import { isMissing, sweepTemporaries } from '../../shared/disk/durable-file.ts';
import { holesIn, isUnwritten } from '../../shared/disk/torn-write.ts';
import { LockstepError, messageOf } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import type { SecretRoom } from '../core/commands.ts';
import { bytesOfSecret } from '../core/secret-room.ts';
import { loadKey } from './secret-key.ts';
import {
  type Change,
  decodeChanges,
  decodeSecretsHeader,
  encodeChanges,
  encodeSecretsHeader,
  formatNewest,
} from './secret-lines.ts';

export type SecretStoreOptions = {
  readonly dataFolder: string;
  /** Outside the data folder; created with a new key when neither it nor the store exists. */
  readonly keyFile: string;
};

/** Changes that the next write takes along, and the promise of all who gave one. */
type Waiting = { readonly changes: Change[]; readonly written: Promise<void> };

const newline = 0x0a;
const fileName = 'secrets.jsonl';

export class SecretStore {
  /** Bytes of a change that a crash had left incomplete and that were cut when opening; to be logged. */
  readonly bytesCut: number;
  readonly #key: Buffer;
  readonly #values: Map<string, string>;
  /** What the file would have if it was written anew. */
  #liveBytes: number;
  #file: AppendFile;
  #waiting: Waiting | undefined;
  #running: Promise<unknown> = Promise.resolve();
  #failure: LockstepError | undefined;

  private constructor(
    key: Buffer,
    file: AppendFile,
    loaded: { values: Map<string, string>; bytesCut: number },
  ) {
    this.#key = key;
    this.#file = file;
    this.#values = loaded.values;
    this.bytesCut = loaded.bytesCut;
    this.#liveBytes = 0;
    for (const [reference, value] of loaded.values) this.#liveBytes += bytesOfSecret({ reference, value });
  }

  /**
   * Throws `invalid`, `forbidden` or `not-found` for a key file that cannot be used, and `damaged`, having
   * changed nothing, for a store that is not as it was written.
   */
  static async open(options: SecretStoreOptions): Promise<SecretStore> {
    const { dataFolder, keyFile } = options;
    const file = path.join(dataFolder, fileName);
    await sweepTemporaries(dataFolder, file);
    const bytes = await readIfThere(file);
    const key = await loadKey(keyFile, dataFolder, bytes === undefined);
    if (bytes === undefined) {
      const created = await AppendFile.create(file, encodeSecretsHeader(key));
      return new SecretStore(key, created, { values: new Map(), bytesCut: 0 });
    }
    const { values, bytesKept, ending } = loadSecrets(bytes, key, { file, keyFile });
    const resumed = await AppendFile.resume(file, bytesKept, ending);
    return new SecretStore(key, resumed, { values, bytesCut: bytes.length - bytesKept });
  }

  /** The value, if it is durable. */
  get(reference: string): string | undefined {
    return this.#values.get(reference);
  }

  /** What can be put beyond what is stored. */
  room(): SecretRoom {
    return {
      count: limits.secretsMax - this.#values.size,
      bytes: limits.secretsBytesMax - this.#liveBytes,
    };
  }

  /**
   * Resolves when all values are durable, however many they are: with one fsync, which puts and deletes that
   * come meanwhile share. Rejects with `too-large`, `too-many` or `disk-full`, without having stored any.
   */
  async put(entries: Iterable<readonly [reference: string, value: string]>): Promise<void> {
    const changes: Change[] = [];
    let bytes = this.#liveBytes;
    for (const [reference, value] of entries) {
      checkSize(reference, value);
      changes.push({ kind: 'put', reference, value });
      bytes += bytesOfSecret({ reference, value });
    }
    const count = this.#values.size + (this.#waiting?.changes.length ?? 0) + changes.length;
    if (count > limits.secretsMax) throw tooMany(changes.length, `secretsMax is ${limits.secretsMax}`);
    if (bytes > limits.secretsBytesMax)
      throw tooMany(changes.length, `secretsBytesMax is ${limits.secretsBytesMax}`);
    await this.#change(changes);
  }

  /** Resolves when the values are gone for all who open the store; their old bytes go when it is written anew. */
  async delete(references: Iterable<string>): Promise<void> {
    const changes: Change[] = [];
    for (const reference of references) changes.push({ kind: 'delete', reference });
    await this.#change(changes);
  }

  /** Of all that is durable. */
  references(): Iterable<string> {
    return this.#values.keys();
  }

  async close(): Promise<void> {
    await this.#running;
    this.#failure ??= new LockstepError('conflict', `the secrets in ${this.#file.path} are closed`);
    await this.#file.close();
  }

  async #change(changes: readonly Change[]): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (changes.length === 0) return;
    if (this.#waiting !== undefined) {
      this.#waiting.changes.push(...changes);
      return this.#waiting.written;
    }
    const written = this.#running.then(() => {
      this.#waiting = undefined;
      return this.#write(waiting.changes);
    });
    const waiting: Waiting = { changes: [...changes], written };
    this.#waiting = waiting;
    this.#running = written.catch(() => undefined);
    return written;
  }

  async #write(changes: readonly Change[]): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    await this.#onDisk(() => this.#file.append(Buffer.from(encodeChanges(this.#key, changes))));
    for (const change of changes) this.#apply(change);
    if (this.#file.bytes > 2 * this.#liveBytes + limits.secretsSlackBytes) await this.#writeAnew();
  }

  #apply(change: Change): void {
    const { reference } = change;
    const before = this.#values.get(reference);
    if (before !== undefined) this.#liveBytes -= bytesOfSecret({ reference, value: before });
    applyChange(this.#values, change);
    if (change.kind === 'put') this.#liveBytes += bytesOfSecret(change);
  }

  async #writeAnew(): Promise<void> {
    const puts: Change[] = [];
    for (const [reference, value] of this.#values) puts.push({ kind: 'put', reference, value });
    const text = encodeSecretsHeader(this.#key) + (puts.length > 0 ? encodeChanges(this.#key, puts) : '');
    const before = this.#file;
    try {
      this.#file = await this.#onDisk(() => AppendFile.create(before.path, text));
    } catch (error) {
      // Without space for a second file the first one goes on; what it holds is right, only long.
      if (error instanceof LockstepError && error.code === 'disk-full') return;
      throw error;
    }
    await before.close();
  }

  async #onDisk<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      if (cause instanceof LockstepError && cause.code === 'disk-full') throw cause;
      this.#failure = new LockstepError(
        'damaged',
        `the secrets in ${this.#file.path} could not be written (${messageOf(cause)}); this process must end and be ` +
          'started anew',
        { cause },
      );
      throw this.#failure;
    }
  }
}

/** What a store holds, without changing it. Throws like opening it. */
export async function readSecrets({
  dataFolder,
  keyFile,
}: SecretStoreOptions): Promise<ReadonlyMap<string, string>> {
  const file = path.join(dataFolder, fileName);
  const bytes = await readIfThere(file);
  if (bytes === undefined) return new Map();
  return loadSecrets(bytes, await loadKey(keyFile, dataFolder, false), { file, keyFile }).values;
}

type Loaded = { readonly values: Map<string, string>; readonly bytesKept: number; readonly ending: string };
type Names = { readonly file: string; readonly keyFile: string };

/** Every line is one write, so a crash can have torn the last one only, and it was not acknowledged. */
function loadSecrets(bytes: Buffer, key: Buffer, names: Names): Loaded {
  const headerEnd = bytes.indexOf(newline);
  checkHeader(key, bytes.toString('utf8', 0, Math.max(headerEnd, 0)), names);
  const values = new Map<string, string>();
  const take = (start: number, end: number): boolean => {
    const changes = decodeChanges(key, bytes.toString('utf8', start, end));
    for (const change of changes ?? []) applyChange(values, change);
    return changes !== undefined;
  };
  for (let start = headerEnd + 1; ; ) {
    const end = bytes.indexOf(newline, start);
    if (end !== -1 && take(start, end)) {
      start = end + 1;
      continue;
    }
    if (start === bytes.length) return { values, bytesKept: start, ending: '' };
    if (end === -1) {
      if (take(start, bytes.length)) return { values, bytesKept: bytes.length, ending: '\n' };
      if (take(start, bytes.length - 1)) throw damagedAt(names.file, bytes.length - 1);
    } else if (end !== bytes.length - 1 || !bytes.subarray(start, end).includes(0)) {
      throw damagedAt(names.file, start);
    }
    for (const hole of holesIn(bytes, start)) {
      if (!isUnwritten(hole, start, bytes.length)) throw damagedAt(names.file, hole.start);
    }
    return { values, bytesKept: start, ending: '' };
  }
}

function checkHeader(key: Buffer, line: string, { file, keyFile }: Names): void {
  const header = decodeSecretsHeader(key, line);
  switch (header.kind) {
    case 'right':
      return;
    case 'damaged':
      throw damagedAt(file, 0);
    case 'wrong-key':
      throw new LockstepError(
        'invalid',
        `cannot open the secrets in ${file}: the key in ${keyFile} is not the one that they were encrypted with; put ` +
          'the right key there (its first line may also be damaged)',
      );
    case 'future':
      throw new LockstepError(
        'version',
        `cannot open the secrets in ${file}: they have format ${header.format} and this version knows up to ` +
          `${formatNewest}; use the version that wrote them, or a newer one`,
      );
    default:
      assertNever(header);
  }
}

function applyChange(values: Map<string, string>, change: Change): void {
  if (change.kind === 'put') values.set(change.reference, change.value);
  else values.delete(change.reference);
}

function checkSize(reference: string, value: string): void {
  const { secretReferenceLengthMax, secretValueBytesMax } = limits;
  if (reference.length > secretReferenceLengthMax) {
    throw new LockstepError(
      'too-large',
      `cannot store a secret: its reference has ${reference.length} characters, and secretReferenceLengthMax is ` +
        `${secretReferenceLengthMax}`,
    );
  }
  const bytes = Buffer.byteLength(value);
  if (bytes <= secretValueBytesMax) return;
  throw new LockstepError(
    'too-large',
    `cannot store the secret ${reference}: it has ${bytes} bytes, and secretValueBytesMax is ${secretValueBytesMax}`,
  );
}

const tooMany = (count: number, bound: string): LockstepError =>
  new LockstepError(
    'too-many',
    `cannot store ${count} more secrets: ${bound}; secrets of runs that are no longer kept can go`,
  );

const damagedAt = (file: string, offset: number): LockstepError =>
  new LockstepError(
    'damaged',
    `${file} is damaged in the line at byte ${offset}; nothing was changed; run \`lockstep doctor\`, or restore the ` +
      'file from a backup',
  );

async function readIfThere(file: string): Promise<Buffer | undefined> {
  try {
    return await readFile(file);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
