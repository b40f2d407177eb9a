/** Logs after crashes and damage: what was acknowledged is there, or its absence is visible. */
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import * as z from 'zod';
import { encodeHead, encodeRecord } from '../../../coordinator/logs/log-records.ts';
import { LogStore } from '../../../coordinator/logs/log-store.ts';
import { recoverSegment } from '../../../coordinator/logs/segment-recovery.ts';
import { breakFsync, onSmallDisk } from '../../shared/disk/broken-disk.ts';
import { linesUntilKilled, sourceUrl } from '../../shared/disk/killed-writer.ts';

const open = (folder: string, segmentBytesMax = 1_000_000): Promise<LogStore> =>
  LogStore.open({
    folder,
    now: Date.now,
    onDurable: () => undefined,
    onFailure: () => undefined,
    flushDelayMs: 60 * 60_000,
    segmentBytesMax,
  });

const salt = 4_711;

/** Cycles of records of attempts `a` and `b`, each with a text of that many bytes. */
function segmentOf(cycles: readonly (readonly number[])[]): { bytes: Buffer; starts: readonly number[] } {
  const parts: Uint8Array[] = [Buffer.from(encodeHead(1, salt))];
  const length = (): number => parts.reduce((sum, part) => sum + part.length, 0);
  const starts: number[] = [];
  const offsets: Record<string, number> = { a: 0, b: 0 };
  for (const [index, sizes] of cycles.entries()) {
    starts.push(length());
    for (const [number, bytes] of sizes.entries()) {
      const attempt = number % 2 === 0 ? 'a' : 'b';
      const offset = offsets[attempt] ?? 0;
      offsets[attempt] = offset + bytes;
      const record = {
        attempt,
        stream: 'stdout' as const,
        offset,
        at: 1_000 + index,
        cycle: index + 1,
        bytes,
      };
      parts.push(...encodeRecord(record, [Buffer.alloc(bytes, 'text ')], salt));
    }
  }
  return { bytes: Buffer.concat(parts), starts };
}

/** Where stdout of both attempts ends, after recovery. */
function endsOf(bytes: Buffer): readonly [a: number, b: number] {
  const index = recoverSegment(bytes, true)?.index;
  return [index?.get('a')?.ends.stdout ?? 0, index?.get('b')?.ends.stdout ?? 0];
}

t.test('cut at any byte of the last cycle, the cycles before are whole and nothing has a hole', (t) => {
  const { bytes, starts } = segmentOf([
    [10, 20],
    [5, 0, 7],
    [100, 50, 30],
  ]);
  for (let end = starts[2] ?? 0; end <= bytes.length; end += 1) {
    const [a, b] = endsOf(bytes.subarray(0, end));
    if (!([22, 122, 152].includes(a) && [20, 70].includes(b) && a + b >= 42))
      t.fail(`cut at ${end}: ${a}, ${b}`);
    if (end < bytes.length && a === 152) t.fail(`cut at ${end} is whole`);
  }
  t.same(endsOf(bytes), [152, 70]);
  t.end();
});

t.test('a last cycle with unwritten sectors is cut, also when its end was written', (t) => {
  const { bytes, starts } = segmentOf([
    [10, 20],
    [400, 700, 900, 800],
  ]);
  const start = starts[1] ?? 0;
  for (let sector = Math.ceil(start / 512) * 512; sector + 512 <= bytes.length; sector += 512) {
    const torn = Buffer.from(bytes);
    torn.fill(0, sector, sector + 512);
    const recovered = recoverSegment(torn, true);
    const prefixes = ['10,20', '410,20', '410,720', '1310,720'];
    t.ok(prefixes.includes(String(endsOf(torn))), `sector at ${sector}: a beginning of the cycle, no hole`);
    t.ok((recovered?.bytesKept ?? 0) <= sector);
    t.equal(recovered?.bytesLost, 0, 'its sender has it still');
  }
  const all = Buffer.from(bytes);
  all.fill(0, start);
  t.same(endsOf(all), [10, 20]);
  t.end();
});

