/** The journal's folder: what opening repairs, what it refuses, and what full disks and failed fsyncs do. */
import {
  appendFile,
  copyFile,
  mkdir,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import * as z from 'zod';
import { archiveSegments } from '../../../coordinator/journal/archive.ts';
import { FileJournal } from '../../../coordinator/journal/file-journal.ts';
import { listPlain, plainName } from '../../../coordinator/journal/segment-folder.ts';
import { type NoteEvent, note, notes, parseNote, readAll } from '../../contract/journal.ts';
import { breakFsync, onSmallDisk } from '../../shared/disk/broken-disk.ts';
import { linesUntilKilled, sourceUrl } from '../../shared/disk/killed-writer.ts';

const open = (folder: string, segmentBytesMax?: number): Promise<FileJournal<NoteEvent>> =>
  FileJournal.open({
    folder,
    lineageWhenNew: 'L1',
    parse: parseNote,
    ...(segmentBytesMax === undefined ? {} : { segmentBytesMax }),
  });

/** Three batches, each in its own segment, closed. */
async function threeSegments(folder: string): Promise<readonly string[]> {
  const journal = await open(folder, 1);
  for (const first of [1, 4, 7]) await journal.append(notes(first, 3));
  await journal.close();
  return (await listPlain(folder)).map(({ file }) => file);
}

t.test('files are private and read by any tool for JSON lines', async (t) => {
  const folder = path.join(t.testdir({}), 'data', 'journal');
  const journal = await open(folder);
  await journal.append(notes(1, 2));
  await journal.close();
  const file = path.join(folder, plainName(1));
  t.equal((await stat(folder)).mode & 0o777, 0o700);
  t.equal((await stat(file)).mode & 0o777, 0o600);
  const lines = (await readFile(file, 'utf8')).trimEnd().split('\n');
  t.match(
    lines.map((line) => JSON.parse(line)),
    [
      { segment: { first: 1, lineage: 'L1', format: 1 } },
      { seq: 1, type: 'Noted', note: 'note 1', batch: 1, more: 1 },
      { seq: 2, type: 'Noted', note: 'note 2', batch: 1, more: 0 },
    ],
  );
});

t.test('a torn batch is cut on disk, reported, and its seqs are used again', async (t) => {
  const folder = t.testdir({});
  const journal = await open(folder);
  t.same(journal.repair, { kind: 'none' });
  await journal.append(notes(1, 3));
  const file = path.join(folder, plainName(1));
  const { size } = await stat(file);
  await journal.append(notes(4, 3));
  await journal.close();
  await truncate(file, (await stat(file)).size - 30);

  const mended = await open(folder);
  t.match(mended.repair, { kind: 'cut', file, offset: size, seq: 4 });
  t.equal((await stat(file)).size, size);
  await mended.append([note(4, 'another history')]);
  t.same(await readAll(mended, 4), [note(4, 'another history')]);
  await mended.close();

  await truncate(file, (await stat(file)).size - 1);
  const completed = await open(folder);
  t.match(completed.repair, { kind: 'completed', seq: 4 });
  await completed.append(notes(5, 1));
  await completed.close();
  const whole = await open(folder);
  t.same(whole.repair, { kind: 'none' });
  t.equal((await whole.verify()).events, 5);
  await whole.close();
});

t.test('what is refused is left as it is', async (t) => {
  const root = t.testdir({});
  const cases: readonly [string, (files: readonly string[]) => Promise<unknown>, RegExp][] = [
    [
      'a segment in the middle is gone',
      ([, middle = '']) => rm(middle),
      /where seq 4 should be: the segment .* missing/,
    ],
    [
      'the newest header is gone',
      ([, , newest = '']) => writeFile(newest, ''),
      /does not begin with a header/,
    ],
    ['a sealed segment was cut', ([, middle = '']) => truncate(middle, 700), /end with a whole line|missing/],
    ['a foreign segment', ([first = '', , newest = '']) => copyFile(first, newest), /its header says 1/],
    ['something was added', ([, , newest = '']) => appendFile(newest, 'hello\n'), /the line has no hash/],
  ];
  for (const [index, [name, harm, message]] of cases.entries()) {
    const folder = path.join(root, String(index));
    const files = await threeSegments(folder);
    await harm(files);
    const before = await Promise.all(
      (await readdir(folder)).map((file) => readFile(path.join(folder, file))),
    );
    await t.rejects(open(folder), { code: 'damaged', message }, name);
    const after = await Promise.all((await readdir(folder)).map((file) => readFile(path.join(folder, file))));
    t.same(after, before, name);
  }
});

t.test('the active segment cannot disappear unnoticed when older ones are archived', async (t) => {
  const folder = t.testdir({});
  const files = await threeSegments(folder);
  await archiveSegments(folder, 6);
  await rm(files[2] ?? '');
  await t.rejects(open(folder), {
    code: 'damaged',
    message: /where seq 7 should be: the segment .* missing/,
  });
});

t.test('damage in a sealed segment is found by whoever reads it, with the place', async (t) => {
  const folder = t.testdir({});
  const [first = ''] = await threeSegments(folder);
  const bytes = await readFile(first);
  const at = bytes.indexOf('note 2') + 5;
  bytes.write('7', at);
  await writeFile(first, bytes);
  const journal = await open(folder);
  const line = bytes.lastIndexOf('\n', at) + 1;
  const expected = { code: 'damaged', message: new RegExp(`damaged at byte ${line}, where seq 2 should be`) };
  await t.rejects(readAll(journal), expected);
  await t.rejects(journal.verify(), expected);
  t.same(await readAll(journal, 4), notes(4, 6), 'the rest can be read');
  await t.rejects(readAll(journal, 2), { code: 'damaged' }, 'also when reading begins in the middle');
  await journal.close();
});

t.test('leftovers of a crash while a segment was begun are swept', async (t) => {
  const folder = t.testdir({});
  await threeSegments(folder);
  await writeFile(path.join(folder, `.${plainName(10)}.99-1.tmp`), 'half a hea');
  const journal = await open(folder);
  t.equal((await readdir(folder)).length, 3);
  t.equal(journal.last.seq, 9);
  await journal.close();
});

t.test('sealing moves all events into segments that others may read', async (t) => {
  const folder = t.testdir({});
  const journal = await open(folder);
  await journal.seal();
  t.equal((await listPlain(folder)).length, 1, 'nothing to seal yet');
  await journal.append(notes(1, 3));
  await journal.seal();
  await journal.seal();
  t.same(
    (await listPlain(folder)).map(({ first }) => first),
    [1, 4],
  );
  await journal.append(notes(4, 1));
  await journal.close();
  const again = await open(folder);
  t.same(await readAll(again), notes(1, 4));
  await again.close();
});

t.test('every batch acknowledged before kill -9 is there', async (t) => {
  const folder = path.join(t.testdir({}), 'journal');
  const script = `
    import { FileJournal } from '${sourceUrl('coordinator/journal/file-journal.ts')}';
    const journal = await FileJournal.open({
      folder: ${JSON.stringify(folder)}, lineageWhenNew: 'L1', parse: (stored) => stored, segmentBytesMax: 20_000,
    });
    for (;;) {
      const first = journal.last.seq + 1;
      const count = 1 + first % 7;
      await journal.append(Array.from({ length: count }, (_, index) =>
        ({ seq: first + index, at: 1, type: 'Noted', note: 'note ' + (first + index) })));
      console.log(journal.last.seq + ' ' + journal.last.hash);
    }`;
  let before = 0;
  for (let round = 0; round < 8; round += 1) {
    const lines = await linesUntilKilled(script, 20 + round * 3, round % 4);
    const [seq, hash] = (lines.at(-1) ?? '').split(' ');
    const journal = await open(folder);
    t.ok(journal.last.seq >= Number(seq) && Number(seq) > before, `${journal.last.seq} after ${seq}`);
    t.equal(await journal.hashAt(Number(seq)), hash, 'the same past');
    t.equal((await journal.verify()).events, journal.last.seq);
    before = journal.last.seq;
    await journal.close();
  }
});

const smallDiskSchema = z.looseObject({
  last: z.number(),
  read: z.number(),
  events: z.number(),
  after: z.number(),
  reopened: z.number(),
  rotation: z.string(),
  repair: z.string(),
});

t.test('a full disk withholds one batch, and nothing else', async (t) => {
  const mountPoint = t.testdir({});
  const script = `
    import { FileJournal } from '${sourceUrl('coordinator/journal/file-journal.ts')}';
    import { rmSync, statSync, writeFileSync } from 'node:fs';
    const folder = '${mountPoint}/journal';
    const open = () => FileJournal.open({ folder, lineageWhenNew: 'L1', parse: (stored) => stored });
    const filler = '${mountPoint}/filler';
    writeFileSync(filler, Buffer.alloc(600_000));
    const journal = await open();
    const batch = () => Array.from({ length: 50 }, (_, index) =>
      ({ seq: journal.last.seq + 1 + index, at: 1, type: 'Noted', note: 'x'.repeat(500) }));
    let refused;
    while (refused === undefined) await journal.append(batch()).catch((error) => { refused = error; });
    const { last } = journal;
    const size = statSync(folder + '/00000000000000000001.jsonl').size;
    const again = await journal.append(batch()).then(() => 'appended', (error) => error.code);
    let read = 0;
    for await (const page of journal.read({ from: 1 })) read += page.length;
    const { events } = await journal.verify();
    const rotation = await journal.seal().then(() => 'sealed', (error) => error.code);
    rmSync(filler);
    await journal.append(batch());
    await journal.seal();
    const after = await journal.verify();
    await journal.close();
    const reopened = await open();
    console.log(JSON.stringify({
      code: refused.code, message: refused.message, again, rotation, sizeKept: size, last: last.seq, read, events,
      after: after.events, reopened: reopened.last.seq, repair: reopened.repair.kind,
    }));
    await reopened.close();`;
  const seen = smallDiskSchema.parse(onSmallDisk(mountPoint, script));
  t.match(seen, {
    code: 'disk-full',
    message: /cannot append to .*0001\.jsonl: no space is left/,
    again: 'disk-full',
  });
  t.ok(seen.last > 100, `${seen.last} events fitted`);
  t.same([seen.read, seen.events], [seen.last, seen.last], 'reads go on');
  t.ok(['sealed', 'disk-full'].includes(seen.rotation));
  t.same([seen.after, seen.reopened, seen.repair], [seen.last + 50, seen.last + 50, 'none']);
});

t.test('after a failed fsync nothing more is promised', async (t) => {
  const folder = t.testdir({});
  const journal = await open(folder);
  await journal.append(notes(1, 2));
  const waiting = journal.beyond(2, new AbortController().signal);

  breakFsync(path.join(folder, plainName(1)));
  const failure = { code: 'damaged', message: /could not be written \(EINVAL.*fdatasync.*process must end/ };
  await t.rejects(journal.append(notes(3, 1)), failure);
  await waiting;
  await t.rejects(journal.append(notes(3, 1)), failure, 'never tried again');
  await t.rejects(readAll(journal), failure);
  await t.rejects(journal.beyond(2, new AbortController().signal), failure);
  await t.rejects(journal.seal(), failure);
  await journal.close();
  const again = await open(folder);
  t.equal(again.last.seq, 2);
  await again.close();
});

t.test('the search finds any seq in a large segment', async (t) => {
  const folder = path.join(t.testdir({}), 'journal');
  await mkdir(folder);
  const journal = await open(folder);
  const texts = ['short', 'x'.repeat(3_000), 'y'.repeat(100_000)];
  for (let first = 1; first <= 600; first += 60) {
    await journal.append(
      notes(first, 60).map((event) => ({
        ...event,
        note: texts[event.seq % 97 === 0 ? 2 : event.seq % 2] ?? '',
      })),
    );
  }
  await journal.close();
  const again = await open(folder);
  for (let seq = 1; seq <= 600; seq += 7)
    t.same(
      (await readAll(again, seq, seq)).map((event) => event.seq),
      [seq],
    );
  t.equal(await again.hashAt(600), again.last.hash);
  await again.close();
});
