/**
 * What a crash can leave is repaired, everything else is refused, and whatever is kept is a prefix of the
 * batches that contains every acknowledged one. In memory: every cut and every bit.
 */
import { hash } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import { encodeBatch, encodeHeader, genesisHash } from '../../../coordinator/journal/chain.ts';
import { type PlainSegment, plainSegment } from '../../../coordinator/journal/segment-folder.ts';
import { type Recovered, recoverSegment } from '../../../coordinator/journal/segment-recovery.ts';
import { LockstepError } from '../../../shared/errors.ts';
import { note, notes } from '../../contract/journal.ts';

const sectorBytes = 512;

type Written = {
  readonly segment: PlainSegment;
  readonly bytes: Buffer;
  /** Where each batch begins, and at last where the file ends. */
  readonly starts: readonly number[];
  /** The last seq of each batch. */
  readonly seqs: readonly number[];
};

function writeBatches(sizes: readonly (readonly string[])[]): Written {
  let { text, hash } = encodeHeader({ first: 1, previous: genesisHash, lineage: 'L1' });
  let seq = 0;
  const starts = [Buffer.byteLength(text)];
  const seqs: number[] = [];
  for (const texts of sizes) {
    const events = texts.map((words, index) => note(seq + 1 + index, words));
    const batch = encodeBatch(events, seq, hash);
    text += batch.text;
    hash = batch.hash;
    seq += events.length;
    seqs.push(seq);
    starts.push(Buffer.byteLength(text));
  }
  return { segment: plainSegment('/data/journal', 1), bytes: Buffer.from(text), starts, seqs };
}

type Outcome =
  | { readonly kind: 'refused'; readonly message: string }
  | { readonly kind: 'kept'; readonly recovered: Recovered };

function recover(written: Written, bytes: Buffer): Outcome {
  try {
    return { kind: 'kept', recovered: recoverSegment(written.segment, bytes) };
  } catch (error) {
    if (error instanceof LockstepError && error.code === 'damaged')
      return { kind: 'refused', message: error.message };
    throw error;
  }
}

const keptSeq = (outcome: Outcome): number | 'refused' =>
  outcome.kind === 'kept' ? outcome.recovered.last.seq : 'refused';

const texts = (first: number, count: number): string[] => notes(first, count).map((event) => event.note);

const small = writeBatches([texts(1, 3), texts(4, 2), texts(6, 3)]);
const lastStart = small.starts[2] ?? 0;

function withFlippedBit(bytes: Buffer, bit: number): Buffer {
  const flipped = Buffer.from(bytes);
  flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
  return flipped;
}

t.test('a file cut at any byte of the last batch loses that batch and nothing else', async (t) => {
  for (let end = lastStart; end < small.bytes.length - 1; end += 1) {
    const outcome = recover(small, small.bytes.subarray(0, end));
    if (keptSeq(outcome) !== 5) t.fail(`cut at ${end}: ${JSON.stringify(outcome)}`);
    if (outcome.kind !== 'kept') continue;
    const { repair, bytesKept } = outcome.recovered;
    t.equal(bytesKept, lastStart);
    if (end === lastStart) t.same(repair, { kind: 'none' });
    else {
      t.match(repair, { kind: 'cut', offset: lastStart, bytes: end - lastStart, seq: 6 }, 'and it is said');
    }
  }
  const whole = recover(small, small.bytes.subarray(0, -1));
  t.equal(keptSeq(whole), 8, 'a batch that lacks only its newline is whole');
  t.match(whole, { recovered: { repair: { kind: 'completed', offset: small.bytes.length - 1, seq: 8 } } });
});

t.test('no flipped bit is taken for a crash', async (t) => {
  let flips = 0;
  for (let bit = 0; bit < small.bytes.length * 8; bit += 1) {
    const outcome = recover(small, withFlippedBit(small.bytes, bit));
    if (outcome.kind !== 'refused') t.fail(`bit ${bit}: ${JSON.stringify(outcome)}`);
    flips += 1;
  }
  t.ok(flips > 5_000);
  const refused = recover(small, withFlippedBit(small.bytes, (lastStart + 20) * 8));
  t.match(refused, {
    message: new RegExp(`0001\\.jsonl is damaged at byte ${lastStart}, where seq 6 .*lockstep doctor`),
  });
  const newline = recover(small, withFlippedBit(small.bytes, (small.bytes.length - 1) * 8));
  t.match(newline, { message: /another byte stands for its newline/ });
});

