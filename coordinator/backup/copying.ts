/** Copies files durably, a bounded number at a time, and takes the digests of their blocks on the way. */
import { hash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import path from 'node:path';
import {
  errnoOf,
  explainDiskError,
  makeFolder,
  privateFileMode,
  syncFolder,
} from '../../shared/disk/durable-file.ts';
import { LockstepError } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';

export type Copy = {
  readonly from: string;
  readonly to: string;
  /** Of a file that somebody appends to: how much of it counts. Looked at block by block, with what came before. */
  readonly cut?: Cut;
};

/** Told each block; gives how many bytes of it count when the rest does not, else undefined. */
export type Cut = (block: Buffer) => number | undefined;

export type Copied = { readonly bytes: number; readonly blocks: readonly string[] };

/** In order of `copies`; everything is durable when it resolves. */
export async function copyAll(
  copies: readonly Copy[],
  onCopied: (bytes: number) => void,
): Promise<readonly Copied[]> {
  const folders = new Set(copies.map(({ to }) => path.dirname(to)));
  for (const folder of folders) await makeFolder(folder);
  const copied: Copied[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    for (let index = next++; index < copies.length; index = next++) {
      const copy = copies[index];
      if (copy === undefined) return;
      const done = await copyFile(copy);
      copied[index] = done;
      onCopied(done.bytes);
    }
  };
  // All have ended before a failure is told, so that nobody writes into what is cleared away.
  const ends = await Promise.allSettled(Array.from({ length: limits.backupCopiesAtOnceMax }, work));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
  for (const folder of folders) await syncFolder(folder);
  return copied;
}

async function copyFile({ from, to, cut }: Copy): Promise<Copied> {
  const source = await open(from, 'r');
  try {
    const target = await open(to, 'wx', privateFileMode);
    try {
      const blocks: string[] = [];
      let bytes = 0;
      for await (const block of blocksOf(source)) {
        const kept = cut?.(block);
        const part = kept === undefined ? block : block.subarray(0, kept);
        await target.appendFile(part);
        if (part.length > 0) blocks.push(digestOf(part));
        bytes += part.length;
        if (kept !== undefined) break;
      }
      await target.sync();
      return { bytes, blocks };
    } finally {
      await target.close();
    }
  } catch (error) {
    throw explainDiskError(error, `cannot write ${to}`);
  } finally {
    await source.close();
  }
}

async function* blocksOf(handle: FileHandle): AsyncGenerator<Buffer> {
  for (let position = 0; ; ) {
    const block = Buffer.allocUnsafe(limits.backupBlockBytes);
    let filled = 0;
    // Short reads would move the bounds of the blocks.
    while (filled < block.length) {
      const { bytesRead } = await handle.read(block, filled, block.length - filled, position + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    if (filled > 0) yield block.subarray(0, filled);
    if (filled < block.length) return;
    position += filled;
  }
}

const digestOf = (block: Buffer): string => hash('sha256', block, 'hex');

/** Throws `damaged` with the file and the byte at which the first block begins that is not as it was. */
export async function verifyFile(file: string, expected: Copied, blockBytes: number): Promise<void> {
  const damaged = (offset: number, why: string): LockstepError =>
    new LockstepError('damaged', `${file} is damaged at byte ${offset}: ${why}; nothing was changed`);
  const handle = await open(file, 'r').catch((error: unknown) => {
    throw errnoOf(error) === 'ENOENT' ? damaged(0, 'the file is missing') : error;
  });
  try {
    const { size } = await handle.stat();
    let position = 0;
    for (const digest of expected.blocks) {
      const length = Math.min(blockBytes, expected.bytes - position);
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(length), 0, length, position);
      if (bytesRead < length) throw damaged(position + bytesRead, `it should have ${expected.bytes} bytes`);
      if (digestOf(buffer) !== digest)
        throw damaged(position, `these ${length} bytes have another digest than when the backup was taken`);
      position += length;
    }
    if (size !== expected.bytes)
      throw damaged(expected.bytes, `it has ${size} bytes instead of ${expected.bytes}`);
  } finally {
    await handle.close();
  }
}

/** Cuts after so many lines. */
export function afterLines(count: number): Cut {
  let left = count;
  return (block) => {
    let position = 0;
    while (left > 0) {
      const end = block.indexOf(0x0a, position);
      if (end === -1) return undefined;
      left -= 1;
      position = end + 1;
    }
    return position;
  };
}
