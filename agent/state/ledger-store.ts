/**
 * Keeps the ledger: a snapshot as a lowdb document, and after it an append-only file of records, because a
 * document per job would cost two fsyncs and a rename where one append does. Records that only save
 * repetition wait in memory for the next one that must be durable.
 *
 *   ledger.json            the snapshot with the seq of its last record (and its generation before)
 *   ledger-<seq>.jsonl     the records from that seq on, one checksummed line each
 *
 * Specifications may hold secret inputs: all files are 0600, and when a job that had some is done with, the
 * next compaction drops them.
 */
import {
  closeSync,
  fdatasyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { Low } from 'lowdb';
import { DurableAdapter } from '../../shared/disk/durable-adapter.ts';
import { explainDiskError, isFull, privateFileMode, syncFolder } from '../../shared/disk/durable-file.ts';
import { LockstepError } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import { emptyLedger, evolveLedger, type Ledger, type LedgerRecord, mustBeDurable } from '../core/ledger.ts';
import { formatEntry, parseEntry, parseSnapshot, type Snapshot } from './ledger-format.ts';
import type { Reserve } from './reserve.ts';

export class LedgerStore {
  readonly #folder: string;
  readonly #low: Low<Snapshot>;
  readonly #reserve: Reserve;
  #seq: number;
  #file: { readonly path: string; readonly descriptor: number; bytes: number };
  #waiting = '';
  /** As it was found on disk. */
  readonly found: Ledger;

  private constructor(folder: string, low: Low<Snapshot>, reserve: Reserve, replayed: Replayed) {
    this.#folder = folder;
    this.#low = low;
    this.#reserve = reserve;
    this.#seq = replayed.seq;
    this.found = replayed.ledger;
    this.#file = openFile(replayed.file, replayed.bytes);
  }

  static async open(folder: string, reserve: Reserve): Promise<LedgerStore> {
    const low = new Low<Snapshot>(new DurableAdapter(path.join(folder, 'ledger.json'), parseSnapshot), {
      seq: 0,
      ledger: emptyLedger,
    });
    await low.read();
    const store = new LedgerStore(folder, low, reserve, replay(folder, low.data));
    await store.compact(store.found);
    return store;
  }

  /**
   * Returns when everything that must be is durable. Synchronous on purpose: at one or two appends per job a
   * round through the thread pool costs more than the wait, and nothing may overtake it anyway.
   */
  append(records: readonly LedgerRecord[]): void {
    for (const record of records) {
      this.#seq += 1;
      this.#waiting += formatEntry({ seq: this.#seq, record });
    }
    if (records.some(mustBeDurable)) this.flush();
  }

  flush(): void {
    if (this.#waiting === '') return;
    const bytes = Buffer.from(this.#waiting);
    try {
      for (let at = 0; at < bytes.length; ) at += this.#write(bytes, at);
      fdatasyncSync(this.#file.descriptor);
    } catch (error) {
      throw explainDiskError(error, `cannot write ${this.#file.path}`);
    }
    this.#file.bytes += bytes.length;
    this.#waiting = '';
  }

  /** How many bytes were written; with the reserve, if that is what it takes. */
  #write(bytes: Buffer, at: number): number {
    try {
      return writeSync(this.#file.descriptor, bytes, at);
    } catch (error) {
      if (!isFull(error) || !this.#reserve.giveUp()) throw error;
      return writeSync(this.#file.descriptor, bytes, at);
    }
  }

  get isLong(): boolean {
    return this.#file.bytes >= limits.agentLedgerBytesMax;
  }

  /** Writes the ledger as it is after all records so far, then begins a new file of records. */
  async compact(ledger: Ledger): Promise<void> {
    this.#low.data = { seq: this.#seq, ledger };
    await this.#reserve.spend(() => this.#low.write());
    this.#waiting = '';
    const file = path.join(this.#folder, fileName(this.#seq + 1));
    if (file !== this.#file.path) {
      closeSync(this.#file.descriptor);
      this.#file = openFile(file, 0);
    }
    await syncFolder(this.#folder);
    for (const old of recordFiles(this.#folder)) if (old !== file) unlinkSync(old);
  }

  close(): void {
    this.flush();
    closeSync(this.#file.descriptor);
  }
}

const fileName = (firstSeq: number): string => `ledger-${firstSeq}.jsonl`;

function openFile(file: string, bytes: number) {
  return { path: file, descriptor: openSync(file, 'a', privateFileMode), bytes };
}

/** By first seq. */
function recordFiles(folder: string): string[] {
  return readdirSync(folder)
    .flatMap((name) => {
      const seq = /^ledger-([0-9]+)\.jsonl$/.exec(name)?.[1];
      return seq === undefined ? [] : [{ name, seq: Number(seq) }];
    })
    .sort((a, b) => a.seq - b.seq)
    .map(({ name }) => path.join(folder, name));
}

type Replayed = {
  readonly ledger: Ledger;
  readonly seq: number;
  readonly file: string;
  readonly bytes: number;
};

function replay(folder: string, snapshot: Snapshot): Replayed {
  let { ledger, seq } = snapshot;
  const files = recordFiles(folder);
  for (const file of files) {
    for (const { seq: number, record } of readEntries(file, file === files.at(-1))) {
      if (number <= seq) continue;
      if (number !== seq + 1) throw damaged(file, `record ${seq + 1} is missing before record ${number}`);
      ledger = evolveLedger(ledger, record);
      seq = number;
    }
  }
  return { ledger, seq, file: files.at(-1) ?? path.join(folder, fileName(seq + 1)), bytes: 0 };
}

/**
 * A crash may leave the last append of the last file short or zero-filled: nothing rested on it, so it is
 * cut. Damage before a good line is something else, and nobody may guess what it said.
 */
function readEntries(file: string, isLast: boolean) {
  const text = readFileSync(file, 'latin1');
  const entries = [];
  let good = 0;
  while (good < text.length) {
    const end = text.indexOf('\n', good);
    const line = end === -1 ? undefined : Buffer.from(text.slice(good, end), 'latin1').toString('utf8');
    const entry = line === undefined ? undefined : parseEntry(line);
    if (entry === undefined) break;
    entries.push(entry);
    good = end + 1;
  }
  if (good === text.length) return entries;
  const later = text.slice(good).split('\n').slice(1, -1);
  if (
    !isLast ||
    later.some((line) => parseEntry(Buffer.from(line, 'latin1').toString('utf8')) !== undefined)
  ) {
    throw damaged(file, `the line at byte ${good} is not what was written`);
  }
  const descriptor = openSync(file, 'r+');
  try {
    ftruncateSync(descriptor, good);
    fdatasyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  return entries;
}

function damaged(file: string, what: string): LockstepError {
  return new LockstepError(
    'damaged',
    `cannot read ${file}: ${what}. What this node ran is no longer known for sure: restore the file, or start ` +
      'with a new state folder, which tells the coordinator that the evidence is lost',
  );
}
