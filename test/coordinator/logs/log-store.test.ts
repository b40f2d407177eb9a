/** What jobs print arrives once, in order, complete or with gaps that say so, and is acknowledged when durable. */
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import type { LogPiece, LogSelection } from '../../../coordinator/logs/log-reader.ts';
import { type DurableLog, LogStore } from '../../../coordinator/logs/log-store.ts';
import { limits } from '../../../shared/limits.ts';

const hour = 60 * 60_000;

type Opened = { readonly store: LogStore; readonly durable: DurableLog[]; readonly failures: unknown[] };

/** Flushes only when it is told to, unless a delay says otherwise. */
async function open(
  folder: string,
  more: { flushDelayMs?: number; segmentBytesMax?: number; now?: () => number } = {},
): Promise<Opened> {
  const durable: DurableLog[] = [];
  const failures: unknown[] = [];
  const store = await LogStore.open({
    folder,
    now: Date.now,
    onDurable: (logs) => durable.push(...logs),
    onFailure: (error) => failures.push(error),
    flushDelayMs: hour,
    ...more,
  });
  return { store, durable, failures };
}

const print = (
  store: LogStore,
  attempt: string,
  offset: number,
  text: string,
  stream: 'stdout' | 'stderr' = 'stdout',
) => store.append(attempt, stream, offset, Buffer.from(text));

/** `out:text` and `err:text` in order, gaps as `out:[3 cut]`; neighbours of one stream are joined. */
async function readAll(store: LogStore, attempt: string, selection?: LogSelection): Promise<string> {
  const pieces: LogPiece[] = [];
  for await (const piece of store.read(attempt, selection)) pieces.push(piece);
  return spell(pieces);
}

function spell(pieces: readonly LogPiece[]): string {
  const words: string[] = [];
  let before = '';
  for (const piece of pieces) {
    const stream = piece.stream === 'stdout' ? 'out' : 'err';
    const text = piece.kind === 'text' ? piece.bytes.toString() : `[${piece.bytes} ${piece.why}]`;
    if (stream === before) words.push(text);
    else words.push(`${words.length > 0 ? ' ' : ''}${stream}:${text}`);
    before = stream;
  }
  return words.join('');
}

t.test('both streams come back interleaved, one alone, and from any offset', async (t) => {
  const folder = path.join(t.testdir({}), 'logs');
  const { store, durable } = await open(folder);
  t.same(await print(store, 'a', 0, 'hello '), { kind: 'accepted', upTo: 6, durable: 0 });
  await print(store, 'a', 6, 'world');
  await print(store, 'a', 0, 'oops', 'stderr');
  await print(store, 'b', 0, 'other');
  await print(store, 'a', 11, '!');
  t.equal(await readAll(store, 'a'), '', 'nothing is shown before it is durable');
  t.same(durable, []);
  await store.flush();
  t.same(durable, [
    { attempt: 'a', stream: 'stdout', upTo: 12 },
    { attempt: 'a', stream: 'stderr', upTo: 4 },
    { attempt: 'b', stream: 'stdout', upTo: 5 },
  ]);
  t.equal(await readAll(store, 'a'), 'out:hello world err:oops out:!');
  t.equal(await readAll(store, 'a', { stream: 'stderr' }), 'err:oops');
  t.equal(await readAll(store, 'a', { from: { stdout: 6, stderr: 3 } }), 'out:world err:s out:!');
  t.equal(await readAll(store, 'a', { stream: 'stdout', from: { stdout: 99 } }), '');
  t.equal(await readAll(store, 'unknown'), '');
  t.same(await store.durableEnds('a'), { stdout: 12, stderr: 4 });
  await store.close();

  const { store: again } = await open(folder);
  t.same(again.repairs, []);
  t.equal(await readAll(again, 'a'), 'out:hello world err:oops out:!');
  t.same(await print(again, 'a', 12, 'more'), { kind: 'accepted', upTo: 16, durable: 12 });
  await again.close();
  t.equal((await stat(folder)).mode & 0o777, 0o700);
  for (const name of await readdir(folder))
    t.equal((await stat(path.join(folder, name))).mode & 0o777, 0o600);
});

