/** Uploads that break and go on: what is kept, for how long, who may write, and that nothing wrong is stored. */
import { createHash, randomBytes } from 'node:crypto';
import { readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import { BlobStore } from '../../../coordinator/journal/blobs.ts';
import { limits } from '../../../shared/limits.ts';
import { TestCoordinator } from '../coordinator-in-process.ts';

const digestOf = (content: Buffer): string => `sha256:${createHash('sha256').update(content).digest('hex')}`;
const content = randomBytes(1_000);
const digest = digestOf(content);
const size = content.length;
const partOf = (folder: string, of = digest): string => path.join(folder, 'incoming', `${of.slice(7)}.part`);

async function* whole(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let start = 0; start < bytes.length; start += 100) yield bytes.subarray(start, start + 100);
}

async function* broken(bytes: Buffer): AsyncGenerator<Buffer> {
  yield* whole(bytes);
  throw new Error('the connection was reset');
}

t.test('it goes on where it broke, after a restart too, and leaves nothing beside the blob', async (t) => {
  const folder = path.join(t.testdir({}), 'blobs');
  const store = await BlobStore.open(folder);
  t.equal(await store.offset(digest), 0);
  await t.rejects(store.putPart(digest, { start: 0, size }, broken(content.subarray(0, 300))), /reset/);
  t.equal(await store.offset(digest), 300);
  const again = await BlobStore.open(folder);
  t.equal(await again.offset(digest), 300);
  t.notOk(await again.has(digest), 'a part is no blob');
  await t.rejects(again.putPart(digest, { start: 301, size }, whole(content.subarray(301))), {
    code: 'conflict',
    message: /300 bytes .* send it from there on/,
  });
  await t.rejects(again.putPart(digest, { start: 200, size }, whole(content.subarray(200, 900))), {
    code: 'unreachable',
    message: /broke off after 900 bytes/,
  });
  await again.putPart(digest, { start: 900, size }, whole(content.subarray(900)));
  t.ok((await again.read(digest)).equals(content));
  t.same(await readdir(path.join(folder, 'incoming')), []);
});

t.test('what was put together wrongly is not stored, and begins anew', async (t) => {
  const folder = path.join(t.testdir({}), 'blobs');
  const store = await BlobStore.open(folder);
  // As a power cut may leave it: the length is there, the bytes are not.
  await writeFile(partOf(folder), Buffer.alloc(500));
  await t.rejects(store.putPart(digest, { start: 500, size }, whole(content.subarray(500))), {
    code: 'conflict',
    message: /send it again from its beginning/,
  });
  t.equal(await store.offset(digest), 0);
  await t.rejects(
    store.putPart(digest, { start: 0, size }, whole(Buffer.alloc(size))),
    { code: 'invalid' },
    'of one piece it is for good',
  );
  await t.rejects(store.putPart(digest, { start: 0, size: 500 }, whole(content)), { code: 'invalid' });
  await t.rejects(store.putPart(digest, { start: 0, size: limits.blobBytesMax + 1 }, whole(content)), {
    code: 'too-large',
  });
  await t.rejects(store.putPart('../x', { start: 0, size }, whole(content)), { code: 'invalid' });
  t.notOk(await store.has(digest));
});

t.test('a second upload takes over from one whose connection is dead', async (t) => {
  const folder = path.join(t.testdir({}), 'blobs');
  const store = await BlobStore.open(folder);
  const wake = Promise.withResolvers<void>();
  async function* stuck(): AsyncGenerator<Buffer> {
    yield content.subarray(0, 400);
    await wake.promise;
    yield Buffer.alloc(600);
  }
  const dead = store.putPart(digest, { start: 0, size }, stuck());
  while ((await store.offset(digest)) < 400) await new Promise((resolve) => setTimeout(resolve, 5));
  await store.putPart(digest, { start: 400, size }, whole(content.subarray(400)));
  wake.resolve();
  await t.rejects(dead, { code: 'conflict', message: /another upload/ });
  t.ok((await store.read(digest)).equals(content));
});

t.test('old parts go, and the oldest over a bound', async (t) => {
  const folder = path.join(t.testdir({}), 'blobs');
  const store = await BlobStore.open(folder);
  const now = Date.now();
  const others = Array.from({ length: limits.partialBlobsMax }, (_, n) => digestOf(Buffer.from(`${n}`)));
  for (const [index, other] of others.entries()) {
    await writeFile(partOf(folder, other), 'x');
    const at = new Date(now - limits.partialBlobKeptMs + (index - 10) * 60_000);
    await utimes(partOf(folder, other), at, at);
  }
  await store.collect(() => true, now);
  t.equal((await readdir(path.join(folder, 'incoming'))).length, limits.partialBlobsMax - 10);
  for (const other of others.slice(0, 10)) await writeFile(partOf(folder, other), 'x');
  await t.rejects(store.putPart(digest, { start: 0, size }, broken(content.subarray(0, 10))));
  const left = await readdir(path.join(folder, 'incoming'));
  t.equal(left.length, limits.partialBlobsMax);
  t.notOk(left.includes(path.basename(partOf(folder, others[10]))), 'the oldest made room');
  t.equal((await readFile(partOf(folder))).length, 10);
});

t.test('over HTTP, across a restart of the coordinator', async (t) => {
  const coordinator = await TestCoordinator.start(t);
  const big = randomBytes(2 * limits.blobResumeBytesMin);
  const name = digestOf(big);
  const ask = async (): Promise<unknown> =>
    JSON.parse((await coordinator.ask('GET', `/blobs/${name}/offset`)).text);
  t.same(await ask(), { complete: false, offset: 0 });
  const stop = new AbortController();
  const body = new ReadableStream({
    start: (controller) => controller.enqueue(big.subarray(0, limits.blobResumeBytesMin)),
  });
  const breaking = fetch(`${coordinator.url}/blobs/${name}`, {
    method: 'PUT',
    headers: {
      authorization: `Bearer ${coordinator.token}`,
      'content-range': `bytes 0-${big.length - 1}/${big.length}`,
      'content-length': String(big.length),
    },
    body,
    duplex: 'half',
    signal: stop.signal,
  } as RequestInit);
  const part = path.join(coordinator.data, 'blobs', 'incoming', `${name.slice(7)}.part`);
  for (let wait = 0; wait < 500; wait += 1) {
    const there = await readFile(part).catch(() => Buffer.alloc(0));
    if (there.length === limits.blobResumeBytesMin) break;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  stop.abort();
  await t.rejects(breaking);
  await coordinator.stop();
  await coordinator.start();
  t.same(await ask(), { complete: false, offset: limits.blobResumeBytesMin });
  const rest = big.subarray(limits.blobResumeBytesMin);
  const range = `bytes ${limits.blobResumeBytesMin}-${big.length - 1}/${big.length}`;
  const done = await coordinator.ask('PUT', `/blobs/${name}`, rest, { 'content-range': range });
  t.equal(done.status, 204);
  t.same(await ask(), { complete: true, offset: 0 });
  const refused = await coordinator.refused('PUT', `/blobs/${name}`, rest, {
    'content-range': 'bytes 0-1/9',
  });
  t.equal(refused.code, 'invalid');
});
