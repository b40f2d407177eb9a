/** What every change to a damaged journal begins with: nobody uses the data, and whoever asks has read the damage. */
import { LockstepError } from '../../shared/errors.ts';
import { tryToLock } from '../backup/data-source.ts';
import { dataPlaces } from '../sequence/data-places.ts';
import type { Finding, Subject } from './finding.ts';
import { checkJournal } from './journal-check.ts';

/** `what` happens to the journal, in the message for whoever has not stopped the coordinator. */
export async function withStoppedData<T>(
  dataFolder: string,
  what: string,
  work: () => Promise<T>,
): Promise<T> {
  const lock = await tryToLock(dataFolder);
  if (lock instanceof LockstepError)
    throw new LockstepError(
      'locked',
      `a coordinator runs on ${dataFolder}: stop it before its journal ${what}`,
    );
  try {
    return await work();
  } finally {
    await lock.release();
  }
}

/** The first damage, which must be where it was said to be. */
export async function requireDamageAt(dataFolder: string, keyFile: string, seq: number): Promise<Finding> {
  const places = dataPlaces(dataFolder);
  const nothing = { addresses: [], durableSeq: null, client: null, journal: null, state: null };
  const damage = await firstDamage({ dataFolder, keyFile, places, ...nothing });
  if (damage?.seq === seq) return damage;
  throw new LockstepError(
    'usage',
    damage?.seq == null
      ? `the journal in ${dataFolder} is not damaged: there is nothing to cut`
      : `the first event that cannot be read is seq ${damage.seq}, not ${seq}: run \`lockstep doctor\` again`,
  );
}

async function firstDamage(subject: Subject): Promise<Finding | undefined> {
  for await (const told of checkJournal(subject)) if (typeof told !== 'string') return told;
  return undefined;
}

export const asidePlace = (dataFolder: string, what: string): string =>
  `${dataFolder}.${what}-${new Date().toISOString().replaceAll(/[:.]/g, '-')}`;
