/** Secrets are durable when put, unreadable without their key, and never part of a message. */
import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import { SecretStore } from '../../../coordinator/trust/secrets.ts';
import { messageOf } from '../../../shared/errors.ts';
import { limits } from '../../../shared/limits.ts';
import { breakFsync } from '../../shared/disk/broken-disk.ts';
import { linesUntilKilled, sourceUrl } from '../../shared/disk/killed-writer.ts';

type Place = { readonly dataFolder: string; readonly keyFile: string; readonly file: string };

async function placeIn(root: string): Promise<Place> {
  const dataFolder = path.join(root, 'data');
  await mkdir(dataFolder, { recursive: true });
  return {
    dataFolder,
    keyFile: path.join(root, 'keys', 'key'),
    file: path.join(dataFolder, 'secrets.jsonl'),
  };
}

t.test('values come back after a restart, and stand nowhere in clear', async (t) => {
  const place = await placeIn(t.testdir({}));
  const store = await SecretStore.open(place);
  await store.put([
    ['run/r1/token', 'open sesame'],
    ['run/r1/empty', ''],
    ['größe', 'Müller 🚀'],
  ]);
  await store.put([['run/r1/token', 'another value']]);
  await store.delete(['run/r1/empty', 'never there']);
  t.equal(store.get('run/r1/token'), 'another value');
  await store.close();

  const again = await SecretStore.open(place);
  t.equal(again.bytesCut, 0);
  t.equal(again.get('run/r1/token'), 'another value');
  t.equal(again.get('größe'), 'Müller 🚀');
  t.equal(again.get('run/r1/empty'), undefined);
  const text = await readFile(place.file, 'utf8');
  for (const value of ['open sesame', 'another value', 'Müller']) {
    t.notOk(text.includes(value) || text.includes(Buffer.from(value).toString('base64')));
  }
  for (const line of text.trimEnd().split('\n')) JSON.parse(line);
  t.equal((await stat(place.file)).mode & 0o777, 0o600);
  t.equal((await stat(place.keyFile)).mode & 0o777, 0o600);
  t.equal((await readFile(place.keyFile)).length, 32);
  t.same(await readdir(path.dirname(place.keyFile)), ['key']);
  await again.close();
  await t.rejects(again.put([['a', 'b']]), { code: 'conflict' });
});

t.test('equal values do not look equal', async (t) => {
  const place = await placeIn(t.testdir({}));
  const store = await SecretStore.open(place);
  await store.put([
    ['a', 'same'],
    ['b', 'same'],
  ]);
  const { changes } = JSON.parse((await readFile(place.file, 'utf8')).trimEnd().split('\n').at(-1) ?? '');
  t.not(changes[0].sealed, changes[1].sealed);
  await store.close();
});

t.test('a value cannot be moved to another reference, nor any byte changed', async (t) => {
  const place = await placeIn(t.testdir({}));
  const store = await SecretStore.open(place);
  await store.put([['alice', 'value of alice']]);
  await store.put([['bob', 'value of bob']]);
  await store.close();
  const good = await readFile(place.file);
  await writeFile(place.file, good.toString().replace('alice', 'malory'));
  await t.rejects(SecretStore.open(place), { code: 'damaged', message: /nothing was changed/ });
  for (let bit = 0; bit < good.length * 8; bit += 7) {
    const flipped = Buffer.from(good);
    flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
    await writeFile(place.file, flipped);
    const opened = await SecretStore.open(place).catch((error) => error);
    if (!(opened instanceof SecretStore)) {
      if (!['damaged', 'invalid', 'version'].includes(opened.code))
        t.fail(`bit ${bit}: ${messageOf(opened)}`);
      if (/value of/.test(messageOf(opened))) t.fail(`bit ${bit} shows a value`);
      continue;
    }
    // Base64 has unused bits and JSON unused spaces: a change that means nothing may pass, and only that.
    t.same([opened.get('alice'), opened.get('bob')], ['value of alice', 'value of bob'], `bit ${bit}`);
    await opened.close();
  }
});

t.test('cut at any byte of the last change, the others are whole and it is gone or whole', async (t) => {
  const place = await placeIn(t.testdir({}));
  const store = await SecretStore.open(place);
  await store.put([['a', 'first']]);
  const { size } = await stat(place.file);
  await store.put([
    ['a', 'second'],
    ['b', 'second'],
  ]);
  await store.close();
  const whole = await readFile(place.file);
  for (let end = size; end <= whole.length; end += 1) {
    await writeFile(place.file, whole.subarray(0, end));
    const opened = await SecretStore.open(place);
    const isWhole = end >= whole.length - 1;
    t.same(
      [opened.get('a'), opened.get('b')],
      isWhole ? ['second', 'second'] : ['first', undefined],
      `cut at ${end}`,
    );
    t.equal(opened.bytesCut, isWhole ? 0 : end - size);
    await opened.put([['c', 'after']]);
    await opened.close();
    const after = await SecretStore.open(place);
    t.equal(after.get('c'), 'after');
    await after.close();
  }
});

