/**
 * Takes a backup: the state at one seq, whatever goes on meanwhile. The end of the journal is fixed first, and
 * everything else is copied after it: blobs and secrets are durable before the event that names them, so that
 * what the copied events name is there. That nothing of it is deleted meanwhile is the data source's promise.
 */
import { readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { isMissing, makeFolder, syncFolder } from '../../shared/disk/durable-file.ts';
import { LockstepError } from '../../shared/errors.ts';
import { digestPattern } from '../../shared/ids.ts';
import { limits } from '../../shared/limits.ts';
import type { Event } from '../core/events.ts';
import { JournalReader } from '../journal/journal-reader.ts';
import { auditFolder, listSegments } from '../journal/segment-folder.ts';
import { dataPlaces } from '../sequence/data-places.ts';
import { parseStoredEvent, recoverState } from '../sequence/recovery.ts';
import { afterLines, type Copied, type Copy, copyAll } from './copying.ts';
import { type HeldData, holdData, openJournal } from './data-source.ts';
import { sweepLeftovers, unfinishedPlace } from './leftovers.ts';
import { dataOf, keyOf, type Manifest, writeManifest } from './manifest.ts';

export type BackupOptions = {
  readonly dataFolder: string;
  readonly to: string;
  readonly version: string;
  readonly withLogs: boolean;
  /** The key of the secrets, when it shall be in the backup. */
  readonly keyFile: string | null;
  readonly onProgress: (done: {
    readonly files: number;
    readonly of: number;
    readonly bytes: number;
  }) => void;
};

export type BackupReport = Pick<Manifest, 'lineage' | 'epoch' | 'seq' | 'withLogs' | 'withKey'> & {
  readonly backup: string;
  readonly files: number;
  readonly bytes: number;
  /** What interrupted backups had left beside it, which was removed. */
  readonly swept: readonly string[];
};

/** Throws `conflict` when there is something in the way, and leaves nothing behind when it fails. */
export async function takeBackup(options: BackupOptions): Promise<BackupReport> {
  const { dataFolder, to } = options;
  await refuseExisting(to);
  // What one that was interrupted has left may be the space that this one needs.
  const swept = await sweepLeftovers(path.dirname(path.resolve(to)));
  const unfinished = await unfinishedPlace(to);
  const held = await holdData(dataFolder);
  try {
    let report: BackupReport;
    try {
      await makeFolder(unfinished);
      report = { ...(await copyInto(unfinished, held, options)), swept };
    } finally {
      await held.release();
    }
    await rename(unfinished, to);
    await syncFolder(path.dirname(path.resolve(to)));
    return report;
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    throw error;
  }
}

async function refuseExisting(to: string): Promise<void> {
  const there = await namesIn(to);
  if (there.length > 0)
    throw new LockstepError(
      'conflict',
      `${to} is not empty: a backup is a folder of its own, name another one`,
    );
}

async function copyInto(
  backup: string,
  held: HeldData,
  options: BackupOptions,
): Promise<Omit<BackupReport, 'swept'>> {
  const { dataFolder, version, withLogs, keyFile, to } = options;
  const { last, lineage } = await openJournal(dataFolder, held);
  const takenAt = new Date().toISOString();
  const copies = await listCopies(dataFolder, dataOf(backup), last.seq, withLogs);
  if (keyFile !== null) copies.push({ from: keyFile, to: keyOf(backup) });
  let files = 0;
  let bytes = 0;
  const copied = await copyAll(copies, (size) => {
    files += 1;
    bytes += size;
    options.onProgress({ files, of: copies.length, bytes });
  });
  const { epoch } = await recoverCopy(backup, last.seq, last.hash);
  const withKey = keyFile !== null;
  await writeManifest(backup, {
    takenAt,
    version,
    lineage,
    epoch,
    seq: last.seq,
    hash: last.hash,
    withLogs,
    withKey,
    blockBytes: limits.backupBlockBytes,
    files: copies.map((copy, index) => entryOf(backup, copy, copied[index])),
  });
  return { backup: to, lineage, epoch, seq: last.seq, withLogs, withKey, files, bytes };
}

function entryOf(backup: string, { to }: Copy, copied: Copied | undefined): Manifest['files'][number] {
  const { bytes, blocks } = copied ?? { bytes: 0, blocks: [] };
  return { path: path.relative(backup, to), bytes, blocks: [...blocks] };
}

/** Reads back what was written, as a coordinator would, so that what cannot be restored is no backup. */
async function recoverCopy(backup: string, seq: number, hash: string): Promise<{ readonly epoch: number }> {
  const places = dataPlaces(dataOf(backup));
  const journal = await JournalReader.open<Event>(places.journal, parseStoredEvent);
  if (journal === undefined || journal.last.seq !== seq || journal.last.hash !== hash)
    throw new LockstepError(
      'damaged',
      `the journal that was copied does not end at seq ${seq}: run \`lockstep doctor\`, then take another backup`,
    );
  const { state } = await recoverState(journal, places.snapshots);
  return { epoch: state.epoch };
}

async function listCopies(data: string, target: string, seq: number, withLogs: boolean): Promise<Copy[]> {
  const places = dataPlaces(data);
  const into = (file: string): string => path.join(target, path.relative(data, file));
  const whole = (file: string): Copy => ({ from: file, to: into(file) });
  const copies = await journalCopies(places.journal, seq, into);
  for (const folder of await namesIn(places.snapshots)) {
    if (!/^\d{20}$/.test(folder) || Number(folder) > seq) continue;
    copies.push(...(await filesIn(path.join(places.snapshots, folder))).map(whole));
  }
  for (const prefix of await namesIn(places.blobs)) {
    const folder = path.join(places.blobs, prefix);
    const blobs = (await filesIn(folder)).filter((file) =>
      digestPattern.test(`sha256:${path.basename(file)}`),
    );
    copies.push(...blobs.map(whole));
  }
  copies.push({ ...whole(places.secrets), cut: wholeLines() });
  if (withLogs) copies.push(...(await filesIn(places.logs)).map(whole));
  return copies;
}

async function journalCopies(folder: string, seq: number, into: (file: string) => string): Promise<Copy[]> {
  const copies: Copy[] = [];
  const segments = await listSegments(folder);
  for (const [index, { file, first }] of segments.entries()) {
    // One without events is what the next one is appended to.
    if (first > seq + 1) break;
    const following = segments[index + 1];
    const isLast = following === undefined || following.first > seq + 1;
    // The header is a line, too.
    copies.push({ from: file, to: into(file), ...(isLast ? { cut: afterLines(seq - first + 2) } : {}) });
  }
  for (const file of await filesIn(auditFolder(folder))) copies.push({ from: file, to: into(file) });
  return copies;
}

/** Of lines that are appended by one write each, those that are whole. */
function wholeLines() {
  return (block: Buffer): number | undefined =>
    block.length < limits.backupBlockBytes ? block.lastIndexOf(0x0a) + 1 : undefined;
}

async function filesIn(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    if (isMissing(error)) return [];
    throw error;
  });
  return entries
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
    .map(({ name }) => path.join(folder, name));
}

async function namesIn(folder: string): Promise<readonly string[]> {
  return readdir(folder).catch((error: unknown) => {
    if (isMissing(error)) return [];
    throw error;
  });
}
