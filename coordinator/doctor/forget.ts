/**
 * Goes on without the history up to a damaged compressed part: a newer snapshot has what all of it comes to, so that no
 * state is lost and nothing has to be cut. What is given up is moved aside, never deleted.
 */
import { rename } from 'node:fs/promises';
import path from 'node:path';
import { makeFolder, syncFolder } from '../../shared/disk/durable-file.ts';
import { LockstepError } from '../../shared/errors.ts';
import { archiveFolder, listSegments, type Segment } from '../journal/segment-folder.ts';
import { dataPlaces } from '../sequence/data-places.ts';
import { findSnapshot } from '../sequence/recovery.ts';
import { asidePlace, requireDamageAt, withStoppedData } from './surgery.ts';

export type ForgetReport = {
  readonly dataFolder: string;
  /** The first event that can be read from now on. */
  readonly from: number;
  readonly movedAside: string;
};

/** `seq` is the one that the doctor has named: whoever says it has read what is lost. */
export function forgetHistory(dataFolder: string, keyFile: string, seq: number): Promise<ForgetReport> {
  return withStoppedData(dataFolder, 'is forgotten', async () => {
    await requireDamageAt(dataFolder, keyFile, seq);
    const places = dataPlaces(dataFolder);
    const segments = await listSegments(places.journal);
    const damaged = segments.findLast(({ first }) => first <= seq);
    const refuse = (why: string): LockstepError =>
      new LockstepError('damaged', `the history up to seq ${seq} cannot be forgotten: ${why}`);
    if (damaged?.kind !== 'archived')
      throw refuse(
        `the damage is in what is not compressed yet: \`lockstep doctor --cut ${seq}\`, or restore a backup`,
      );
    const { snapshot } = await findSnapshot(places.snapshots);
    if (snapshot === undefined || snapshot.seq <= damaged.last)
      throw refuse(`no snapshot after seq ${damaged.last} is whole: restore a backup`);
    const movedAside = asidePlace(dataFolder, 'forgotten');
    await moveAside(
      places.journal,
      segments.filter(({ first }) => first <= damaged.first),
      path.join(movedAside, 'journal', 'archive'),
    );
    return { dataFolder, from: damaged.last + 1, movedAside };
  });
}

/** Oldest first: whatever interrupts it, what is left is without a hole, but for the damage. */
async function moveAside(journal: string, segments: readonly Segment[], aside: string): Promise<void> {
  await makeFolder(aside);
  for (const { file } of segments) await rename(file, path.join(aside, path.basename(file)));
  for (const folder of [archiveFolder(journal), aside]) await syncFolder(folder);
}
