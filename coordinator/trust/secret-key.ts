/**
 * The key that the secrets are encrypted with: 32 random bytes in a file of its own, outside the data folder,
 * so that a copy of the folder (a backup, a disk image, a support bundle) does not carry what opens it.
 */
import { randomBytes } from 'node:crypto';
import { link, open, readFile, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import {
  errnoOf,
  isMissing,
  makeFolder,
  privateFileMode,
  removeIfThere,
  syncFolder,
  temporaryName,
} from '../../shared/disk/durable-file.ts';
import { LockstepError } from '../../shared/errors.ts';

const keyBytes = 32;

/** The key in `keyFile`, which is created when it is missing and `mayCreate`. Says why a file is refused. */
export async function loadKey(keyFile: string, dataFolder: string, mayCreate: boolean): Promise<Buffer> {
  await refuseInside(keyFile, dataFolder);
  const key = await readKey(keyFile);
  if (key !== undefined) return key;
  if (!mayCreate) {
    throw new LockstepError(
      'not-found',
      `cannot open the secrets in ${dataFolder}: their key file ${keyFile} is missing; put it back from where you keep it`,
    );
  }
  await createKey(keyFile);
  return loadKey(keyFile, dataFolder, false);
}

async function readKey(keyFile: string): Promise<Buffer | undefined> {
  let mode: number;
  try {
    ({ mode } = await stat(keyFile));
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  if ((mode & 0o077) !== 0) {
    const octal = (mode & 0o777).toString(8).padStart(4, '0');
    throw new LockstepError(
      'forbidden',
      `cannot use the key file ${keyFile}: others may read it (mode ${octal}); chmod 600 it`,
    );
  }
  const key = await readFile(keyFile);
  if (key.length === keyBytes) return key;
  throw new LockstepError(
    'invalid',
    `cannot use the key file ${keyFile}: it has ${key.length} bytes instead of ${keyBytes}`,
  );
}

/** Linked to its name when it is complete: of two processes that create one key, the second gets the first's. */
async function createKey(keyFile: string): Promise<void> {
  await makeFolder(path.dirname(keyFile));
  const temporary = temporaryName(keyFile);
  const handle = await open(temporary, 'wx', privateFileMode);
  try {
    await handle.writeFile(randomBytes(keyBytes));
    await handle.sync();
    await link(temporary, keyFile);
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
  } finally {
    await handle.close();
    await removeIfThere(temporary);
  }
  await syncFolder(path.dirname(keyFile));
}

/** By real paths, so that neither a link in the data folder passes nor one that leads into it. */
async function refuseInside(keyFile: string, dataFolder: string): Promise<void> {
  const data = await realPlace(dataFolder);
  const entry = path.join(await realPlace(path.dirname(keyFile)), path.basename(keyFile));
  for (const place of [entry, await realPlace(keyFile)]) {
    const way = path.relative(data, place);
    if (way === '..' || way.startsWith(`..${path.sep}`)) continue;
    throw new LockstepError(
      'invalid',
      `cannot use the key file ${keyFile}: it is inside the data folder ${dataFolder}, so that a copy of the folder ` +
        'would open the secrets in it; name a file elsewhere',
    );
  }
}

/** The real path of what may not exist yet. */
async function realPlace(place: string): Promise<string> {
  const absolute = path.resolve(place);
  try {
    return await realpath(absolute);
  } catch (error) {
    if (!isMissing(error) || absolute === path.dirname(absolute)) throw error;
    return path.join(await realPlace(path.dirname(absolute)), path.basename(absolute));
  }
}