t.test('the end of what was printed is there at once, wherever it is', async (t) => {
  const folder = t.testdir({});
  const { store } = await open(folder, { segmentBytesMax: 1 });
  t.equal(store.tailNow('a', 100), '', 'nothing yet');
  await print(store, 'a', 0, 'one ');
  await print(store, 'b', 0, 'other');
  t.equal(store.tailNow('a', 100), 'one ', 'before it is durable');
  await store.flush();
  await print(store, 'a', 0, 'two ', 'stderr');
  await store.flush();
  await store.append('a', 'stdout', 4, { gapBytes: 10 });
  await print(store, 'a', 14, 'thr€€');
  t.equal(store.tailNow('a', 100), 'one two thr€€', 'from sealed segments, the active one and memory');
  t.equal(store.tailNow('a', 13), 'two thr€€', 'both streams in the order in which they came');
  t.equal(store.tailNow('a', 5), '€', 'no half of a character');
  const flushing = store.flush();
  t.equal(store.tailNow('a', 6), '€€', 'also while it is written');
  await flushing;
  t.equal(store.tailNow('a', 100), 'one two thr€€');
  await store.close();
  const { store: again } = await open(folder);
  t.equal(again.tailNow('a', 10), ' thr€€', 'and after a restart');
  await again.close();
});

t.test('what was sent before is dropped, what is missing is asked for', async (t) => {
  const { store } = await open(t.testdir({}));
  await print(store, 'a', 0, 'abcdef');
  t.same(await print(store, 'a', 0, 'abc'), { kind: 'accepted', upTo: 6, durable: 0 }, 'known');
  t.same(await print(store, 'a', 4, 'efgh'), { kind: 'accepted', upTo: 8, durable: 0 }, 'half known');
  t.same(await print(store, 'a', 9, 'j'), { kind: 'gap', expected: 8 });
  await store.flush();
  t.same(await print(store, 'a', 2, 'cdef'), { kind: 'accepted', upTo: 8, durable: 8 }, 'known and durable');
  t.same(await store.append('a', 'stdout', 8, { gapBytes: 10 }), { kind: 'accepted', upTo: 18, durable: 8 });
  t.same(await store.append('a', 'stdout', 8, { gapBytes: 10 }), { kind: 'accepted', upTo: 18, durable: 8 });
  t.same(await store.append('a', 'stdout', 14, { gapBytes: 6 }), { kind: 'accepted', upTo: 20, durable: 8 });
  t.same(await store.append('a', 'stdout', 21, { gapBytes: 6 }), { kind: 'gap', expected: 20 });
  await print(store, 'a', 20, 'end');
  await store.flush();
  t.equal(await readAll(store, 'a'), 'out:abcdefgh[12 cut]end');
  t.equal(await readAll(store, 'a', { from: { stdout: 15 } }), 'out:[5 cut]end');
  await store.close();
});

t.test('bytes are bytes', async (t) => {
  const folder = t.testdir({});
  const { store } = await open(folder);
  const content = Buffer.from(Array.from({ length: 2_000 }, (_, index) => (index * 7) % 256));
  const forged = Buffer.from(
    '\n{"attempt":"b","stream":"stdout","offset":0,"at":1,"cycle":1,"bytes":0,"crc":1}\n\n',
  );
  await store.append('a', 'stdout', 0, content);
  await store.append('a', 'stdout', content.length, forged);
  await store.close();
  const { store: again } = await open(folder);
  const pieces: Buffer[] = [];
  for await (const piece of again.read('a')) if (piece.kind === 'text') pieces.push(piece.bytes);
  t.same(Buffer.concat(pieces), Buffer.concat([content, forged]));
  t.equal(await readAll(again, 'b'), '');
  await again.close();
});

