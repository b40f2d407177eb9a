/** Content by digest: durable when put, checked when read, stored once, deleted only when nobody can need it. */
import { createHash } from 'node:crypto';
import { readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import { BlobStore } from '../../../coordinator/journal/blobs.ts';
import { FolderSyncs } from '../../../coordinator/journal/folder-syncs.ts';
import { Turnstile } from '../../../coordinator/journal/turnstile.ts';
import { limits } from '../../../shared/limits.ts';
import { linesUntilKilled, sourceUrl } from '../../shared/disk/killed-writer.ts';

const digestOf = (content: string | Buffer): string =>
  `sha256:${createHash('sha256').update(content).digest('hex')}`;

const placeOf = (folder: string, digest: string): string =>
  path.join(folder, digest.slice(7, 9), digest.slice(7));

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
}

async function* pieces(...texts: string[]): AsyncGenerator<Buffer> {
  for (const text of texts) yield Buffer.from(text);
}

t.test('what is put can be read, whole, in pieces, and in ranges', async (t) => {
  const folder = path.join(t.testdir({}), 'blobs');
  const store = await BlobStore.open(folder);
  const digest = await store.put('hello world');
  t.equal(digest, digestOf('hello world'));
  t.same(await store.putStream(pieces('hello', ' ', 'world')), { digest, bytes: 11 });
  t.same(await store.putStream(pieces()), { digest: digestOf(''), bytes: 0 });
  t.equal((await store.read(digest)).toString(), 'hello world');
  t.equal((await store.read(digest, { start: 6, end: 11 })).toString(), 'world');
  t.equal((await store.read(digest, { start: 3, end: 3 })).length, 0);
  t.equal((await store.stream(digest)).size, 11);
  for (const range of [
    { start: 0, end: 12 },
    { start: -1, end: 2 },
    { start: 5, end: 4 },
    { start: 0.5, end: 2 },
  ]) {
    await t.rejects(store.read(digest, range), { code: 'invalid', message: /it has 11/ });
  }
  t.equal((await stat(placeOf(folder, digest))).mode & 0o777, 0o600);
  t.same((await filesIn(folder)).sort(), [placeOf(folder, digest), placeOf(folder, digestOf(''))].sort());

  const again = await BlobStore.open(folder);
  t.ok(await again.has(digest));
  t.same(await again.missing([digest, digestOf('other'), digestOf('')]), [digestOf('other')]);
  await t.rejects(again.read(digestOf('other')), { code: 'not-found' });
});

t.test('no text from outside becomes a path', async (t) => {
  const store = await BlobStore.open(t.testdir({}));
  for (const text of ['../../etc/passwd', 'sha256:..', `sha256:${'A'.repeat(64)}`, '']) {
    await t.rejects(store.read(text), { code: 'invalid' });
    await t.rejects(store.has(text), { code: 'invalid' });
  }
});

t.test('too large is refused and leaves nothing', async (t) => {
  const folder = t.testdir({});
  const store = await BlobStore.open(folder);
  const large = Buffer.alloc(limits.blobBytesMax / 4 + 1);
  async function* tooMuch() {
    for (let index = 0; index < 4; index += 1) yield large;
  }
  await t.rejects(store.putStream(tooMuch()), { code: 'too-large', message: /blobBytesMax/ });
  async function* broken() {
    yield Buffer.from('half');
    throw new Error('the sender went away');
  }
  await t.rejects(store.putStream(broken()), /the sender went away/);
  t.same(await filesIn(folder), []);
});

t.test('the same content at the same time is stored once', async (t) => {
  const folder = t.testdir({});
  const store = await BlobStore.open(folder);
  const puts = Array.from({ length: 40 }, (_, index) =>
    index % 2 === 0 ? store.put('same') : store.putStream(pieces('sa', 'me')).then(({ digest }) => digest),
  );
  t.same(new Set(await Promise.all(puts)), new Set([digestOf('same')]));
  t.equal((await filesIn(folder)).length, 1);
  const many = await Promise.all(Array.from({ length: 500 }, (_, index) => store.put(`text ${index % 100}`)));
  t.equal(new Set(many).size, 100);
  t.same(await store.missing(many), []);
});

t.test('a damaged blob is refused, put aside, and can be put again', async (t) => {
  const folder = t.testdir({});
  const store = await BlobStore.open(folder);
  const digest = await store.put('hello world');
  await writeFile(placeOf(folder, digest), 'hello w0rld');
  t.equal((await store.read(digest, { start: 0, end: 5 })).toString(), 'hello', 'a range is not checked');
  await t.rejects(store.read(digest), { code: 'damaged', message: /another digest; it was put aside/ });
  t.notOk(await store.has(digest));
  await store.put('hello world');
  t.equal((await store.read(digest)).toString(), 'hello world');

  await writeFile(placeOf(folder, digest), 'short');
  const restarted = await BlobStore.open(folder);
  await restarted.put('hello world');
  t.equal((await restarted.read(digest)).toString(), 'hello world', 'another length is noticed when put');
});