t.test('damage to what was acknowledged costs the records it is in', (t) => {
  const { bytes, starts } = segmentOf([
    [10, 20],
    [30, 40],
    [50, 60],
  ]);
  const at = (starts[1] ?? 0) + 20;
  const flipped = Buffer.from(bytes);
  flipped.writeUInt8(flipped.readUInt8(at) ^ 4, at);
  const recovered = recoverSegment(flipped, true);
  t.equal(recovered?.bytesKept, bytes.length);
  t.ok((recovered?.bytesLost ?? 0) > 30);
  t.equal(recovered?.index.get('a')?.places.length, 2, 'one of three is lost');
  t.equal(recovered?.index.get('b')?.places.length, 3);
  t.same(endsOf(flipped), [90, 120]);
  t.equal(recoverSegment(Buffer.from('no head'), true), undefined);
  t.end();
});

t.test('a job cannot print a record of another one', (t) => {
  const forged = encodeRecord(
    { attempt: 'victim', stream: 'stdout', offset: 0, at: 1, cycle: 1, bytes: 4 },
    [Buffer.from('fake')],
    salt + 1,
  );
  const content = Buffer.concat(forged);
  const record = {
    attempt: 'a',
    stream: 'stdout' as const,
    offset: 0,
    at: 1,
    cycle: 1,
    bytes: content.length,
  };
  const bytes = Buffer.concat([Buffer.from(encodeHead(1, salt)), ...encodeRecord(record, [content], salt)]);
  bytes.write('X', bytes.indexOf('"stream"') + 2);
  t.equal(
    recoverSegment(bytes, false)?.index.get('victim'),
    undefined,
    'without the salt it has a wrong checksum',
  );
  t.end();
});

async function readAll(store: LogStore, attempt: string): Promise<string> {
  let text = '';
  for await (const piece of store.read(attempt)) {
    text += piece.kind === 'text' ? piece.bytes.toString() : `[${piece.bytes} ${piece.why}]`;
  }
  return text;
}

t.test('opening repairs on disk, says so, and goes on', async (t) => {
  const folder = t.testdir({});
  const store = await open(folder, 400);
  for (let index = 0; index < 10; index += 1) {
    await store.append('a', 'stdout', index * 8, Buffer.from(`line ${index}.\n`));
    await store.flush();
  }
  await store.close();
  const names = (await readdir(folder))
    .filter((name) => name.endsWith('.log'))
    .map((name) => path.join(folder, name));
  const reopened = await open(folder);
  const whole = await readAll(reopened, 'a');
  await reopened.close();
  t.equal(whole, Array.from({ length: 10 }, (_, index) => `line ${index}.\n`).join(''));

  const indexes = (await readdir(folder)).filter((name) => name.endsWith('.index'));
  t.ok(indexes.length > 1);
  await rm(path.join(folder, indexes[0] ?? ''));
  await writeFile(path.join(folder, indexes[1] ?? ''), 'rubbish');
  const reindexed = await open(folder);
  t.equal(await readAll(reindexed, 'a'), whole, 'indexes are made again');
  await reindexed.close();

  const newest = names.at(-1) ?? '';
  await writeFile(newest, Buffer.concat([await readFile(newest), Buffer.from('{"attempt":"a","str')]));
  const cut = await open(folder);
  t.match(cut.repairs, [/ended in a half-written flush: 19 bytes were cut/]);
  t.equal(await readAll(cut, 'a'), whole);
  await cut.append('a', 'stdout', 80, Buffer.from('and on'));
  await cut.close();

  const bytes = await readFile(names[0] ?? '');
  await writeFile(names[0] ?? '', bytes.subarray(0, bytes.indexOf('line 1')));
  await writeFile(names[1] ?? '', 'rubbish');
  const damaged = await open(folder);
  t.match(damaged.repairs, [
    /is damaged: \d+ bytes of logs in it are lost/,
    /has no head and is passed over/,
  ]);
  t.match(await readAll(damaged, 'a'), /^line 0\.\n\[\d+ lost\]line \d\.\n.*and on$/s);
  await damaged.close();
});

