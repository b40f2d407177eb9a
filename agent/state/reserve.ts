/**
 * Room on the node's disk for what must be recorded although the disk is full: how an attempt ended, its outputs, and
 * the ledger that names them. A file of that size is kept and given up when one of them finds no space; work is asked
 * for again only when there is space for a new one. How full the disk may be meanwhile is the core's to say.
 */
import { randomFillSync } from 'node:crypto';
import {
  closeSync,
  fdatasyncSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { isFull, isMissing, privateFileMode } from '../../shared/disk/durable-file.ts';
import { limits } from '../../shared/limits.ts';

export class Reserve {
  readonly #file: string;
  #isKept: boolean;

  /** Of a state folder whose lock the caller holds. */
  constructor(folder: string) {
    this.#file = path.join(folder, 'reserve');
    this.#isKept = sizeOf(this.#file) === limits.agentReserveBytes;
  }

  get isKept(): boolean {
    return this.#isKept;
  }

  /** Makes it anew; without the space for it nothing happens. */
  keep(): void {
    if (this.#isKept) return;
    const unfinished = `${this.#file}.unfinished`;
    // Random, because file systems that compress would find no room for zeros.
    const bytes = randomFillSync(Buffer.allocUnsafe(limits.agentReserveBytes));
    try {
      const descriptor = openSync(unfinished, 'w', privateFileMode);
      try {
        for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
        // Only now have all file systems really given the blocks away.
        fdatasyncSync(descriptor);
      } finally {
        closeSync(descriptor);
      }
      renameSync(unfinished, this.#file);
      this.#isKept = true;
    } catch (error) {
      rmSync(unfinished, { force: true });
      if (!isFull(error)) throw error;
    }
  }

  /** Whether there was something to give up. */
  giveUp(): boolean {
    if (!this.#isKept) return false;
    this.#isKept = false;
    try {
      unlinkSync(this.#file);
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
    return true;
  }

  /** Does it, and when it finds no space, once more with the room that was kept. It must leave nothing half done. */
  async spend<T>(write: () => Promise<T>): Promise<T> {
    try {
      return await write();
    } catch (error) {
      if (!isFull(error) || !this.giveUp()) throw error;
      return write();
    }
  }
}

function sizeOf(file: string): number | undefined {
  try {
    return statSync(file).size;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
