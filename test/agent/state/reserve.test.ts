/** Room for results is really there, is given up once, and comes back; on a full disk: test/end-to-end/full-disk.test.ts. */
import { existsSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { Reserve } from '../../../agent/state/reserve.ts';
import { LockstepError } from '../../../shared/errors.ts';
import { limits } from '../../../shared/limits.ts';

const full = (): Error => Object.assign(new Error('no space'), { code: 'ENOSPC' });

t.test('it is kept across restarts, with real blocks, until it is given up', async (t) => {
  const folder = t.testdir({});
  const file = path.join(folder, 'reserve');
  const first = new Reserve(folder);
  t.notOk(first.isKept);
  first.keep();
  t.ok(first.isKept);
  const { size, blocks, mode } = statSync(file);
  t.equal(size, limits.agentReserveBytes);
  t.ok(blocks * 512 >= size, 'it is not sparse');
  t.equal(mode & 0o777, 0o600);
  const second = new Reserve(folder);
  t.ok(second.isKept);
  t.ok(second.giveUp());
  t.notOk(existsSync(file));
  t.notOk(second.giveUp(), 'there is nothing more to give');
  t.notOk(second.isKept);
  second.keep();
  t.ok(new Reserve(folder).isKept);
});

t.test('half of one is none, and somebody may have removed it', async (t) => {
  const folder = t.testdir({ reserve: 'x', 'reserve.unfinished': 'y' });
  const reserve = new Reserve(folder);
  t.notOk(reserve.isKept);
  reserve.keep();
  t.equal(statSync(path.join(folder, 'reserve')).size, limits.agentReserveBytes);
  t.notOk(existsSync(path.join(folder, 'reserve.unfinished')));
  rmSync(path.join(folder, 'reserve'));
  t.notOk(reserve.giveUp());
  t.notOk(reserve.isKept);
});

t.test('what finds no space is done once more with it, and only then', async (t) => {
  const folder = t.testdir({});
  const file = path.join(folder, 'result');
  const reserve = new Reserve(folder);
  reserve.keep();
  let tries = 0;
  const write = async (): Promise<string> => {
    tries += 1;
    if (existsSync(path.join(folder, 'reserve'))) throw full();
    writeFileSync(file, 'it');
    return 'written';
  };
  t.equal(await reserve.spend(write), 'written');
  t.equal(tries, 2);
  t.equal(await reserve.spend(write), 'written');
  t.equal(tries, 3, 'what finds space is done once');

  reserve.keep();
  const fails = (error: Error) => reserve.spend(() => Promise.reject(error));
  await t.rejects(fails(new Error('else')), { message: 'else' });
  t.ok(reserve.isKept, 'another error does not take it');
  await t.rejects(fails(new LockstepError('disk-full', 'no space is left')), { code: 'disk-full' });
  t.notOk(reserve.isKept);
  await t.rejects(fails(full()), { code: 'ENOSPC' }, 'nothing is left to be given up');
});
