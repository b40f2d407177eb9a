/** A document is either what was last written or the generation before it, whatever happened to its file. */
import { hash } from 'node:crypto';
import { chmod, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Low } from 'lowdb';
import t from 'tap';
import { DurableAdapter } from '../../../shared/disk/durable-adapter.ts';
import { makeFolder } from '../../../shared/disk/durable-file.ts';
import { linesUntilKilled, sourceUrl } from './killed-writer.ts';

type Counter = { readonly count: number };

function parseCounter(document: unknown): Counter {
  if (typeof document === 'object' && document !== null && 'count' in document) {
    if (typeof document.count === 'number') return { count: document.count };
  }
  throw new Error('not a counter');
}

const readCounter = (file: string): Promise<Counter | null> => new DurableAdapter(file, parseCounter).read();

t.test('lowdb reads what it wrote, and its default before that', async (t) => {
  const file = path.join(t.testdir({}), 'counter.json');
  const low = new Low<Counter>(new DurableAdapter(file, parseCounter), { count: 0 });
  await low.read();
  t.same(low.data, { count: 0 });
  low.data = { count: 7 };
  await low.write();
  t.same(JSON.parse(await readFile(file, 'utf8')).document, { count: 7 }, 'one line that jq reads');
  const again = new Low<Counter>(new DurableAdapter(file, parseCounter), { count: 0 });
  await again.read();
  t.same(again.data, { count: 7 });
  t.same((await readdir(path.dirname(file))).sort(), ['counter.json'], 'no temporary file is left');
});

t.test('modes: private when new, kept when not', async (t) => {
  const file = path.join(t.testdir({}), 'counter.json');
  const adapter = new DurableAdapter(file, parseCounter);
  await adapter.write({ count: 1 });
  t.equal((await stat(file)).mode & 0o777, 0o600);
  await chmod(file, 0o664);
  await adapter.write({ count: 2 });
  t.equal((await stat(file)).mode & 0o777, 0o664, 'whatever the umask says');
});

t.test('writes at the same time share one, and the last of them wins', async (t) => {
  const file = path.join(t.testdir({}), 'counter.json');
  const adapter = new DurableAdapter(file, parseCounter);
  await Promise.all(Array.from({ length: 50 }, (_, count) => adapter.write({ count })));
  t.same(await adapter.read(), { count: 49 });
  t.same(await readCounter(`${file}.previous`), null, 'fifty writes made one generation');
});

t.test('a newest generation with any damage gives way to the one before it', async (t) => {
  const file = path.join(t.testdir({}), 'counter.json');
  const adapter = new DurableAdapter(file, parseCounter);
  await adapter.write({ count: 1 });
  await adapter.write({ count: 2 });
  const whole = await readFile(file);
  for (let cut = 0; cut < whole.length; cut += 1) {
    await writeFile(file, whole.subarray(0, cut));
    t.same(await readCounter(file), { count: 1 }, `cut at ${cut}`);
  }
  for (let bit = 0; bit < whole.length * 8; bit += 1) {
    const flipped = Buffer.from(whole);
    flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
    await writeFile(file, flipped);
    t.same(await readCounter(file), { count: 1 }, `bit ${bit}`);
  }
  const told: string[] = [];
  const forgiving = new DurableAdapter(file, parseCounter, { onPrevious: (why) => told.push(why) });
  await writeFile(file, 'rubbish');
  t.same(await forgiving.read(), { count: 1 });
  t.match(told, [/counter\.json is damaged \(without its envelope\); the generation before it is used/]);
});

t.test('a damaged newest never replaces the good previous', async (t) => {
  const file = path.join(t.testdir({}), 'counter.json');
  const adapter = new DurableAdapter(file, parseCounter);
  await adapter.write({ count: 1 });
  await adapter.write({ count: 2 });
  await writeFile(file, 'rubbish');
  await new DurableAdapter(file, parseCounter).write({ count: 3 });
  t.same(await readCounter(file), { count: 3 });
  t.same(await readCounter(`${file}.previous`), { count: 1 });
});

t.test('an empty file alone is a new document; two damaged ones are an error that names them', async (t) => {
  const file = path.join(t.testdir({ 'counter.json': '' }), 'counter.json');
  t.equal(await readCounter(file), null);
  await writeFile(file, 'rubbish');
  await t.rejects(readCounter(file), { code: 'damaged', message: /counter\.json.*backup/ });
  await writeFile(`${file}.previous`, 'rubbish too');
  await t.rejects(readCounter(file), { code: 'damaged' });
  const checksum = hash('sha256', '9 {}', 'base64url');
  await writeFile(file, `{"format":9,"checksum":"${checksum}","document":{}}\n`);
  await t.rejects(readCounter(file), { code: 'version', message: /newer version/ });
});

t.test('what a killed writer was told is durable is there', async (t) => {
  const file = path.join(t.testdir({}), 'counter.json');
  const script = `
    import { DurableAdapter } from '${sourceUrl('shared/disk/durable-adapter.ts')}';
    const adapter = new DurableAdapter(${JSON.stringify(file)}, (value) => value);
    const start = (await adapter.read())?.count ?? 0;
    for (let count = start + 1; ; count += 1) {
      await adapter.write({ count });
      console.log(count);
    }`;
  for (let round = 0; round < 5; round += 1) {
    const lines = await linesUntilKilled(script, 10 + round, round);
    const acknowledged = Number(lines.at(-1));
    const found = (await readCounter(file))?.count;
    t.ok(found === acknowledged || found === acknowledged + 1, `${found} after ${acknowledged}`);
  }
  t.same(
    (await readdir(path.dirname(file))).sort(),
    ['counter.json', 'counter.json.previous'],
    'leftovers are swept',
  );
});

t.test('folders are made with all their parents, private, by any spelling of their path', async (t) => {
  const root = t.testdir({});
  await makeFolder(`${root}/a/../b/./c`);
  t.equal((await stat(path.join(root, 'b', 'c'))).mode & 0o777, 0o700);
  await makeFolder(path.relative(process.cwd(), path.join(root, 'b', 'c', 'd')));
  await makeFolder(path.join(root, 'b', 'c', 'd'));
  t.same(await readdir(path.join(root, 'b', 'c')), ['d']);
});