t.test('what was acknowledged before kill -9 is there, in order and without holes', async (t) => {
  const folder = path.join(t.testdir({}), 'logs');
  const script = `
    import { LogStore } from '${sourceUrl('coordinator/logs/log-store.ts')}';
    const store = await LogStore.open({
      folder: ${JSON.stringify(folder)}, now: Date.now, flushDelayMs: 1, segmentBytesMax: 20_000,
      onFailure: (error) => { throw error; },
      onDurable: (logs) => console.log(JSON.stringify(logs)),
    });
    for (;;) {
      for (const attempt of ['a', 'b', 'c']) {
        const { upTo } = await store.append(attempt, 'stdout', 0, new Uint8Array(0));
        const text = Array.from({ length: 100 }, (_, index) => (upTo + index) % 10).join('');
        await store.append(attempt, 'stdout', upTo, Buffer.from(text));
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
    }`;
  for (let round = 0; round < 4; round += 1) {
    const lines = await linesUntilKilled(script, 20 + round, round);
    const store = await open(folder);
    const acknowledged = new Map<string, number>();
    for (const line of lines) {
      if (!line.endsWith(']')) continue;
      for (const { attempt, upTo } of JSON.parse(line)) acknowledged.set(attempt, upTo);
    }
    for (const [attempt, upTo] of acknowledged) {
      const text = await readAll(store, attempt);
      t.ok(text.length >= upTo, `${attempt}: ${text.length} after ${upTo}`);
      t.equal(text, '0123456789'.repeat(text.length / 10));
      t.equal((await store.durableEnds(attempt)).stdout, text.length);
    }
    await store.close();
  }
});

const smallDiskSchema = z.looseObject({
  withheld: z.number(),
  read: z.number(),
  upTo: z.number(),
  after: z.number(),
  reopened: z.number(),
});

t.test('a full disk withholds acknowledgements until there is space', async (t) => {
  const mountPoint = t.testdir({});
  const script = `
    import { LogStore } from '${sourceUrl('coordinator/logs/log-store.ts')}';
    import { rmSync, writeFileSync } from 'node:fs';
    writeFileSync('${mountPoint}/filler', Buffer.alloc(500_000));
    let durable = 0;
    const failures = [];
    const store = await LogStore.open({
      folder: '${mountPoint}/logs', now: Date.now, flushDelayMs: 1, segmentBytesMax: 200_000,
      onDurable: ([log]) => { durable = log.upTo; }, onFailure: ({ code }) => failures.push(code),
    });
    let upTo = 0;
    while (failures.length === 0) {
      ({ upTo } = await store.append('a', 'stdout', upTo, Buffer.alloc(10_000, 'x')));
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    const direct = await store.flush().then(() => 'flushed', ({ code }) => code);
    const withheld = durable;
    let read = 0;
    for await (const { bytes } of store.read('a')) read += bytes.length;
    rmSync('${mountPoint}/filler');
    const until = Date.now() + 10_000;
    while (durable < upTo && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 20));
    const after = durable;
    await store.close();
    const again = await LogStore.open({ folder: '${mountPoint}/logs', now: Date.now, onDurable() {}, onFailure() {} });
    console.log(JSON.stringify({
      codes: failures, direct, withheld, read, upTo, after, repairs: again.repairs,
      reopened: (await again.durableEnds('a')).stdout,
    }));
    await again.close();`;
  const seen = smallDiskSchema.parse(onSmallDisk(mountPoint, script));
  t.match(seen, { codes: ['disk-full'], direct: 'disk-full', repairs: [] });
  const { withheld, read, upTo, after, reopened } = seen;
  t.ok(withheld < upTo, `${withheld} of ${upTo}`);
  t.equal(read, withheld, 'reads go on, and show what is durable');
  t.same([after, reopened], [upTo, upTo]);
});

t.test('after a failed fsync nothing more is acknowledged', async (t) => {
  const folder = t.testdir({});
  let acknowledged = 0;
  const store = await LogStore.open({
    folder,
    now: Date.now,
    onDurable: ([log]) => {
      acknowledged = log?.upTo ?? 0;
    },
    onFailure: () => undefined,
    flushDelayMs: 60 * 60_000,
  });
  await store.append('a', 'stdout', 0, Buffer.from('good'));
  await store.flush();
  breakFsync(path.join(folder, '0000000001.log'));
  await store.append('a', 'stdout', 4, Buffer.from('lost'));
  const failure = { code: 'damaged', message: /could not be written \(EINVAL.*process must end/ };
  await t.rejects(store.flush(), failure);
  await t.rejects(store.flush(), failure, 'never tried again');
  await t.rejects(store.append('a', 'stdout', 8, Buffer.from('more')), failure);
  t.equal(acknowledged, 4);
  await store.close();
  const again = await open(folder);
  t.equal(await readAll(again, 'a'), 'good');
  await again.close();
});
