/** What the coordinator has on disk, opened in an order in which nobody else can have it, and closed again. */
import { randomBytes } from 'node:crypto';
import { errnoOf, makeFolder } from '../../shared/disk/durable-file.ts';
import { type FolderLock, lockFolder } from '../../shared/disk/folder-lock.ts';
import { LockstepError, messageOf } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import type { CoordinatorConfig } from '../config.ts';
import type { Event } from '../core/events.ts';
import { readAudit } from '../journal/archive.ts';
import { BlobStore } from '../journal/blobs.ts';
import { FileJournal } from '../journal/file-journal.ts';
import type { ReadRange } from '../journal/port.ts';
import type { Logger } from '../log.ts';
import { SecretStore } from '../trust/secrets.ts';
import type { Store } from './batch.ts';
import type { Contents } from './contents.ts';
import { type DataPlaces, dataPlaces } from './data-places.ts';
import { parseStoredEvent } from './recovery.ts';

export type Disk = {
  readonly places: DataPlaces;
  readonly journal: FileJournal<Event>;
  readonly blobs: BlobStore;
  readonly secrets: SecretStore;
  close(): Promise<void>;
};

/** Throws `locked` when another coordinator has the folder, and `damaged` for what cannot be repaired. */
export async function openDisk(
  config: Pick<CoordinatorConfig, 'dataFolder' | 'keyFile'>,
  log: Logger,
  segmentBytesMax: number = limits.journalSegmentBytesMax,
): Promise<Disk> {
  const lock = await makeFolder(config.dataFolder)
    .then(() => lockFolder(config.dataFolder))
    .catch((error: unknown) => refuseFolder(config.dataFolder, error));
  try {
    return await openLocked(config, log, segmentBytesMax, lock);
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** A folder that cannot be made or written to is the caller's to change; it is no fault of the program. */
function refuseFolder(folder: string, error: unknown): never {
  if (errnoOf(error) === undefined) throw error;
  throw new LockstepError(
    'usage',
    `cannot keep data in ${folder}: ${messageOf(error)}; name another folder with --data`,
    {
      cause: error,
    },
  );
}

async function openLocked(
  config: Pick<CoordinatorConfig, 'dataFolder' | 'keyFile'>,
  log: Logger,
  segmentBytesMax: number,
  lock: FolderLock,
): Promise<Disk> {
  const places = dataPlaces(config.dataFolder);
  const secrets = await SecretStore.open(config);
  if (secrets.bytesCut > 0)
    log.warn({ bytes: secrets.bytesCut }, 'cut the end of the secrets that a crash had torn');
  const blobs = await BlobStore.open(places.blobs);
  const journal = await FileJournal.open<Event>({
    folder: places.journal,
    lineageWhenNew: randomBytes(12).toString('base64url'),
    parse: parseStoredEvent,
    segmentBytesMax,
  });
  if (journal.repair.kind !== 'none')
    log.warn(journal.repair, 'repaired the end of the journal that a crash had torn');
  return {
    places,
    journal,
    blobs,
    secrets,
    async close() {
      await journal.close();
      await secrets.close();
      await lock.release();
    },
  };
}

/** The journal as readers see it, with what is left of the part that it no longer has. */
export const eventsOf = ({ journal, places }: Pick<Disk, 'journal' | 'places'>) => ({
  get lineage() {
    return journal.lineage;
  },
  get last() {
    return journal.last;
  },
  read: (range: ReadRange) => journal.read(range),
  oldest: () => journal.oldest(),
  hashAt: (seq: number) => journal.hashAt(seq),
  beyond: (seq: number, signal: AbortSignal) => journal.beyond(seq, signal),
  async *audit(from: number): AsyncGenerator<readonly Event[]> {
    for await (const page of readAudit(places.journal, from)) yield page.map(parseStoredEvent);
  },
});

/** What the sequencer writes to; what is on disk need not be held in memory any more. */
export const storeOf = ({ journal, blobs, secrets }: Disk, contents: Contents): Store => ({
  append: (events) => journal.append(events),
  async putSecrets(entries) {
    await secrets.put(entries.map(({ reference, value }) => [reference, value] as const)).catch(asFull);
    for (const { reference } of entries) contents.releaseSecret(reference);
  },
  async putBlob(digest, text) {
    await blobs.put(text);
    contents.releaseText(digest);
  },
});

/** No room for another secret is like no room on the disk: nothing goes on, and nothing is lost, until there is. */
function asFull(error: unknown): never {
  if (error instanceof LockstepError && error.code === 'too-many')
    throw new LockstepError('disk-full', `${error.message}; archive or remove runs and params with secrets`, {
      cause: error,
    });
  throw error;
}
