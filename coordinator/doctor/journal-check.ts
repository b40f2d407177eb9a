/** The journal: every line against its checksum and the chain, every seq there once. */
import { readFile } from 'node:fs/promises';
import { messageOf } from '../../shared/errors.ts';
import { DamagedSegment, listSegments, type Segment } from '../journal/segment-folder.ts';
import { readSegment } from '../journal/segment-reader.ts';
import { recoverSegment } from '../journal/segment-recovery.ts';
import { type Finding, finding, restoreRemedy, type Subject } from './finding.ts';

export async function* checkJournal({ places, durableSeq }: Subject): AsyncGenerator<Finding | string> {
  const segments = await listSegments(places.journal);
  if (segments.length === 0) {
    yield finding('there is no journal', 'name a data folder of a coordinator with --data');
    return;
  }
  let previous: string | undefined;
  let seq = (segments[0]?.first ?? 1) - 1;
  let events = 0;
  for (const [index, segment] of segments.entries()) {
    if (durableSeq !== null && segment.first > durableSeq) break;
    if (segment.first !== seq + 1) {
      yield finding(`the events from seq ${seq + 1} to ${segment.first - 1} are missing`, restoreRemedy, {
        file: segment.file,
        seq: seq + 1,
      });
      previous = undefined;
    }
    const following = segments[index + 1];
    try {
      const end = endOf(segment, following, durableSeq) ?? (await newestEnd(segment));
      if (typeof end !== 'number') yield end.note;
      const last = typeof end === 'number' ? end : end.last;
      if (last >= segment.first)
        for await (const page of readSegment(segment, { from: segment.first, to: last, previous }))
          previous = page.hash;
      events += last - segment.first + 1;
      seq = last;
    } catch (error) {
      yield describe(segment, error);
      previous = undefined;
      if (following !== undefined) seq = following.first - 1;
    }
  }
  yield `${events} events up to seq ${seq}`;
}

/** The last seq that a sealed segment must have, or one that is being written has for certain. */
function endOf(
  segment: Segment,
  following: Segment | undefined,
  durableSeq: number | null,
): number | undefined {
  if (durableSeq !== null && (following === undefined || following.first > durableSeq)) return durableSeq;
  if (following !== undefined) return following.first - 1;
  return segment.kind === 'archived' ? segment.last : undefined;
}

/** What of the newest segment counts after a crash. */
async function newestEnd(
  segment: Segment,
): Promise<number | { readonly last: number; readonly note: string }> {
  if (segment.kind === 'archived') return segment.last;
  const { last, repair } = recoverSegment(segment, await readFile(segment.file));
  if (repair.kind !== 'cut') return last.seq;
  const note = `a crash has torn the last batch in ${segment.file} at byte ${repair.offset}, which nobody was told of: the next start cuts it`;
  return { last: last.seq, note };
}

function describe(segment: Segment, error: unknown): Finding {
  if (!(error instanceof DamagedSegment))
    return finding(
      messageOf(error),
      restoreRemedy + (segment.kind === 'archived' ? without(segment, segment.first) : ''),
      {
        file: segment.file,
        seq: segment.first,
      },
    );
  const { why, offset: byte, seq } = error;
  return finding(`${why} where seq ${seq} should be`, restoreRemedy + without(segment, seq), {
    file: segment.file,
    byte,
    seq,
  });
}

/** How to go on without what is damaged, when there is no backup. */
const without = (segment: Segment, seq: number): string =>
  segment.kind === 'plain'
    ? `, or go on without seq ${seq} and all after it: \`lockstep doctor --cut ${seq}\``
    : `, or go on without the history up to seq ${segment.last}, whose state a newer snapshot has: \`lockstep doctor --forget ${seq}\``;
