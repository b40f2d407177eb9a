/** One process per folder, and the folder is free when that process is gone. */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import { lockFolder } from '../../../shared/disk/folder-lock.ts';
import { linesUntilKilled, sourceUrl } from './killed-writer.ts';

t.test('a folder is locked once, and free after release', async (t) => {
  const folder = t.testdir({});
  const lock = await lockFolder(folder);
  t.equal(await readFile(lock.path, 'utf8'), `${process.pid}\n`);
  await t.rejects(lockFolder(folder), {
    code: 'locked',
    message: new RegExp(`process ${process.pid} uses it`),
  });
  await lock.release();
  const again = await lockFolder(folder);
  await again.release();
});

t.test('the lock of a killed process is free, whatever its file says', async (t) => {
  const folder = t.testdir({});
  const script = `
    import { lockFolder } from '${sourceUrl('shared/disk/folder-lock.ts')}';
    await lockFolder(${JSON.stringify(folder)});
    console.log(process.pid);
    setInterval(() => undefined, 1_000);`;
  const [holder] = await linesUntilKilled(script, 1, 0);
  t.equal(await readFile(path.join(folder, 'lock'), 'utf8'), `${holder}\n`);
  const lock = await lockFolder(folder);
  await lock.release();
  await writeFile(lock.path, 'not a pid\n');
  await (await lockFolder(folder)).release();
});

t.test('a machine without flock gets told what to install', async (t) => {
  const folder = t.testdir({});
  const path = process.env.PATH;
  process.env.PATH = folder;
  t.teardown(() => {
    process.env.PATH = path;
  });
  await t.rejects(lockFolder(folder), { code: 'not-found', message: /install util-linux/ });
});
