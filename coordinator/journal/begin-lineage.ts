/**
 * Lets another lineage go on from where a journal ends: the next segment's header names the new lineage and the
 * hash of the last event, so that the chain can be checked across, and each seq still has one meaning in each
 * lineage. Whoever calls it holds the lock of the folder.
 */
import { readFile } from 'node:fs/promises';
import { present } from '../../shared/assert.ts';
import { AppendFile } from '../../shared/disk/append-file.ts';
import { encodeHeader } from './chain.ts';
import { checkLinks } from './history.ts';
import type { Position } from './port.ts';
import { plainSegment } from './segment-folder.ts';
import { recoverSegment } from './segment-recovery.ts';

/** Gives the event that both lineages have as their last in common. Durable when it resolves. */
export async function beginLineage(folder: string, lineage: string): Promise<Position> {
  const { segment } = present(await checkLinks(folder), 'a journal to continue');
  const { last, bytesKept, repair } = recoverSegment(segment, await readFile(segment.file));
  const end = await AppendFile.resume(segment.file, bytesKept, repair.kind === 'completed' ? '\n' : '');
  await end.close();
  const { text } = encodeHeader({ first: last.seq + 1, previous: last.hash, lineage });
  // A segment without events has the same name and is replaced.
  const next = await AppendFile.create(plainSegment(folder, last.seq + 1).file, text);
  await next.close();
  return last;
}
