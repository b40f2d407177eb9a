/**
 * The events of a whole journal folder in order, across archived and plain segments. Read-only: it works in
 * the process that appends and, for sealed segments, in any other one, for example the child that folds them
 * into a snapshot while the coordinator goes on.
 */
import { isMissing } from '../../shared/disk/durable-file.ts';
import { LockstepError } from '../../shared/errors.ts';
import { damagedAt, listSegments, type PlainSegment, plainSegment, type Segment } from './segment-folder.ts';
import { type RawPage, readLastLine, readSegment } from './segment-reader.ts';

/** How often a segment may move between being listed and being opened: it is archived once and deleted once. */
const movesMax = 3;

/** Every event from `from` to `to`, which both must be durable. Throws `cursor-expired` or `damaged`. */
export async function* readHistory(folder: string, from: number, to: number): AsyncGenerator<RawPage> {
  let next = from;
  let previous: string | undefined;
  let moves = 0;
  while (next <= to) {
    const { segment, last } = await findSegment(folder, next);
    try {
      for await (const page of readSegment(segment, { from: next, to: Math.min(to, last), previous })) {
        next = page.seq + 1;
        previous = page.hash;
        yield page;
      }
      moves = 0;
    } catch (error) {
      moves += 1;
      if (!isMissing(error) || moves > movesMax) throw error;
    }
  }
}

/** The events of sealed segments from `from` on. The newest segment is left out, and nothing is locked. */
export async function* readSealed(folder: string, from: number): AsyncGenerator<RawPage> {
  const newest = (await listSegments(folder)).at(-1);
  if (newest !== undefined) yield* readHistory(folder, from, newest.first - 1);
}

/** The segment that holds `seq`, and the last seq it must have: that before the next segment's first. */
async function findSegment(
  folder: string,
  seq: number,
): Promise<{ readonly segment: Segment; readonly last: number }> {
  const segments = await listSegments(folder);
  const index = segments.findLastIndex(({ first }) => first <= seq);
  const segment = segments[index];
  if (segment === undefined) {
    const oldest = segments[0]?.first;
    throw expired(
      seq,
      oldest === undefined ? 'nothing is kept' : `the oldest event that is kept is ${oldest}`,
    );
  }
  const following = segments[index + 1];
  const last = following === undefined ? Number.POSITIVE_INFINITY : following.first - 1;
  if (segment.kind === 'archived' && segment.last !== last) throw missingAfter(folder, segment.last);
  return { segment, last };
}

/**
 * Checks by names and last lines that each segment begins where the one before it ended. Gives the newest one,
 * and the hash that it has to continue if that can be told without uncompressing anything; undefined for a
 * folder without segments.
 */
export async function checkLinks(
  folder: string,
): Promise<{ readonly segment: PlainSegment; readonly previous?: string } | undefined> {
  const segments = await listSegments(folder);
  let before: { readonly seq: number; readonly hash?: string } | undefined;
  for (const [index, segment] of segments.entries()) {
    if (before !== undefined && before.seq + 1 !== segment.first) throw missingAfter(folder, before.seq);
    if (segment.kind === 'plain' && index === segments.length - 1) {
      return before?.hash === undefined ? { segment } : { segment, previous: before.hash };
    }
    before = segment.kind === 'archived' ? { seq: segment.last } : await readLastLine(segment);
  }
  // Only sealed segments are archived, so the one that was being written is gone.
  if (before !== undefined) throw missingAfter(folder, before.seq);
  return undefined;
}

const missingAfter = (folder: string, seq: number): LockstepError =>
  damagedAt(plainSegment(folder, seq + 1), 0, seq + 1, 'the segment that should begin here is missing');

export function expired(seq: number, why: string): LockstepError {
  return new LockstepError(
    'cursor-expired',
    `cannot read events from seq ${seq}: ${why}; take the newest snapshot and go on from its seq`,
  );
}
