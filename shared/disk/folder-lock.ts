/**
 * One process per folder. Node has no flock(2), so the `flock` program takes the lock on a file that this
 * process opened and lent to it: the lock belongs to the open file description, so it stays when `flock`
 * ends, and the kernel frees it when this process does, however it dies. A pid file alone cannot do that: it
 * outlives a kill, and pids come back.
 */
import { spawn } from 'node:child_process';
import { type FileHandle, open, readFile } from 'node:fs/promises';
import path from 'node:path';
import { LockstepError, messageOf } from '../errors.ts';
import { limits } from '../limits.ts';
import { errnoOf, explainDiskError, privateFileMode } from './durable-file.ts';

export type FolderLock = { readonly path: string; release(): Promise<void> };

/** util-linux and busybox both use 1 for "somebody else has it". */
const exitHeld = 1;

/** Throws `locked` with the holder's pid, or `not-found` when the machine has no `flock`. */
export async function lockFolder(folder: string): Promise<FolderLock> {
  const file = path.join(folder, 'lock');
  const handle = await open(file, 'a+', privateFileMode);
  try {
    await takeLock(handle, folder, file);
    await handle.truncate(0);
    await handle.writeFile(`${process.pid}\n`);
  } catch (error) {
    await handle.close();
    throw explainDiskError(error, `cannot lock ${folder}`);
  }
  return { path: file, release: () => handle.close() };
}

async function takeLock(handle: FileHandle, folder: string, file: string): Promise<void> {
  const ended = await runFlock(handle.fd);
  switch (ended.kind) {
    case 'not-started':
      throw new LockstepError(
        'not-found',
        errnoOf(ended.error) === 'ENOENT'
          ? `cannot lock ${folder}: the program \`flock\` is not installed; install util-linux, or a busybox that has it`
          : `cannot lock ${folder}: \`flock\` did not start: ${messageOf(ended.error)}`,
        { cause: ended.error },
      );
    case 'exited': {
      if (ended.status === 0) return;
      if (ended.status !== exitHeld) {
        const how = ended.status === null ? 'did not end in time' : `failed (exit ${ended.status})`;
        throw new LockstepError(
          'locked',
          `cannot lock ${folder}: \`flock\` ${how}: ${ended.complaint.trim()}`,
        );
      }
      const holder = (await readFile(file, 'utf8')).trim();
      const who = holder === '' ? 'another process' : `process ${holder}`;
      throw new LockstepError(
        'locked',
        `cannot lock ${folder}: ${who} uses it; stop that one or name another folder`,
      );
    }
  }
}

type Ended =
  | { readonly kind: 'not-started'; readonly error: Error }
  | { readonly kind: 'exited'; readonly status: number | null; readonly complaint: string };

function runFlock(descriptor: number): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn('flock', ['-n', '3'], { stdio: ['ignore', 'ignore', 'pipe', descriptor] });
    const impatience = setTimeout(() => child.kill('SIGKILL'), limits.folderLockWaitMs);
    const settle = (ended: Ended): void => {
      clearTimeout(impatience);
      resolve(ended);
    };
    let complaint = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      complaint = (complaint + text).slice(0, limits.complaintLengthMax);
    });
    child.once('error', (error) => settle({ kind: 'not-started', error }));
    child.once('close', (status) => settle({ kind: 'exited', status, complaint }));
  });
}