t.test('segments: reading across them, and finding attempts that are long gone', async (t) => {
  const folder = t.testdir({});
  const { store } = await open(folder, { segmentBytesMax: 3_000 });
  const attempts = Array.from({ length: 50 }, (_, index) => `r1/build/n${index}#1`);
  for (let round = 0; round < 20; round += 1) {
    for (const attempt of attempts)
      await print(store, attempt, round * 5, `l${String(round).padStart(3, '0')}\n`);
    await store.flush();
  }
  const expected = `out:${Array.from({ length: 20 }, (_, round) => `l${String(round).padStart(3, '0')}\n`).join('')}`;
  t.equal(await readAll(store, attempts[7] ?? ''), expected);
  for (const attempt of attempts) await store.finish(attempt);
  await store.close();
  t.ok((await readdir(folder)).filter((name) => name.endsWith('.index')).length > 10);

  const { store: again } = await open(folder, { segmentBytesMax: 3_000 });
  for (const attempt of attempts) t.equal(await readAll(again, attempt), expected);
  t.same(await print(again, attempts[3] ?? '', 100, 'late'), { kind: 'accepted', upTo: 104, durable: 100 });
  t.same(await print(again, attempts[4] ?? '', 105, 'late'), { kind: 'gap', expected: 100 });
  t.equal(await readAll(again, attempts[9] ?? '', { from: { stdout: 90 } }), 'out:l018\nl019\n');
  t.equal(spell(await again.tail(attempts[9] ?? '', { bytes: 7 })), 'out:8\nl019\n');
  t.equal(spell(await again.tail(attempts[9] ?? '', { bytes: 1_000 })), expected);
  t.same(await again.tail('unknown', { bytes: 10 }), []);
  await again.close();
});

t.test('the tail of both streams, or of one', async (t) => {
  const { store } = await open(t.testdir({}));
  let stdout = 0;
  for (let line = 0; line < 100; line += 1) {
    await print(store, 'a', stdout, `line ${line}\n`);
    stdout += `line ${line}\n`.length;
    await print(store, 'a', line, '.', 'stderr');
    if (line % 10 === 0) await store.flush();
  }
  await store.flush();
  t.equal(spell(await store.tail('a', { bytes: 9 })), 'out:line 99\n err:.');
  t.equal(spell(await store.tail('a', { bytes: 6 })), 'out:e 99\n err:.');
  t.equal(spell(await store.tail('a', { bytes: 3, stream: 'stderr' })), 'err:...');
  t.equal(spell(await store.tail('a', { bytes: 4, stream: 'stdout' })), 'out: 99\n');
  await store.close();
});

t.test('a follower sees everything once, and ends with the attempt, its signal, or the store', async (t) => {
  const { store } = await open(t.testdir({}), { flushDelayMs: 1, segmentBytesMax: 2_000 });
  const never = new AbortController().signal;
  const follow = async (attempt: string, signal: AbortSignal): Promise<string> => {
    const pieces: LogPiece[] = [];
    for await (const piece of store.read(attempt, { follow: signal })) pieces.push(piece);
    return spell(pieces);
  };
  await print(store, 'a', 0, 'before ');
  await store.flush();
  const following = follow('a', never);
  const stop = new AbortController();
  const stopped = follow('a', stop.signal);
  const closed = follow('silent', never);
  let offset = 7;
  for (let index = 0; index < 100; index += 1) {
    await print(store, 'a', offset, `${index} `);
    offset += `${index} `.length;
    if (index % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 3));
    if (index === 50) stop.abort();
  }
  await store.finish('a');
  const expected = `out:before ${Array.from({ length: 100 }, (_, index) => `${index} `).join('')}`;
  t.equal(await following, expected, 'also what was not durable when it finished');
  t.ok(expected.startsWith(await stopped));
  await store.close();
  t.equal(await closed, '');
  await t.rejects(print(store, 'a', offset, 'x'), { code: 'conflict' });
});

t.test('acknowledgements come by themselves, and small pieces become few records', async (t) => {
  const folder = t.testdir({});
  const { store, durable, failures } = await open(folder, { flushDelayMs: 5 });
  for (let offset = 0; offset < 2_000; offset += 1) await print(store, 'a', offset, 'x');
  const end = Date.now() + 5_000;
  while (durable.at(-1)?.upTo !== 2_000 && Date.now() < end)
    await new Promise((resolve) => setTimeout(resolve, 5));
  t.equal(durable.at(-1)?.upTo, 2_000);
  const [name = ''] = await readdir(folder);
  t.ok((await stat(path.join(folder, name))).size < 10_000, 'a hundred bytes for each record, not each byte');
  t.same(failures, []);
  await store.close();
});

