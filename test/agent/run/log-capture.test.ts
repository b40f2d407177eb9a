/** What is kept of what a job prints: everything, or head and tail with the gap between them named. */
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  rmSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { attemptFolder } from '../../../agent/run/attempt-folder.ts';
import { type LogBounds, LogCapture, logMark } from '../../../agent/run/log-capture.ts';

const bounds: LogBounds = { headBytes: 100, tailBytes: 20, overflowBytes: 50 };
const attempt = 'r1/s/n1#1';

class Printer {
  readonly folder;
  readonly file: string;
  printed = Buffer.alloc(0);

  constructor(root: string) {
    this.folder = attemptFolder(root, attempt);
    mkdirSync(this.folder.path, { recursive: true });
    this.file = path.join(this.folder.path, 'stdout');
  }

  /** Distinct bytes, so that what is kept can be found in what was printed. */
  print(length: number): void {
    const from = this.printed.length;
    const bytes = Buffer.from(Array.from({ length }, (_, n) => (from + n) % 251));
    appendFileSync(this.file, bytes);
    this.printed = Buffer.concat([this.printed, bytes]);
  }

  capture(finalLength?: number): LogCapture {
    return new LogCapture(this.folder, attempt, 'stdout', finalLength, bounds);
  }

  get sizeOnDisk(): number {
    return statSync(this.file).size;
  }
}

/** All pieces up to a length, in chunks of 7. */
function readAll(capture: LogCapture) {
  const pieces: (
    | { readonly from: number; readonly bytes: Buffer }
    | { readonly from: number; readonly gap: number }
  )[] = [];
  for (let offset = 0; offset < capture.length(); ) {
    const piece = capture.read(offset, 7);
    if (piece.kind === 'gap') pieces.push({ from: offset, gap: piece.length });
    else pieces.push({ from: offset, bytes: Buffer.from(piece.bytes) });
    offset += piece.kind === 'gap' ? piece.length : piece.bytes.length;
  }
  return pieces;
}

const bytesOf = (capture: LogCapture): Buffer =>
  Buffer.concat(
    readAll(capture).map((piece) => ('bytes' in piece ? piece.bytes : Buffer.alloc(piece.gap, '~'))),
  );

t.test('up to the bound everything is kept, and read while it grows', async (t) => {
  const printer = new Printer(t.testdir({}));
  const capture = printer.capture();
  t.equal(capture.poll(), 0, 'before the file is there');
  printer.print(60);
  t.equal(capture.poll(), 60);
  t.same(bytesOf(capture), printer.printed);
  printer.print(60);
  capture.poll();
  t.equal(capture.length(), 100, 'what may yet become the tail waits');
  t.equal(capture.finish(), 120);
  t.same(bytesOf(capture), printer.printed);
  t.ok(capture.isFinal());
  printer.print(30);
  t.equal(capture.length(), 120, 'a daemon that goes on printing does not count');
  t.equal(
    bytesOf(printer.capture(120)).equals(printer.printed.subarray(0, 120)),
    true,
    'also for the next process',
  );
  capture.close();
});

t.test('one byte more, and the middle is a gap of exactly what is missing', async (t) => {
  const printer = new Printer(t.testdir({}));
  printer.print(121);
  const capture = printer.capture();
  t.equal(capture.finish(), 121);
  const gaps = readAll(capture).filter((piece) => 'gap' in piece);
  t.same(gaps, [{ from: 100, gap: 1 }]);
  t.same(bytesOf(capture).subarray(101), printer.printed.subarray(101));
  t.same(bytesOf(printer.capture(121)), bytesOf(capture), 'the same after a restart');
});

t.test('the file stays bounded however much is printed, and a restart goes on', async (t) => {
  const printer = new Printer(t.testdir({}));
  let capture = printer.capture();
  for (let round = 0; round < 40; round += 1) {
    printer.print(45);
    capture.poll();
    t.ok(printer.sizeOnDisk <= 100 + 50 + 45, `round ${round}: ${printer.sizeOnDisk}`);
    if (round % 7 === 3) {
      capture.close();
      capture = printer.capture();
    }
  }
  printer.print(7);
  const length = capture.finish();
  t.equal(length, printer.printed.length + 1, 'everything is accounted for, and the doubt at the last cut');
  const kept = bytesOf(capture);
  t.same(kept.subarray(0, 100), printer.printed.subarray(0, 100), 'the head is exact');
  t.same(kept.subarray(-7), printer.printed.subarray(-7), 'and so is the end');
  t.same(bytesOf(printer.capture(length)), kept, 'the same after a restart');
});