t.test('the key: another one, a missing one, a careless one', async (t) => {
  const root = t.testdir({});
  const place = await placeIn(root);
  const store = await SecretStore.open(place);
  await store.put([['a', 'precious']]);
  await store.close();

  const other = await placeIn(path.join(root, 'other'));
  await (await SecretStore.open(other)).close();
  const wrong = SecretStore.open({ ...place, keyFile: other.keyFile });
  await t.rejects(wrong, { code: 'invalid', message: /is not the one that they were encrypted with/ });
  const missing = SecretStore.open({ ...place, keyFile: path.join(root, 'keys', 'gone') });
  await t.rejects(missing, { code: 'not-found', message: /put it back/ });
  t.same(await readdir(path.join(root, 'keys')), ['key'], 'no new key hides the loss');
  await chmod(place.keyFile, 0o640);
  await t.rejects(SecretStore.open(place), { code: 'forbidden', message: /mode 0640.*chmod 600/ });
  await chmod(place.keyFile, 0o600);
  await writeFile(other.keyFile, 'short');
  await t.rejects(SecretStore.open(other), { code: 'invalid', message: /5 bytes instead of 32/ });
});

t.test('the key file is never inside the data folder, by whatever path', async (t) => {
  const root = t.testdir({});
  const { dataFolder } = await placeIn(root);
  await symlink(dataFolder, path.join(root, 'link'));
  await mkdir(path.join(root, 'keys'));
  await symlink(path.join(dataFolder, 'target'), path.join(root, 'keys', 'leads-inside'));
  for (const keyFile of ['data/key', 'data/deep/er/key', 'link/key', 'keys/../data/key']) {
    const opening = SecretStore.open({ dataFolder, keyFile: `${root}/${keyFile}` });
    await t.rejects(opening, { code: 'invalid', message: /inside the data folder/ }, keyFile);
  }
  t.same(await readdir(dataFolder), [], 'and nothing was created there');
  await writeFile(path.join(dataFolder, 'target'), Buffer.alloc(32), { mode: 0o600 });
  const leading = SecretStore.open({ dataFolder, keyFile: path.join(root, 'keys', 'leads-inside') });
  await t.rejects(leading, { code: 'invalid', message: /inside the data folder/ });
  await (await SecretStore.open({ dataFolder, keyFile: path.join(root, 'data-keys', '..key') })).close();
});

t.test('limits are kept, and a refused put stores nothing', async (t) => {
  const place = await placeIn(t.testdir({}));
  const store = await SecretStore.open(place);
  const large = 'x'.repeat(limits.secretValueBytesMax + 1);
  await t.rejects(
    store.put([
      ['ok', 'value'],
      ['large', large],
    ]),
    { code: 'too-large', message: /large.*secretValueBytesMax/ },
  );
  await t.rejects(store.put([['r'.repeat(600), 'value']]), { code: 'too-large' });
  t.equal(store.get('ok'), undefined);
  const fitting = Math.floor(limits.secretsBytesMax / limits.secretValueBytesMax);
  const heavy = Array.from({ length: fitting }, (_, index): [string, string] => [
    `s${index}`,
    large.slice(1),
  ]);
  await t.rejects(store.put(heavy), { code: 'too-many', message: /secretsBytesMax/ });
  const many = Array.from({ length: limits.secretsMax + 1 }, (_, index): [string, string] => [
    `s${index}`,
    'v',
  ]);
  await t.rejects(store.put(many), { code: 'too-many' });
  await store.put([]);
  await store.close();
});

t.test('thousands at once are one write, and history is dropped when it is most of the file', async (t) => {
  const place = await placeIn(t.testdir({}));
  const store = await SecretStore.open(place);
  const entries = (round: number) =>
    Array.from({ length: 2_000 }, (_, index): [string, string] => [`s${index}`, `value ${index} ${round}`]);
  let largest = 0;
  for (let round = 0; round < 20; round += 1) {
    await Promise.all([store.put(entries(round)), store.put([['one', 'more']]), store.delete(['two'])]);
    largest = Math.max(largest, (await stat(place.file)).size);
  }
  t.ok(largest < 3_000_000, `${largest} bytes for 20 rounds of 200 KB`);
  t.equal(store.get('s1999'), 'value 1999 19');
  await store.close();
  const again = await SecretStore.open(place);
  t.equal(again.get('s1999'), 'value 1999 19');
  t.equal(again.get('one'), 'more');
  t.same(await readdir(place.dataFolder), ['secrets.jsonl']);
  await again.close();
});

t.test('after a failed fsync nothing more is promised', async (t) => {
  const place = await placeIn(t.testdir({}));
  const store = await SecretStore.open(place);
  await store.put([['a', 'good']]);
  breakFsync(place.file);
  const failure = { code: 'damaged', message: /could not be written \(EINVAL.*process must end/ };
  await t.rejects(store.put([['a', 'lost']]), failure);
  await t.rejects(store.delete(['a']), failure, 'never tried again');
  t.equal(store.get('a'), 'good');
  await store.close();
});

t.test('what a killed process put is there', async (t) => {
  const place = await placeIn(t.testdir({}));
  const script = `
    import { SecretStore } from '${sourceUrl('coordinator/trust/secrets.ts')}';
    const store = await SecretStore.open(${JSON.stringify(place)});
    for (let count = Number(store.get('count') ?? 0) + 1; ; count += 1) {
      await store.put([['count', String(count)], ['filler' + count % 10, 'x'.repeat(40_000)]]);
      console.log(count);
    }`;
  for (let round = 0; round < 4; round += 1) {
    const acknowledged = Number((await linesUntilKilled(script, 40, round)).at(-1));
    const store = await SecretStore.open(place);
    const count = Number(store.get('count'));
    t.ok(count === acknowledged || count === acknowledged + 1, `${count} after ${acknowledged}`);
    await store.close();
  }
});