t.test(
  'sectors that never reached the disk, in any combination, lose the last batch and nothing else',
  async (t) => {
    const written = writeBatches([texts(1, 3), [...texts(4, 3), 'long '.repeat(500), ...texts(8, 6)]]);
    const start = written.starts[1] ?? 0;
    const firstSector = Math.ceil(start / sectorBytes);
    const sectors = Math.ceil(written.bytes.length / sectorBytes) - firstSector;
    t.ok(sectors > 6);
    for (let pattern = 1; pattern < 1 << (sectors + 1); pattern += 1) {
      const torn = Buffer.from(written.bytes);
      // Bit 0 is the rest of the sector in which the batch begins: what is before it there was durable.
      if (pattern & 1) torn.fill(0, start, firstSector * sectorBytes);
      for (let index = 0; index < sectors; index += 1) {
        const from = (firstSector + index) * sectorBytes;
        if (pattern & (2 << index)) torn.fill(0, from, Math.min(from + sectorBytes, torn.length));
      }
      const seq = keptSeq(recover(written, torn));
      if (seq !== 3) t.fail(`pattern ${pattern.toString(2)}: ${seq}`);
    }
  },
);

t.test('NUL bytes that no crash leaves are refused', async (t) => {
  const written = writeBatches([texts(1, 3), ['long '.repeat(400)], texts(5, 3)]);
  const [, second = 0, third = 0] = written.starts;
  const zeroed = (from: number, to: number): Outcome => {
    const torn = Buffer.from(written.bytes);
    torn.fill(0, from, to);
    return recover(written, torn);
  };
  t.match(zeroed(third + 10, third + 11), { message: /NUL bytes that no crash leaves/ }, 'one byte');
  t.equal(keptSeq(zeroed(third, written.bytes.length)), 4, 'the whole last batch, as a crash may');
  const inside = Math.ceil((second + 1) / sectorBytes) * sectorBytes;
  t.match(
    zeroed(inside, inside + sectorBytes),
    { message: /does not belong to batch 4/ },
    'a sector of a durable batch',
  );
  t.match(zeroed(third - 1, written.bytes.length), { message: /a NUL byte stands for its newline/ });
  t.match(zeroed(written.bytes.length - 1, written.bytes.length), {
    message: /a NUL byte stands for its newline/,
  });
});

t.test('a NUL newline in a sector of its own completes the batch', async (t) => {
  for (let pad = 0; ; pad += 1) {
    const written = writeBatches([['x'.repeat(pad)]]);
    if (written.bytes.length % sectorBytes !== 1) continue;
    const torn = Buffer.from(written.bytes);
    torn.fill(0, torn.length - 1);
    t.match(recover(written, torn), { recovered: { last: { seq: 1 }, repair: { kind: 'completed' } } });
    return;
  }
});

t.test('random batches, random harm: what is kept is a prefix with every acknowledged batch', async (t) => {
  const words = fc.array(fc.string({ unit: 'binary', maxLength: 300 }), { minLength: 1, maxLength: 6 });
  const batches = fc.array(words, { minLength: 1, maxLength: 6 });
  const harm = fc.oneof(
    fc.record({ kind: fc.constant('cut' as const), at: fc.double({ min: 0, max: 1, noNaN: true }) }),
    fc.record({ kind: fc.constant('holes' as const), pattern: fc.nat() }),
    fc.record({ kind: fc.constant('flip' as const), at: fc.double({ min: 0, max: 1, noNaN: true }) }),
  );
  fc.assert(
    fc.property(batches, harm, (sizes, how) => {
      const written = writeBatches(sizes);
      const { bytes, starts, seqs } = written;
      const start = starts.at(-2) ?? 0;
      let torn: Buffer = Buffer.from(bytes);
      if (how.kind === 'cut') torn = torn.subarray(0, start + Math.floor((bytes.length - start) * how.at));
      else if (how.kind === 'flip') torn = withFlippedBit(bytes, Math.floor((bytes.length * 8 - 1) * how.at));
      else {
        for (let from = start, index = 0; from < bytes.length; index += 1) {
          const to = Math.min((Math.floor(from / sectorBytes) + 1) * sectorBytes, bytes.length);
          if (how.pattern & (1 << (index % 31))) torn.fill(0, from, to);
          from = to;
        }
      }
      const outcome = recover(written, torn);
      // A flip may meet an acknowledged batch; a crash harms only the last, which was not.
      if (how.kind === 'flip') return outcome.kind === 'refused';
      const seq = keptSeq(outcome);
      return seq === seqs.at(-1) || seq === (seqs.at(-2) ?? 0);
    }),
    { numRuns: 1_500 },
  );
  t.pass('1,500 random files');
});

t.test('a header that is wrong is refused; one of the future names its format', async (t) => {
  const other = plainSegment('/data/journal', 2);
  t.throws(() => recoverSegment(other, small.bytes), { code: 'damaged', message: /its header says 1/ });
  t.throws(() => recoverSegment(small.segment, Buffer.alloc(0)), {
    code: 'damaged',
    message: /does not begin with a header/,
  });
  const body = `{"segment":{"first":1,"previous":"${genesisHash}","lineage":"L1","format":2}`;
  const header = `${body},"hash":"${hash('sha256', genesisHash + body, 'base64url')}"}\n`;
  t.throws(() => recoverSegment(small.segment, Buffer.from(header)), {
    code: 'version',
    message: /format 2/,
  });
});
