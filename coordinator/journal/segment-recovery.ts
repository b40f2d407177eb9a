/**
 * What may be kept of the newest segment after a crash. Pure: bytes in, decision out, so that every cut and
 * every flipped bit can be tried.
 *
 * Batch N+1 is written only after the fsync of batch N. A crash can therefore damage the last batch alone, and
 * only by leaving parts of it unwritten: the file ends early, or blocks that were not yet on disk read as
 * NUL bytes. A batch found incomplete was never acknowledged and is cut whole: its events were decided
 * together. Anything else is damage to what was acknowledged (a flipped bit, a foreign program, a bad disk)
 * and is refused, because cutting it would break promises silently.
 */
import { holesIn, isUnwritten, sectorBytes } from '../../shared/disk/torn-write.ts';
import type { LockstepError } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import {
  claimedBatch,
  decodeHeader,
  decodeRecord,
  formatNewest,
  type LineRecord,
  type SegmentHeader,
} from './chain.ts';
import type { Position } from './port.ts';
import { damagedAt, type PlainSegment, unknownFormat } from './segment-folder.ts';

export type Repair =
  | { readonly kind: 'none' }
  /** The last batch was incomplete: from the byte `offset` on, where its first event `seq` stood, all is cut. */
  | {
      readonly kind: 'cut';
      readonly file: string;
      readonly offset: number;
      readonly bytes: number;
      readonly seq: number;
    }
  /** The last batch was whole but for its newline, which belongs at `offset`. */
  | { readonly kind: 'completed'; readonly file: string; readonly offset: number; readonly seq: number };

export type Recovered = {
  readonly header: SegmentHeader;
  readonly last: Position;
  /** The hash that the next line is chained to. */
  readonly chain: string;
  /** What of the file counts, before a missing newline is added. */
  readonly bytesKept: number;
  readonly repair: Repair;
};

const newline = 0x0a;

/** State after a verified line; at a batch's last line (`more` 0) it is one that recovery may go back to. */
type Verified = {
  readonly offset: number;
  readonly chain: string;
  readonly last: Position;
  readonly batch: number;
  readonly more: number;
};

export function recoverSegment(segment: PlainSegment, bytes: Buffer): Recovered {
  const headerEnd = bytes.indexOf(newline);
  const header = decodeHeader(bytes.toString('utf8', 0, Math.max(headerEnd, 0)));
  // A segment gets its name after its header is durable, so that a crash leaves no broken header.
  if (header.kind === 'fault') throw damagedAt(segment, 0, segment.first, header.why);
  if (header.format > formatNewest) throw unknownFormat(segment, header.format);
  if (header.first !== segment.first)
    throw damagedAt(segment, 0, segment.first, `its header says ${header.first}`);

  let whole: Verified = {
    offset: headerEnd + 1,
    chain: header.hash,
    last: { seq: header.first - 1, hash: header.previous },
    batch: 0,
    more: 0,
  };
  let verified = whole;
  const settle = (repair: Repair): Recovered => {
    const { chain, last, offset } = whole;
    return { header, chain, last, bytesKept: offset, repair };
  };
  const cut = (): Recovered => {
    const { offset, last } = whole;
    return settle({
      kind: 'cut',
      file: segment.file,
      offset,
      bytes: bytes.length - offset,
      seq: last.seq + 1,
    });
  };

  for (;;) {
    const { offset } = verified;
    const lineEnd = bytes.indexOf(newline, offset);
    const next = lineEnd === -1 ? undefined : nextLine(bytes, offset, lineEnd, verified);
    if (next !== undefined && next.kind === 'record') {
      verified = afterRecord(next, lineEnd + 1);
      if (verified.more === 0) whole = verified;
      continue;
    }

    if (offset === bytes.length) return verified.more === 0 ? settle({ kind: 'none' }) : cut();

    const hole = bytes.indexOf(0, offset);
    if (next !== undefined && (hole === -1 || hole > lineEnd)) {
      throw damagedAt(segment, offset, verified.last.seq + 1, next.why);
    }
    if (hole === -1) {
      // The file ends inside a line.
      const tail = nextLine(bytes, offset, bytes.length, verified);
      if (tail.kind === 'record') return endWithoutNewline(tail, bytes.length);
      if (nextLine(bytes, offset, bytes.length - 1, verified).kind === 'record') {
        throw damagedAt(
          segment,
          bytes.length - 1,
          verified.last.seq + 1,
          'another byte stands for its newline',
        );
      }
      return cut();
    }

    const beforeHole = nextLine(bytes, offset, hole, verified);
    if (beforeHole.kind === 'record' && beforeHole.more === 0) {
      // All of the batch but its newline. If more follows, a later batch was written, so this one had been
      // durable, newline and all.
      if (hole === bytes.length - 1 && hole % sectorBytes === 0) return endWithoutNewline(beforeHole, hole);
      throw damagedAt(segment, hole, beforeHole.seq, 'a NUL byte stands for its newline');
    }
    checkHoles(segment, bytes, { from: whole.offset, hole, batch: whole.last.seq + 1 });
    return cut();
  }

  function endWithoutNewline(record: LineRecord, offset: number): Recovered {
    if (record.more > 0) return cut();
    whole = afterRecord(record, offset);
    return settle({ kind: 'completed', file: segment.file, offset, seq: record.seq });
  }
}

const afterRecord = (record: LineRecord, offset: number): Verified => {
  const { seq, hash, batch, more } = record;
  return { offset, chain: hash, last: { seq, hash }, batch, more };
};

/** The line between two offsets, if it verifies and goes on with the batch or, after a whole one, begins one. */
function nextLine(
  bytes: Buffer,
  start: number,
  end: number,
  before: Verified,
): ReturnType<typeof decodeRecord> {
  const seq = before.last.seq + 1;
  const record = decodeRecord(bytes.toString('utf8', start, end), before.chain, seq);
  if (record.kind === 'fault') return record;
  const goesOn =
    before.more > 0 ? record.batch === before.batch && record.more === before.more - 1 : record.batch === seq;
  return goesOn ? record : { kind: 'fault', why: `it does not continue batch ${before.batch}` };
}

/**
 * Throws unless everything from the first hole on can be what a crash left of one batch: holes of whole
 * sectors, and between them nothing that belongs to another batch.
 */
function checkHoles(
  segment: PlainSegment,
  bytes: Buffer,
  torn: { readonly from: number; readonly hole: number; readonly batch: number },
): void {
  const { from, batch } = torn;
  const refuse = (offset: number, why: string): LockstepError => damagedAt(segment, offset, batch, why);
  if (bytes.length - from > limits.journalBatchBytesMax)
    throw refuse(torn.hole, 'more is missing than one batch');

  for (const hole of holesIn(bytes, torn.hole)) {
    if (!isUnwritten(hole, from, bytes.length)) throw refuse(hole.start, 'NUL bytes that no crash leaves');

    // The line in which the hole ends is broken by it; the ones after it, up to the next hole, are not.
    const nextHole = bytes.indexOf(0, hole.end);
    const limit = nextHole === -1 ? bytes.length : nextHole;
    for (let offset = bytes.indexOf(newline, hole.end) + 1; offset > 0 && offset < limit; ) {
      const lineEnd = bytes.indexOf(newline, offset);
      if (lineEnd === -1 || lineEnd >= limit) break;
      if (claimedBatch(bytes.toString('utf8', offset, lineEnd)) !== batch) {
        throw refuse(offset, `after a hole a line does not belong to batch ${batch}`);
      }
      offset = lineEnd + 1;
    }
  }
}
