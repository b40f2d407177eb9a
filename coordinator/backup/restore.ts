/**
 * Puts a backup in place as a data folder, and begins a new lineage in it: from the last event of the backup on
 * the coordinator's history is another one than that of the machine it was taken from (core/restoration.ts says
 * what that means for runs). Everything is verified before, made beside, and put in place by one rename.
 */
import { randomBytes } from 'node:crypto';
import { copyFile, open, readdir, readFile, rename, rm, rmdir, unlink } from 'node:fs/promises';
import path from 'node:path';
import { present } from '../../shared/assert.ts';
import { isMissing, makeFolder, privateFileMode, syncFolder } from '../../shared/disk/durable-file.ts';
import { LockstepError } from '../../shared/errors.ts';
import type { Event } from '../core/events.ts';
import { beginLineage } from '../journal/begin-lineage.ts';
import { JournalReader } from '../journal/journal-reader.ts';
import { dataPlaces } from '../sequence/data-places.ts';
import { parseStoredEvent, recoverState } from '../sequence/recovery.ts';
import { readSecrets } from '../trust/secrets.ts';
import { type Copy, copyAll, verifyFile } from './copying.ts';
import { tryToLock } from './data-source.ts';
import { keyOf, type Manifest, readManifest } from './manifest.ts';

export type RestoreOptions = {
  readonly backup: string;
  readonly dataFolder: string;
  /** Where the coordinator will look for the key of the secrets. */
  readonly keyFile: string;
  /** Moves what is in the way aside; nothing is ever deleted. */
  readonly replace: boolean;
  readonly onProgress: (what: 'verified' | 'copied', done: number, of: number) => void;
};

export type RestoreReport = {
  readonly dataFolder: string;
  readonly lineage: string;
  readonly continues: string;
  readonly seq: number;
  readonly takenAt: string;
  /** Runs that are held when the coordinator starts. */
  readonly runsHeld: readonly string[];
  readonly movedAside: string | null;
  /** False: it has to be put there before the coordinator starts. */
  readonly hasKey: boolean;
};

export async function restoreBackup(options: RestoreOptions): Promise<RestoreReport> {
  const { backup, keyFile, replace, onProgress } = options;
  const dataFolder = path.resolve(options.dataFolder);
  const manifest = await readManifest(backup);
  const inTheWay = await occupantOf(dataFolder, replace);
  const staged = `${dataFolder}.restoring-${randomBytes(4).toString('hex')}`;
  try {
    await verifyBackup(backup, manifest, (done) => onProgress('verified', done, manifest.files.length));
    const copies = copiesInto(staged, backup, manifest);
    let done = 0;
    await copyAll(copies, () => {
      done += 1;
      onProgress('copied', done, copies.length);
    });
    const prepared = await prepare(staged, backup, manifest, keyFile);
    const movedAside = await putInPlace(staged, dataFolder, inTheWay);
    return { dataFolder, ...prepared, takenAt: manifest.takenAt, movedAside };
  } finally {
    await rm(staged, { recursive: true, force: true });
    await inTheWay?.release();
  }
}

/** Throws `damaged` with file and byte. */
async function verifyBackup(
  backup: string,
  manifest: Manifest,
  onVerified: (done: number) => void,
): Promise<void> {
  for (const [index, file] of manifest.files.entries()) {
    await verifyFile(path.join(backup, file.path), file, manifest.blockBytes);
    onVerified(index + 1);
  }
}

function copiesInto(staged: string, backup: string, { files }: Manifest): readonly Copy[] {
  return files
    .filter((file) => file.path.startsWith('data/'))
    .map((file) => ({
      from: path.join(backup, file.path),
      to: path.join(staged, file.path.slice('data/'.length)),
    }));
}

type Occupant = { readonly isEmpty: boolean; release(): Promise<void> };

/** What is at the place, locked so that no coordinator begins there meanwhile; undefined for nothing. */
async function occupantOf(dataFolder: string, replace: boolean): Promise<Occupant | undefined> {
  const names = await readdir(dataFolder).catch((error: unknown) => {
    if (isMissing(error)) return undefined;
    throw error;
  });
  if (names === undefined) return undefined;
  const isEmpty = names.every((name) => name === 'lock');
  if (!isEmpty && !replace)
    throw new LockstepError(
      'conflict',
      `${dataFolder} is not empty: name another folder with --data, or move this one aside with --replace`,
    );
  const lock = await tryToLock(dataFolder);
  if (lock instanceof LockstepError) throw lock;
  return { isEmpty, release: () => lock.release() };
}

/** Everything that can still go wrong does so here, where nothing has been touched yet. */
async function prepare(
  staged: string,
  backup: string,
  manifest: Manifest,
  keyFile: string,
): Promise<Pick<RestoreReport, 'lineage' | 'continues' | 'seq' | 'runsHeld' | 'hasKey'>> {
  const places = dataPlaces(staged);
  const journal = present(await JournalReader.open<Event>(places.journal, parseStoredEvent), 'a journal');
  if (journal.last.seq !== manifest.seq || journal.last.hash !== manifest.hash)
    throw new LockstepError('damaged', `the journal in ${backup} does not end where its manifest says`);
  // As a coordinator will, from snapshot and events; the events before the snapshot are verified, too.
  for await (const _page of journal.read({ from: await journal.oldest() }));
  const { state } = await recoverState(journal, places.snapshots);
  const hasKey = await prepareKey(staged, backup, manifest, keyFile);
  const lineage = randomBytes(12).toString('base64url');
  await beginLineage(places.journal, lineage);
  const runsHeld = [...state.activeRuns.values()].filter((run) => run.cancel === null).map((run) => run.id);
  return { lineage, continues: manifest.lineage, seq: manifest.seq, runsHeld, hasKey };
}

/** Throws when the key that is there does not open the secrets of the backup. */
async function prepareKey(
  staged: string,
  backup: string,
  { withKey }: Manifest,
  keyFile: string,
): Promise<boolean> {
  if (withKey && !(await exists(keyFile))) await putKey(keyOf(backup), keyFile);
  if (!(await exists(keyFile))) return false;
  await readSecrets({ dataFolder: staged, keyFile });
  return true;
}

async function putKey(from: string, keyFile: string): Promise<void> {
  await makeFolder(path.dirname(keyFile));
  await copyFile(from, keyFile);
  const handle = await open(keyFile, 'r+');
  await handle.chmod(privateFileMode);
  await handle.sync();
  await handle.close();
  await syncFolder(path.dirname(keyFile));
}

async function exists(file: string): Promise<boolean> {
  return readFile(file).then(
    () => true,
    (error: unknown) => {
      if (isMissing(error)) return false;
      throw error;
    },
  );
}

/** Gives where the old folder went. */
async function putInPlace(
  staged: string,
  dataFolder: string,
  inTheWay: Occupant | undefined,
): Promise<string | null> {
  let movedAside: string | null = null;
  if (inTheWay?.isEmpty === true) {
    await unlink(path.join(dataFolder, 'lock'));
    await rmdir(dataFolder);
  } else if (inTheWay !== undefined) {
    movedAside = `${dataFolder}.before-${new Date().toISOString().replaceAll(/[:.]/g, '-')}`;
    await rename(dataFolder, movedAside);
  }
  await rename(staged, dataFolder);
  await syncFolder(path.dirname(dataFolder));
  return movedAside;
}
