/**
 * What of a log segment can be used after a crash, or with damage in it. Pure: bytes in, index out.
 *
 * Cycle N+1 is written only after the fsync of cycle N, so what a crash leaves half written is of the last
 * cycle, whose records nobody was told of: it is cut, and agents send it again. Damage to earlier cycles is
 * passed over and costs only the records it is in: unlike the journal, a log with a hole is still a log, and
 * readers see the hole as a gap.
 */
import { holesIn, isUnwritten } from '../../shared/disk/torn-write.ts';
import { decodeHead, decodeRecord, findRecord, type ReadRecord, type SegmentHead } from './log-records.ts';
import { SegmentIndex } from './segment-index.ts';

export type RecoveredSegment = {
  readonly head: SegmentHead;
  readonly index: SegmentIndex;
  /** Of the last record that is kept. */
  readonly cycle: number;
  readonly bytesKept: number;
  /** Damaged stretches among what is kept. */
  readonly bytesLost: number;
  /** Where the first of them begins; null when there is none. */
  readonly firstLost: number | null;
};

/** The first stretch that is no record. */
type Damage = { readonly start: number; readonly end: number; readonly recordsBefore: number };

type Found = { readonly start: number; readonly record: ReadRecord };

/** Undefined when not even the head can be read. `mayBeTorn`: it is the newest segment. */
export function recoverSegment(bytes: Buffer, mayBeTorn: boolean): RecoveredSegment | undefined {
  const headed = decodeHead(bytes);
  if (headed === undefined) return undefined;
  const { head } = headed;
  const records: Found[] = [];
  let damage: Damage | undefined;
  let bytesLost = 0;
  let offset = headed.end;
  while (offset < bytes.length) {
    const record = decodeRecord(bytes, offset, head.salt);
    const found = record === undefined ? findRecord(bytes, offset + 1, head.salt) : { start: offset, record };
    const start = found?.start ?? bytes.length;
    if (start > offset) {
      bytesLost += start - offset;
      damage ??= { start: offset, end: start, recordsBefore: records.length };
    }
    if (found === undefined) break;
    records.push(found);
    offset = found.record.end;
  }
  const bytesKept = mayBeTorn ? keptOf(bytes, records, damage) : bytes.length;
  const index = new SegmentIndex();
  let cycle = 0;
  for (const { start, record } of records) {
    if (start >= bytesKept) break;
    index.add(record, start);
    cycle = record.cycle;
  }
  // The stretches that were cut are not lost: whoever sent them has them still.
  const lost = bytesKept < bytes.length ? undefined : damage;
  return {
    head,
    index,
    cycle,
    bytesKept,
    bytesLost: lost === undefined ? 0 : bytesLost,
    firstLost: lost?.start ?? null,
  };
}

/** Up to where a newest segment is kept: to its end, unless its damage can be a torn last cycle. */
function keptOf(bytes: Buffer, records: readonly Found[], damage: Damage | undefined): number {
  if (damage === undefined) return bytes.length;
  const after = records.slice(damage.recordsBefore);
  const cycle = after[0]?.record.cycle;
  // Nothing comes after it: the cycle was cut short, and its whole records can stay.
  if (cycle === undefined) return damage.start;
  const before = records[damage.recordsBefore - 1]?.record.cycle ?? 0;
  const isLastCycle = after.every(({ record }) => record.cycle === cycle) && cycle - before <= 1;
  const writeStart = Math.min(
    records.find(({ record }) => record.cycle === cycle)?.start ?? damage.start,
    damage.start,
  );
  const damaged = bytes.subarray(0, damage.end);
  const isTorn = [...holesIn(damaged, damage.start)].some((hole) =>
    isUnwritten(hole, writeStart, bytes.length),
  );
  return isLastCycle && isTorn ? writeStart : bytes.length;
}
