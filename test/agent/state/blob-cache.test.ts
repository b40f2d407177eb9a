/** Content by digest on the node: fetched over real HTTP, verified, kept within a bound, never taken from a job. */
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { parseCoordinatorAddress } from '../../../agent/link/addresses.ts';
import { BlobTransfer } from '../../../agent/link/blob-transfer.ts';
import { dialer } from '../../../agent/link/dial.ts';
import { readProxies } from '../../../agent/link/proxies.ts';
import { Uplink } from '../../../agent/link/uplink.ts';
import { BlobCache } from '../../../agent/state/blob-cache.ts';
import { OutputStore } from '../../../agent/state/output-store.ts';
import { Reserve } from '../../../agent/state/reserve.ts';
import { CoordinatorDouble } from '../coordinator-double.ts';

const digestOf = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const never = new AbortController().signal;

type Setting = {
  readonly coordinator: CoordinatorDouble;
  readonly transfer: BlobTransfer;
  readonly notes: string[];
  readonly pinned: Set<string>;
  add(content: string | Buffer): string;
  open(bytesMax?: number): Promise<BlobCache>;
};

async function setting(t: Test): Promise<Setting> {
  const coordinator = await CoordinatorDouble.start();
  t.teardown(() => coordinator.stop());
  const notes: string[] = [];
  const pinned = new Set<string>();
  const transfer = new BlobTransfer({
    coordinator: () => parseCoordinatorAddress(coordinator.url),
    token: 'test-token',
    dial: dialer(readProxies({})),
    uplink: new Uplink(null),
    note: (text) => notes.push(text),
  });
  const folder = t.testdir({});
  return {
    coordinator,
    transfer,
    notes,
    pinned,
    add: (content) => {
      const bytes = Buffer.from(content);
      coordinator.blobs.set(digestOf(bytes), bytes);
      return digestOf(bytes);
    },
    open: async (bytesMax = 1_000_000) => {
      const fetch = transfer.fetch.bind(transfer);
      const cache = new BlobCache({ folder, fetch, pinned: () => pinned, bytesMax });
      await cache.open();
      return cache;
    },
  };
}

t.test('a blob is fetched once, and again only when the copy is not what it was', async (t) => {
  const { add, open, coordinator } = await setting(t);
  const digest = add('hello');
  const cache = await open();
  const file = await cache.file(digest, never);
  t.equal(file, cache.pathOf(digest));
  t.equal(readFileSync(file, 'utf8'), 'hello');
  t.equal(statSync(file).mode & 0o777, 0o444);
  await cache.file(digest, never);
  await (await open()).file(digest, never);
  t.equal(coordinator.requests.length, 1);
  chmodSync(file, 0o644);
  writeFileSync(file, 'rotten');
  await (await open()).file(digest, never);
  t.equal(readFileSync(file, 'utf8'), 'hello');
  t.equal(coordinator.requests.length, 2);
});

t.test('a broken transfer goes on where it broke', async (t) => {
  const { add, open, coordinator, notes } = await setting(t);
  const content = Buffer.from(Array.from({ length: 300_000 }, (_, n) => n % 253));
  const digest = add(content);
  coordinator.breakBlobsAfter.push(100_000, 50_000);
  const file = await (await open()).file(digest, never);
  t.ok(readFileSync(file).equals(content));
  t.match(coordinator.requests, [`GET /blobs/${digest}`, / bytes=[1-9][0-9]+-$/, / bytes=[1-9][0-9]+-$/]);
  t.match(notes.join(), /cannot fetch sha256:.*, trying again/);
});

t.test('content that is not what its digest says, or not there, or not wanted any more', async (t) => {
  const { add, open, coordinator } = await setting(t);
  const cache = await open();
  const digest = add('truth');
  coordinator.blobs.set(digest, Buffer.from('lies!'));
  await t.rejects(cache.file(digest, never), { code: 'damaged', message: /has another digest/ });
  t.notOk(existsSync(cache.pathOf(digest)));
  await t.rejects(cache.file(`sha256:${'0'.repeat(64)}`, never), { message: /answered HTTP 404/ });
  coordinator.breakBlobsAfter.push(...Array.from({ length: 1000 }, () => 0));
  coordinator.blobs.set(digest, Buffer.from('truth'));
  const giveUp = new AbortController();
  const waiting = cache.file(digest, giveUp.signal);
  setTimeout(() => giveUp.abort(), 200);
  await t.rejects(waiting, { name: 'AbortError' });
});