t.test('collecting deletes what is neither live nor new', async (t) => {
  const folder = t.testdir({});
  const store = await BlobStore.open(folder);
  const live = await store.put('live');
  const dead = await store.put('dead');
  const renewed = await store.put('renewed');
  const isLive = (digest: string): boolean => digest === live;
  t.same(await store.collect(isLive, Date.now()), { deleted: 0, bytes: 0 }, 'all is new');
  const aDayOn = Date.now() + 24 * 60 * 60_000;
  t.equal((await store.collect(isLive, aDayOn)).deleted, 0, 'also when the clock on the wall was set');

  const old = new Date(Date.now() - 2 * limits.blobAgeMinMs);
  for (const digest of [live, dead, renewed]) await utimes(placeOf(folder, digest), old, old);
  const restarted = await BlobStore.open(folder);
  await restarted.put('renewed');
  t.same(await restarted.collect(isLive, Date.now()), { deleted: 1, bytes: 4 });
  t.same(await restarted.missing([live, dead, renewed]), [dead]);

  await utimes(placeOf(folder, renewed), old, old);
  await restarted.put('renewed');
  t.equal((await restarted.collect(isLive, Date.now())).deleted, 0, 'a put that cost only a hash renews too');
  await restarted.put('dead');
  t.ok(await restarted.has(dead), 'what was deleted is written again');
});

t.test('puts and collections at the same time lose nothing that was put', async (t) => {
  const folder = t.testdir({});
  const store = await BlobStore.open(folder);
  const old = new Date(Date.now() - 2 * limits.blobAgeMinMs);
  for (let round = 0; round < 10; round += 1) {
    const texts = Array.from({ length: 20 }, (_, index) => `text ${index}`);
    for (const file of await filesIn(folder)) await utimes(file, old, old);
    const another = await BlobStore.open(folder);
    const [digests] = await Promise.all([
      Promise.all(texts.map((text) => another.put(text))),
      another.collect(() => false, Date.now()),
    ]);
    t.same(await another.missing(digests), [], `round ${round}`);
    t.same(await store.read(digests[0] ?? ''), await readFile(placeOf(folder, digests[0] ?? '')));
  }
});

t.test('what a killed process put is there, and its leftovers are swept', async (t) => {
  const folder = path.join(t.testdir({}), 'blobs');
  const script = `
    import { BlobStore } from '${sourceUrl('coordinator/journal/blobs.ts')}';
    const store = await BlobStore.open(${JSON.stringify(folder)});
    const start = Date.now();
    for (let index = 0; ; index += 4) {
      const texts = [0, 1, 2, 3].map((offset) => (start + '-' + (index + offset)).repeat(3_000));
      for (const digest of await Promise.all(texts.map((text) => store.put(text)))) console.log(digest);
    }`;
  for (let round = 0; round < 3; round += 1) {
    const digests = await linesUntilKilled(script, 20, 3 * round);
    const store = await BlobStore.open(folder);
    for (const digest of digests.filter((line) => line.length === 71))
      t.equal(digestOf(await store.read(digest)), digest);
    t.same(await readdir(path.join(folder, 'incoming')), []);
  }
});

t.test('folder fsyncs are shared by those who came before it began', async (t) => {
  const folder = t.testdir({});
  const syncs = new FolderSyncs();
  const first = syncs.sync(folder);
  const second = syncs.sync(folder);
  t.not(first, second, 'the running one may have missed the change');
  t.equal(syncs.sync(folder), second);
  await Promise.all([first, second]);
  const gone = path.join(folder, 'gone');
  await t.rejects(syncs.sync(gone), { code: 'ENOENT' });
  await t.rejects(syncs.sync(folder), { code: 'ENOENT' }, 'a failure is never forgotten');
});

t.test('a turnstile lets few pass, few wait, and keeps the order', async (t) => {
  const turnstile = new Turnstile(2, 3);
  const order: number[] = [];
  let inside = 0;
  const works = [0, 1, 2, 3, 4].map((number) =>
    turnstile.pass(async () => {
      inside += 1;
      t.ok(inside <= 2);
      await new Promise((resolve) => setTimeout(resolve, 2));
      order.push(number);
      inside -= 1;
      if (number === 1) throw new Error('work may fail');
    }),
  );
  await t.rejects(
    turnstile.pass(async () => undefined),
    { code: 'too-many' },
  );
  await Promise.allSettled(works);
  t.same(order, [0, 1, 2, 3, 4]);
});
