/**
 * Goes on without the damaged end of a journal, when there is no backup that is newer: everything from the first
 * event on that cannot be read is given up, and a new lineage begins, with the same consequences as after a
 * restore. What is given up is moved aside, never deleted.
 */
import { randomBytes } from 'node:crypto';
import { readFile, rename } from 'node:fs/promises';
import path from 'node:path';
import { AppendFile } from '../../shared/disk/append-file.ts';
import { makeFolder, syncFolder, writeFileDurably } from '../../shared/disk/durable-file.ts';
import { LockstepError } from '../../shared/errors.ts';
import type { Event } from '../core/events.ts';
import { beginLineage } from '../journal/begin-lineage.ts';
import { JournalReader } from '../journal/journal-reader.ts';
import { listSegments, type Segment } from '../journal/segment-folder.ts';
import { examineSnapshots } from '../journal/snapshots.ts';
import { type DataPlaces, dataPlaces } from '../sequence/data-places.ts';
import { parseStoredEvent, recoverState } from '../sequence/recovery.ts';
import type { Finding } from './finding.ts';
import { asidePlace, requireDamageAt, withStoppedData } from './surgery.ts';

export type CutReport = {
  readonly dataFolder: string;
  readonly lineage: string;
  /** The last event that is kept. */
  readonly seq: number;
  readonly movedAside: string;
  readonly runsHeld: readonly string[];
};

/** `seq` is the one that the doctor has named: whoever says it has read what is lost. */
export function cutJournal(dataFolder: string, keyFile: string, seq: number): Promise<CutReport> {
  return withStoppedData(dataFolder, 'is cut', async () => {
    const damage = await requireDamageAt(dataFolder, keyFile, seq);
    const places = dataPlaces(dataFolder);
    await requireBeginning(places, seq);
    const movedAside = asidePlace(dataFolder, 'cut');
    await giveUp(places, damage, movedAside);
    const lineage = randomBytes(12).toString('base64url');
    const last = await beginLineage(places.journal, lineage);
    return { dataFolder, lineage, seq: last.seq, movedAside, runsHeld: await unfinishedRuns(places) };
  });
}

/** What is left must still come to a state: from seq 1 on, or from a snapshot that is whole. */
async function requireBeginning({ journal, snapshots }: DataPlaces, seq: number): Promise<void> {
  const segments = await listSegments(journal);
  const damaged = segments.findLast(({ first }) => first <= seq);
  const refuse = (why: string, instead = 'restore a backup instead'): LockstepError =>
    new LockstepError('damaged', `${journal} cannot be cut at seq ${seq}: ${why}; ${instead}`);
  if (damaged?.kind === 'archived')
    throw refuse(
      'the damage is in a compressed part, and a newer snapshot has what it comes to',
      `go on without that history: \`lockstep doctor --forget ${seq}\``,
    );
  if (segments[0]?.first === 1 && seq > 1) return;
  for await (const examined of examineSnapshots(snapshots))
    if (examined.kind === 'whole' && examined.snapshot.seq < seq && seq > (segments[0]?.first ?? 0)) return;
  throw refuse('no state could be made from what is before it');
}

async function giveUp(places: DataPlaces, damage: Finding, aside: string): Promise<void> {
  const seq = damage.seq ?? 0;
  const asideJournal = path.join(aside, 'journal');
  const asideSnapshots = path.join(aside, 'snapshots');
  for (const folder of [asideJournal, asideSnapshots]) await makeFolder(folder);
  for await (const examined of examineSnapshots(places.snapshots)) {
    const at = examined.kind === 'whole' ? examined.snapshot.seq : examined.seq;
    const name = String(at).padStart(20, '0');
    if (at >= seq) await rename(path.join(places.snapshots, name), path.join(asideSnapshots, name));
  }
  const move = ({ file }: Segment): Promise<void> =>
    rename(file, path.join(asideJournal, path.basename(file)));
  const segments = await listSegments(places.journal);
  for (const segment of segments.toReversed()) {
    if (segment.first > seq || (segment.first === seq && damage.byte === 0)) await move(segment);
    else {
      const bytes = await readFile(segment.file);
      if (damage.file === segment.file && damage.byte !== null) {
        await writeFileDurably(path.join(asideJournal, path.basename(segment.file)), bytes);
        await (await AppendFile.resume(segment.file, damage.byte)).close();
      }
      break;
    }
  }
  for (const folder of [places.journal, places.snapshots, asideJournal, asideSnapshots])
    await syncFolder(folder);
}

async function unfinishedRuns(places: DataPlaces): Promise<readonly string[]> {
  const journal = await JournalReader.open<Event>(places.journal, parseStoredEvent);
  if (journal === undefined) return [];
  const { state } = await recoverState(journal, places.snapshots);
  return [...state.activeRuns.values()].filter((run) => run.cancel === null).map((run) => run.id);
}
