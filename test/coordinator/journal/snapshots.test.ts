/** A snapshot is whole or it is not there, and the one before it is used when the newest is damaged. */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import { oldestSnapshot, readSnapshot, writeSnapshot } from '../../../coordinator/journal/snapshots.ts';
import { DurableAdapter } from '../../../shared/disk/durable-adapter.ts';
import { linesUntilKilled, sourceUrl } from '../../shared/disk/killed-writer.ts';

const position = (seq: number) => ({ seq, hash: `hash of ${seq}`, lineage: 'L1' });
const shards = (seq: number): [string, object][] => [
  ['runs-0', { seq, runs: ['r1'] }],
  ['nodes-0', { seq, nodes: { n1: 'ready' } }],
];
const write = (folder: string, seq: number): Promise<void> =>
  writeSnapshot(folder, position(seq), shards(seq));
const placeOf = (folder: string, seq: number): string => path.join(folder, String(seq).padStart(20, '0'));

t.test('the newest is read, two are kept', async (t) => {
  const folder = path.join(t.testdir({}), 'snapshots');
  t.same(await readSnapshot(folder), { snapshot: undefined, passedOver: [] });
  t.equal(await oldestSnapshot(folder), undefined);
  for (const seq of [10, 20, 30]) await write(folder, seq);
  const { snapshot, passedOver } = await readSnapshot(folder);
  t.same(passedOver, []);
  t.same(snapshot, { ...position(30), shards: new Map(shards(30)) });
  t.same((await readdir(folder)).map(Number), [20, 30]);
  t.equal(await oldestSnapshot(folder), 20);
  await write(folder, 30);
  t.equal((await readSnapshot(folder)).snapshot?.seq, 30, 'writing it again does no harm');
});

t.test('any damage of the newest gives way to the one before it, and is reported', async (t) => {
  const folder = t.testdir({});
  await write(folder, 10);
  await write(folder, 20);
  const manifest = path.join(placeOf(folder, 20), 'manifest.json');
  const shard = path.join(placeOf(folder, 20), 'shard-runs-0.json');
  const foreign = await readFile(path.join(placeOf(folder, 10), 'shard-runs-0.json'));
  const cases: readonly [string, () => Promise<unknown>, RegExp][] = [
    ['a damaged manifest', () => writeFile(manifest, 'rubbish'), /manifest\.json: it is damaged/],
    [
      'a manifest of another kind',
      () => new DurableAdapter(manifest, (x) => x).write({ format: 1 }),
      /is not one/,
    ],
    ['a damaged shard', () => writeFile(shard, 'rubbish'), /shard-runs-0\.json: it is damaged/],
    ['a missing shard', () => rm(shard), /shard runs-0 .* is missing/],
    ['the shard of another snapshot', () => writeFile(shard, foreign), /another one than its manifest names/],
  ];
  for (const [name, harm, why] of cases) {
    await rm(placeOf(folder, 20), { recursive: true });
    await write(folder, 20);
    await harm();
    const { snapshot, passedOver } = await readSnapshot(folder);
    t.same(snapshot, { ...position(10), shards: new Map(shards(10)) }, name);
    t.match(passedOver, [why], name);
  }
  await write(folder, 20);
  t.equal((await readSnapshot(folder)).snapshot?.seq, 20, 'a damaged one is replaced by writing it again');
  await writeFile(shard, 'rubbish');
  await writeFile(path.join(placeOf(folder, 10), 'shard-runs-0.json'), 'rubbish');
  await t.rejects(readSnapshot(folder), { code: 'damaged', message: /no snapshot in .* is whole/ });
});

t.test('a snapshot of the future is passed over, whatever is left', async (t) => {
  const folder = t.testdir({});
  await write(folder, 10);
  await write(folder, 20);
  await new DurableAdapter(path.join(placeOf(folder, 20), 'manifest.json'), (x) => x).write({
    format: 2,
    pages: [],
  });
  const { snapshot, passedOver } = await readSnapshot(folder);
  t.equal(snapshot?.seq, 10);
  t.match(passedOver, [/format 2 and this version knows up to 1/]);
  const refused = await readSnapshot(folder, () => 'it is refused');
  t.equal(refused.snapshot, undefined);
  t.match(refused.passedOver, [/format 2/, /it is refused/]);
  await write(folder, 20);
  t.equal((await readSnapshot(folder)).snapshot?.seq, 20, 'and replaced by writing it again');
});

t.test('a writer that was killed leaves the snapshot before it', async (t) => {
  const folder = path.join(t.testdir({}), 'snapshots');
  const script = `
    import { readSnapshot, writeSnapshot } from '${sourceUrl('coordinator/journal/snapshots.ts')}';
    const folder = ${JSON.stringify(folder)};
    for (let seq = ((await readSnapshot(folder)).snapshot?.seq ?? 0) + 1; ; seq += 1) {
      const shards = Array.from({ length: 5 }, (_, index) => ['part-' + index, { seq, text: 'x'.repeat(10_000) }]);
      await writeSnapshot(folder, { seq, hash: 'hash', lineage: 'L1' }, shards);
      console.log(seq);
    }`;
  for (let round = 0; round < 4; round += 1) {
    const acknowledged = Number((await linesUntilKilled(script, 3 + round, 4 * round)).at(-1));
    const { snapshot, passedOver } = await readSnapshot(folder);
    t.same(passedOver, []);
    const seq = snapshot?.seq ?? 0;
    t.ok(seq === acknowledged || seq === acknowledged + 1, `${seq} after ${acknowledged}`);
    for (const shard of snapshot?.shards.values() ?? []) t.match(shard, { seq });
  }
});

t.test('a folder without a manifest does not count, and goes with the next snapshot', async (t) => {
  const folder = t.testdir({});
  await write(folder, 10);
  await mkdir(placeOf(folder, 15));
  t.equal((await readSnapshot(folder)).snapshot?.seq, 10);
  await write(folder, 20);
  t.same((await readdir(folder)).map(Number), [10, 20]);
});

t.test('shard names are safe and new', async (t) => {
  const folder = t.testdir({});
  for (const name of ['../escape', '', 'UPPER', 'a/b']) {
    await t.rejects(writeSnapshot(folder, position(1), [[name, {}]]), { name: 'InvariantError' }, name);
  }
  await t.rejects(
    writeSnapshot(folder, position(1), [
      ['twice', {}],
      ['twice', {}],
    ]),
    { name: 'InvariantError' },
  );
});
