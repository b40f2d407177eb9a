/**
 * A data folder that stays as it is while it is read: locked, when no coordinator runs; else the coordinator is
 * asked to leave everything where it is (upkeep pauses) and says up to which seq its journal is durable. Files
 * are read where they are, not sent: whoever may take a backup is its user on its machine in any case, blobs
 * and sealed segments never change, and of what only grows a beginning is as good as the whole.
 */

import type * as z from 'zod';
import { errnoOf } from '../../shared/disk/durable-file.ts';
import type { FolderLock } from '../../shared/disk/folder-lock.ts';
import { lockFolder } from '../../shared/disk/folder-lock.ts';
import { LockstepError } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import { CoordinatorClient } from '../cli/client.ts';
import { findCoordinator } from '../cli/connection.ts';
import type { Event } from '../core/events.ts';
import { upkeepPause } from '../http/resources.ts';
import { JournalReader } from '../journal/journal-reader.ts';
import { dataPlaces } from '../sequence/data-places.ts';
import { parseStoredEvent } from '../sequence/recovery.ts';

export type HeldData = {
  /** What is durable of the journal of a coordinator that runs; null when none does. */
  readonly durable: UpkeepPause | null;
  /** To ask that coordinator. */
  readonly client: CoordinatorClient | null;
  /** Throws when the folder may have changed meanwhile. */
  release(): Promise<void>;
};

type UpkeepPause = z.infer<typeof upkeepPause>;

/** Throws `usage` for a folder without data, `locked` when whoever has it does not answer as a coordinator. */
export async function holdData(dataFolder: string): Promise<HeldData> {
  const lock = await tryToLock(dataFolder);
  if (lock instanceof LockstepError) {
    return askToHold(dataFolder).catch((error: unknown) => {
      if (!(error instanceof LockstepError) || error.code !== 'unreachable') throw error;
      const why = `${lock.message} (it was asked to leave the files as they are: ${error.message})`;
      throw new LockstepError('locked', why, { cause: error });
    });
  }
  return { durable: null, client: null, release: () => lock.release() };
}

/** The journal as far as it counts. Throws `damaged` when it cannot be read, `usage` when there is none. */
export async function openJournal(dataFolder: string, { durable }: HeldData): Promise<JournalReader<Event>> {
  const { journal: folder } = dataPlaces(dataFolder);
  if (durable !== null) return JournalReader.upTo(folder, parseStoredEvent, durable);
  const journal = await JournalReader.open(folder, parseStoredEvent);
  if (journal !== undefined) return journal;
  throw new LockstepError('usage', `${dataFolder} has no journal: it is no data folder of a coordinator`);
}

/** Or who else has the lock. */
export async function tryToLock(dataFolder: string): Promise<FolderLock | LockstepError> {
  try {
    return await lockFolder(dataFolder);
  } catch (error) {
    if (error instanceof LockstepError && error.code === 'locked') return error;
    if (errnoOf(error) === 'ENOENT')
      throw new LockstepError('usage', `${dataFolder} does not exist: name a data folder with --data`);
    if (errnoOf(error) === 'EACCES')
      throw new LockstepError(
        'usage',
        `${dataFolder} belongs to another user: work as the one who runs the coordinator`,
      );
    throw error;
  }
}

async function askToHold(dataFolder: string): Promise<HeldData> {
  const client = new CoordinatorClient(findCoordinator({ data: dataFolder }, {}));
  try {
    const pause = await client.send('POST', '/api/upkeep/pauses', {}, upkeepPause);
    const path = `/api/upkeep/pauses/${pause.id}`;
    let broken: unknown;
    const renewing = setInterval(() => {
      client.order('PUT', path).catch((error: unknown) => {
        broken ??= error;
      });
    }, limits.upkeepPauseRenewMs);
    return {
      durable: pause,
      client,
      async release() {
        clearInterval(renewing);
        try {
          if (broken !== undefined) throw broken;
          await client.order('DELETE', path);
        } finally {
          await client.close();
        }
      },
    };
  } catch (error) {
    await client.close();
    throw error;
  }
}
