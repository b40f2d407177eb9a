/**
 * What a backup that was interrupted (by a kill, a power cut) leaves behind: the folder that it was written into before
 * it got its name. The name says who writes it, so that one that is being written is left alone.
 */
import { readdir, readFile, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { errnoOf, isMissing } from '../../shared/disk/durable-file.ts';

const mark = '.unfinished-';

/** Where a backup is written until it is whole. */
export async function unfinishedPlace(to: string): Promise<string> {
  return `${to}${mark}${await writerNow()}`;
}

export type Leftover = {
  readonly place: string;
  /** Its writer was of this machine, and is gone. */
  readonly isAbandoned: boolean;
};

/** Unfinished backups in a folder, but for those that are being written; none when the folder cannot be read. */
export async function leftoversIn(folder: string): Promise<readonly Leftover[]> {
  const found: Leftover[] = [];
  for (const name of await namesIn(folder)) {
    const at = name.lastIndexOf(mark);
    if (at <= 0) continue;
    const writer = await stateOf(name.slice(at + mark.length));
    if (writer !== 'at-work') found.push({ place: path.join(folder, name), isAbandoned: writer === 'gone' });
  }
  return found;
}

/** Removes what is certain to be abandoned, and gives what it removed. */
export async function sweepLeftovers(folder: string): Promise<readonly string[]> {
  const swept: string[] = [];
  for (const { place, isAbandoned } of await leftoversIn(folder)) {
    if (!isAbandoned) continue;
    await rm(place, { recursive: true, force: true });
    swept.push(place);
  }
  return swept;
}

async function namesIn(folder: string): Promise<readonly string[]> {
  return readdir(folder).catch((error: unknown) => {
    if (isMissing(error) || ['EACCES', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return [];
    throw error;
  });
}

/** Pids come back: a process is known by its machine, its boot, its pid and when it was started. */
async function writerNow(): Promise<string> {
  return `${process.pid}.${await startOf(process.pid)}.${await bootId()}.${hostname()}`;
}

async function stateOf(writer: string): Promise<'at-work' | 'gone' | 'unknown'> {
  const [, pid, start, boot, host] = /^(\d+)\.(\d+)\.([0-9a-f]{8})\.(.+)$/.exec(writer) ?? [];
  // Of another machine that shares the folder, or of a version that did not say so.
  if (host !== hostname()) return 'unknown';
  return boot === (await bootId()) && start === (await startOf(Number(pid))) ? 'at-work' : 'gone';
}

const bootId = async (): Promise<string> =>
  (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).slice(0, 8);

/** In clock ticks since boot, which is the 22nd field of its stat; `0` when there is no such process. */
async function startOf(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '0';
}