t.test('bounds: pieces, what is pending, what one attempt may keep', async (t) => {
  const { store } = await open(t.testdir({}));
  const piece = Buffer.alloc(limits.logRecordBytesMax, 'x');
  await t.rejects(store.append('a', 'stdout', 0, Buffer.alloc(limits.logRecordBytesMax + 1)), {
    code: 'too-large',
  });
  let offset = 0;
  let appended = await store.append('a', 'stdout', 0, piece);
  while (appended.kind === 'accepted') {
    offset = appended.upTo;
    appended = await store.append('a', 'stdout', offset, piece);
  }
  t.same(appended, { kind: 'full', upTo: offset }, 'the disk is too slow');
  t.ok(offset <= limits.logPendingBytesMax && offset > limits.logPendingBytesMax / 2);
  await store.flush();
  const accepted = { kind: 'accepted', upTo: offset + piece.length, durable: offset };
  t.same(await store.append('a', 'stdout', offset, piece), accepted, 'and now it has caught up');
  for (
    offset += piece.length;
    offset < limits.attemptLogBytesMax + 10 * piece.length;
    offset += piece.length
  ) {
    t.match(await store.append('a', 'stdout', offset, piece), { kind: 'accepted' });
    await store.flush();
  }
  let kept = 0;
  let cut = 0;
  for await (const { kind, bytes } of store.read('a')) {
    if (kind === 'text') kept += bytes.length;
    else cut += bytes;
  }
  t.equal(kept, limits.attemptLogBytesMax);
  t.equal(kept + cut, offset, 'what is over the bound is a gap');
  await store.close();
});

t.test('memory: attempts that are durable make room', async (t) => {
  const { store } = await open(t.testdir({}));
  const count = limits.logAttemptsInMemoryMax + 500;
  for (let index = 0; index < count; index += 1) {
    await print(store, `attempt ${index}`, 0, 'x');
    if (index % 5_000 === 0) await store.flush();
  }
  await store.flush();
  t.same(
    await print(store, 'attempt 0', 1, 'y'),
    { kind: 'accepted', upTo: 2, durable: 1 },
    'found again in the index',
  );
  t.same(await print(store, 'attempt 1', 2, 'y'), { kind: 'gap', expected: 1 });
  await store.close();
});

t.test('retention deletes the oldest, and what is gone is a gap', async (t) => {
  const folder = t.testdir({});
  const { store } = await open(folder, { segmentBytesMax: 1_000 });
  for (let index = 0; index < 30; index += 1) {
    await print(store, 'a', index * 100, String(index % 10).repeat(100));
    await store.flush();
  }
  const before = (await readdir(folder)).length;
  t.equal(await store.retain({ now: Date.now() }), 0);
  const deleted = await store.retain({ now: Date.now(), keptBytes: 3_000 });
  t.ok(deleted > 0);
  t.equal((await readdir(folder)).length, before - 2 * deleted, 'segments and their indexes');
  const rest = await readAll(store, 'a');
  t.match(rest, /^out:\[\d+00 lost\]\d+$/);
  t.ok(rest.endsWith('9'.repeat(100)));
  t.same(await print(store, 'a', 3_000, 'goes on'), { kind: 'accepted', upTo: 3_007, durable: 3_000 });
  await store.flush();
  const later = Date.now() + limits.logKeptMs + limits.logSegmentSpanMs;
  t.ok((await store.retain({ now: later })) > 0, 'by age, also what was active');
  t.equal(await readAll(store, 'a'), '');
  await store.close();
});

t.test('age is by the clock that the store was given, wherever the one on the wall is', async (t) => {
  const now = Date.UTC(2100, 0, 1);
  const { store } = await open(t.testdir({}), { now: () => now });
  await print(store, 'a', 0, 'from a time to come');
  await store.flush();
  t.equal(await store.retain({ now: now + limits.logSegmentSpanMs }), 0);
  t.equal(await readAll(store, 'a'), 'out:from a time to come');
  await store.close();
});