t.test('whatever is printed and whenever it is looked at', async (t) => {
  const root = t.testdir({});
  let count = 0;
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.integer({ min: 0, max: 120 }), fc.constant('look')), { maxLength: 30 }),
      (steps) => {
        count += 1;
        const printer = new Printer(path.join(root, String(count)));
        const capture = printer.capture();
        for (const step of steps) {
          if (typeof step === 'number') printer.print(step);
          else capture.poll();
        }
        capture.finish();
        const pieces = readAll(capture);
        capture.close();
        const kept = pieces.flatMap((piece) => ('bytes' in piece ? [piece.bytes] : []));
        const gaps = pieces.flatMap((piece) => ('gap' in piece ? [piece.gap] : []));
        const keptBytes = Buffer.concat(kept);
        const { printed } = printer;
        if (gaps.length === 0) return keptBytes.equals(printed);
        const head = keptBytes.subarray(0, 100).equals(printed.subarray(0, 100));
        const tail = keptBytes.subarray(100).equals(printed.subarray(-20));
        const missing = gaps.reduce((sum, gap) => sum + gap, 0);
        return (
          head && tail && missing >= printed.length - keptBytes.length && missing <= printed.length - 120 + 1
        );
      },
    ),
    { numRuns: 200 },
  );
});

t.test('a log that its job destroys is a gap', async (t) => {
  const printer = new Printer(t.testdir({}));
  printer.print(50);
  const capture = printer.capture(50);
  unlinkSync(printer.file);
  t.same(readAll(capture), [{ from: 0, gap: 50 }]);
  t.notOk(existsSync(printer.file));
  t.throws(() => capture.read(50, 1), RangeError);
});

t.test('a job that empties its log loses what was in it, and nothing else', async (t) => {
  const printer = new Printer(t.testdir({}));
  let capture = printer.capture();
  printer.print(30);
  capture.poll();
  truncateSync(printer.file);
  printer.print(20);
  t.ok(capture.poll() > 0, 'it is news');
  t.same(
    readAll(capture).filter((piece) => 'gap' in piece),
    [{ from: 0, gap: 31 }],
    'what was lost, and the doubt about what came just before',
  );
  t.same(bytesOf(capture).subarray(31), printer.printed.subarray(30), 'what came after is there');
  capture.close();
  capture = printer.capture();
  printer.print(400);
  capture.poll();
  printer.print(10);
  const length = capture.finish();
  const kept = bytesOf(capture);
  t.same(kept.subarray(31, 100), printer.printed.subarray(30, 99), 'the head has its bound all the same');
  t.same(kept.subarray(-10), printer.printed.subarray(-10));
  t.equal(length, 31 + 20 + 410 + 1, 'and everything is accounted for');
  t.same(bytesOf(printer.capture(length)), kept, 'the same after a restart');
  capture.close();

  const marked = new Printer(path.join(printer.folder.path, 'marked'));
  writeFileSync(marked.file, logMark);
  capture = marked.capture();
  t.equal(capture.poll(), 0, 'the mark is not part of the log');
  marked.print(10);
  truncateSync(marked.file);
  marked.print(40);
  t.ok(capture.poll() > 0);
  t.same(capture.read(0, 1), { kind: 'gap', offset: 0, length: 1 }, 'noticed before anything was seen');
  t.same(bytesOf(capture).subarray(1), marked.printed.subarray(10));
  truncateSync(marked.file);
  marked.print(60);
  t.equal(capture.finish(), 42 + 60, 'and when more was printed since than there was before');
  t.same(bytesOf(capture).subarray(42), marked.printed.subarray(50));
  capture.close();

  const other = new Printer(path.join(printer.folder.path, 'other'));
  capture = other.capture();
  other.print(400);
  capture.poll();
  rmSync(other.folder.path, { recursive: true });
  t.equal(capture.poll(), 0, 'an open file is still there');
  t.equal(capture.finish(), 400 + 1, 'also when its folder is removed');
  capture.close();
});