t.test('a bundle is a read-only tree, built whole or not at all', async (t) => {
  const { add, open, coordinator } = await setting(t);
  const same = add('same');
  const files = [
    { path: 'run.sh', digest: same, sizeBytes: 4, executable: true },
    { path: 'etc/deep/plain', digest: same, sizeBytes: 4, executable: false },
    { path: 'other', digest: add('other'), sizeBytes: 5, executable: false },
  ];
  const digest = add(JSON.stringify({ files }));
  const bundle = await (await open()).bundle(digest, never);
  t.same([...bundle.files].sort(), ['etc/deep/plain', 'other', 'run.sh']);
  t.equal(statSync(path.join(bundle.folder, 'run.sh')).mode & 0o777, 0o555);
  t.equal(statSync(path.join(bundle.folder, 'etc/deep/plain')).mode & 0o777, 0o444);
  t.equal(coordinator.requests.length, 3, 'each content once');

  chmodSync(path.join(bundle.folder, 'run.sh'), 0o755);
  writeFileSync(path.join(bundle.folder, 'run.sh'), 'changed');
  const again = await (await open()).bundle(digest, never);
  t.equal(
    readFileSync(path.join(again.folder, 'run.sh'), 'utf8'),
    'same',
    'the next process does not trust it',
  );

  const cache = await open();
  const climbing = add(JSON.stringify({ files: [{ ...files[0], path: '../../escaped' }] }));
  await t.rejects(cache.bundle(climbing, never), { message: /is not a list of files/ });
  const clashing = add(JSON.stringify({ files: [files[0], { ...files[0], path: 'run.sh/below' }] }));
  await t.rejects(cache.bundle(clashing, never), { code: /EEXIST|ENOTDIR/ });
  const tooBig = add(JSON.stringify({ files: [{ ...files[0], sizeBytes: 2 ** 40 }] }));
  await t.rejects(cache.bundle(tooBig, never), { code: 'too-large' });
});

t.test('the least recently used goes, what a held job names stays', async (t) => {
  const { add, open, pinned } = await setting(t);
  const cache = await open(250);
  const digests = [1, 2, 3, 4].map((n) => add(String(n).repeat(100)));
  const [first = '', second = '', third = '', fourth = ''] = digests;
  pinned.add(first);
  const use = async (digest: string): Promise<void> => {
    await cache.file(digest, never);
    // Times of last use are told apart by milliseconds.
    await new Promise((resolve) => setTimeout(resolve, 5));
  };
  await use(first);
  await use(second);
  await use(third);
  const kept = () => digests.map((digest) => existsSync(cache.pathOf(digest)));
  t.same(kept(), [true, false, true, false]);
  await use(fourth);
  t.same(kept(), [true, false, false, true]);
  await use(third);
  t.same(kept(), [true, false, true, false], 'what was evicted is fetched again');
});

t.test('what was just asked for stays, however large it is', async (t) => {
  const { add, open } = await setting(t);
  const cache = await open(10);
  const file = await cache.file(add('x'.repeat(500)), never);
  t.ok(existsSync(file));
});

t.test('bytes that a bundle shares count once, and go with the last of their names', async (t) => {
  const { add, open } = await setting(t);
  const cache = await open(600);
  const big = add('b'.repeat(300));
  const manifest = add(
    JSON.stringify({ files: [{ path: 'big', digest: big, sizeBytes: 300, executable: false }] }),
  );
  const bundle = await cache.bundle(manifest, never);
  t.ok(existsSync(cache.pathOf(big)), 'blob, tree and manifest are within the bound');
  await cache.file(add('c'.repeat(500)), never);
  t.notOk(existsSync(bundle.folder));
  t.notOk(existsSync(cache.pathOf(big)));
});

t.test('file outputs are kept by digest, durable and bounded, then uploaded', async (t) => {
  const { coordinator, transfer } = await setting(t);
  const folder = t.testdir({ source: { report: 'the report', fifo: {} }, kept: { stale: 'x' } });
  const store = await OutputStore.open(path.join(folder, 'kept'), new Set(), new Reserve(folder));
  t.same(readdirSync(path.join(folder, 'kept')), [], 'what no result names is swept');
  const digest = await store.keep(path.join(folder, 'source/report'));
  t.equal(digest, digestOf(Buffer.from('the report')));
  await transfer.upload(digest, store.pathOf(digest), never);
  t.equal(coordinator.blobs.get(digest)?.toString(), 'the report');
  await t.rejects(store.keep(path.join(folder, 'source/fifo')), { message: 'it is not a regular file' });
  await t.rejects(store.keep(path.join(folder, 'source/none')), { code: 'ENOENT' });
  await store.drop([digest, digest]);
  t.same(readdirSync(path.join(folder, 'kept')), []);
});
