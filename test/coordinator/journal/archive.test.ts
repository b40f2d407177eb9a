/** What happens to sealed segments: archived, read through the archive, deleted by retention, audited longer. */
import { readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import t from 'tap';
import { archiveSegments, readAudit, retainJournal } from '../../../coordinator/journal/archive.ts';
import { FileJournal } from '../../../coordinator/journal/file-journal.ts';
import { readSealed } from '../../../coordinator/journal/history.ts';
import { archiveFolder, listPlain, listSegments } from '../../../coordinator/journal/segment-folder.ts';
import { expiredFiles } from '../../../shared/disk/retention.ts';
import { type NoteEvent, notes, parseNote, readAll } from '../../contract/journal.ts';

const open = (folder: string): Promise<FileJournal<NoteEvent>> =>
  FileJournal.open({ folder, lineageWhenNew: 'L1', parse: parseNote, segmentBytesMax: 1 });

/** Ten segments of three events, the last one active. */
async function tenSegments(folder: string): Promise<FileJournal<NoteEvent>> {
  const journal = await open(folder);
  for (let first = 1; first <= 28; first += 3) await journal.append(notes(first, 3));
  return journal;
}

const plainFirsts = async (folder: string): Promise<number[]> =>
  (await listPlain(folder)).map(({ first }) => first);
const archivedNames = (folder: string): Promise<string[]> => readdir(archiveFolder(folder));

t.test('only sealed segments that a snapshot covers are archived, and reads do not notice', async (t) => {
  const folder = t.testdir({});
  const written = await tenSegments(folder);
  t.equal((await archiveSegments(folder, 11)).length, 3, 'the segment of 10 to 12 is not covered');
  t.same(await plainFirsts(folder), [10, 13, 16, 19, 22, 25, 28]);
  await written.close();
  const journal = await open(folder);
  for (const from of [1, 2, 3, 4, 9, 10, 30]) t.same(await readAll(journal, from), notes(from, 31 - from));
  t.same(await readAll(journal, 2, 8), notes(2, 7));
  t.equal((await journal.verify()).events, 30);
  await archiveSegments(folder, 1_000);
  t.same(await plainFirsts(folder), [28], 'the active one stays');
  t.equal(await journal.oldest(), 1);
  t.same(await readAll(journal), notes(1, 30));
  await journal.close();
});

t.test('a crash between archiving and removing leaves both, and both are one', async (t) => {
  const folder = t.testdir({});
  const journal = await tenSegments(folder);
  const [first] = await listPlain(folder);
  const text = await readFile(first?.file ?? '');
  await archiveSegments(folder, 3);
  await writeFile(first?.file ?? '', text);
  t.same(
    (await listSegments(folder)).slice(0, 2).map(({ kind }) => kind),
    ['plain', 'plain'],
  );
  await journal.close();
  const again = await open(folder);
  t.same(await readAll(again), notes(1, 30));
  await archiveSegments(folder, 3);
  t.same((await plainFirsts(folder))[0], 4);
  await again.close();
});

t.test('a damaged segment is not archived; a damaged archive is noticed', async (t) => {
  const folder = t.testdir({});
  const journal = await tenSegments(folder);
  const [, second] = await listPlain(folder);
  const text = await readFile(second?.file ?? '', 'utf8');
  await writeFile(second?.file ?? '', text.replace('note 5', 'note 6'));
  await t.rejects(archiveSegments(folder, 9), { code: 'damaged', message: /where seq 5 should be/ });
  t.same((await plainFirsts(folder))[0], 4, 'it stays where it is');
  await writeFile(second?.file ?? '', text);
  await archiveSegments(folder, 9);

  const [name = ''] = await archivedNames(folder);
  const archive = path.join(archiveFolder(folder), name);
  const good = await readFile(archive);
  await journal.close();
  const again = await open(folder);
  await truncate(archive, good.length >> 1);
  await t.rejects(readAll(again), { code: 'damaged' });
  await writeFile(archive, zstdCompressSync(zstdDecompressSync(good).subarray(0, -200)));
  await t.rejects(readAll(again), { code: 'damaged', message: /uncompressed text.*ends before it/ });
  await writeFile(archive, 'no zstd at all');
  await t.rejects(readAll(again), { code: 'damaged', message: /cannot be uncompressed/ });
  await again.close();
});

t.test('retention deletes the oldest, never beyond a snapshot, and keeps audit events', async (t) => {
  const folder = t.testdir({});
  const written = await tenSegments(folder);
  await archiveSegments(folder, 30);
  await written.close();
  const journal = await open(folder);
  const now = notes(30, 1)[0]?.at ?? 0;
  const isAudit = (stored: unknown): boolean => parseNote(stored).seq % 4 === 0;

  const none = await retainJournal(folder, { now, keepFrom: 30, isAudit });
  t.same(none, { deleted: [], auditDeleted: [] }, 'nothing is old or large');
  const some = await retainJournal(folder, { now, keepFrom: 13, isAudit, keptMs: 0 });
  t.same(
    some.deleted.map(({ first }) => first),
    [1, 4, 7, 10],
    'all is old, and a snapshot needs 13',
  );
  t.equal(await journal.oldest(), 13);
  t.same(await readAll(journal, 13), notes(13, 18));
  await t.rejects(readAll(journal, 12), { code: 'cursor-expired', message: /kept is 13/ });
  t.equal((await journal.verify()).first, 13);

  const audit: unknown[] = [];
  for await (const page of readAudit(folder, 5)) audit.push(...page);
  t.same(audit, [...notes(8, 1), ...notes(12, 1)]);
  const later = await retainJournal(folder, { now: now + 10, keepFrom: 13, isAudit, auditKeptMs: 10 });
  t.same(
    later.auditDeleted.map(({ first }) => first),
    [4, 7, 10],
    'audit events have their own age',
  );
  await journal.close();
});

t.test('what is kept is bounded by size, and always one stretch', (t) => {
  const files = [5, 5, 5, 5].map((bytes, index) => ({ bytes, newestAt: 100 + index, index }));
  const indexes = (keptMs: number, keptBytes: number, mayGo = (_: { index: number }) => true): number[] =>
    expiredFiles(files, { now: 110, keptMs, keptBytes }, mayGo).map(({ index }) => index);
  t.same(indexes(100, 100), []);
  t.same(indexes(100, 12), [0, 1], 'down to at most 12 bytes');
  t.same(indexes(8, 100), [0, 1], 'older than 8 ms');
  t.same(indexes(0, 0), [0, 1, 2, 3]);
  t.same(
    indexes(0, 0, ({ index }) => index !== 1),
    [0],
    'one that stays protects what follows it',
  );
  t.end();
});

t.test('another process reads sealed segments while this one appends and archives', async (t) => {
  const folder = t.testdir({});
  const journal = await tenSegments(folder);
  const seen: number[] = [];
  for await (const page of readSealed(folder, 5)) {
    seen.push(...page.events.map((event) => parseNote(event).seq));
    t.equal(page.hash, await journal.hashAt(page.seq), 'a snapshot at the end of a page has this hash');
    await archiveSegments(folder, journal.last.seq);
    await journal.append(notes(journal.last.seq + 1, 2));
  }
  t.same(
    seen,
    notes(5, 23).map(({ seq }) => seq),
    'up to what was sealed when it began',
  );
  await journal.close();
});
