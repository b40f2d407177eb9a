/** What an agent must not forget is on disk when it was said to be, whatever happens to the process or the file. */
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { emptyLedger, evolveLedger, type Ledger, type LedgerRecord } from '../../../agent/core/ledger.ts';
import { unexecuted } from '../../../agent/core/turn.ts';
import { IdentityStore } from '../../../agent/state/identity-store.ts';
import { LedgerStore } from '../../../agent/state/ledger-store.ts';
import { Reserve } from '../../../agent/state/reserve.ts';
import { jobOf } from '../coordinator-double.ts';

const at = { monotonicMs: 1, wallMs: 2, freeBytes: 3 };
const attempt = (n: number): string => `r1/s/n1#${n}`;

const granted = (n: number): LedgerRecord => ({
  kind: 'granted',
  lineage: 'L',
  boot: 'b',
  jobs: [jobOf(attempt(n), 'true', { inputs: { umlaut: { value: 'ü' } } })],
  expiresAtMs: null,
});
const begun = (n: number): LedgerRecord => ({
  kind: 'begun',
  attempt: attempt(n),
  at: { monotonicMs: 1.5, wallMs: 2 },
});
const ended = (n: number): LedgerRecord => ({
  kind: 'ended',
  lineage: 'L',
  number: n,
  result: unexecuted(attempt(n), 'interrupted', 'x', at),
  files: [],
  secret: false,
  retryAtMs: null,
});
const acknowledged = (n: number): LedgerRecord => ({ kind: 'acknowledged', upTo: n });

const fold = (records: readonly LedgerRecord[], from: Ledger = emptyLedger): Ledger =>
  records.reduce(evolveLedger, from);
const recordFiles = (folder: string): string[] =>
  readdirSync(folder).filter((name) => /^ledger-.*jsonl$/.test(name));
const recordFile = (folder: string): string => path.join(folder, recordFiles(folder)[0] ?? '');

async function reopened(folder: string): Promise<Ledger> {
  const store = await LedgerStore.open(folder, new Reserve(folder));
  store.close();
  return store.found;
}

t.test('a new folder, and everything that was appended', async (t) => {
  const folder = t.testdir({});
  const store = await LedgerStore.open(folder, new Reserve(folder));
  t.same(store.found, emptyLedger);
  store.append([granted(1), begun(1)]);
  store.append([ended(1), acknowledged(1)]);
  store.append([granted(2)]);
  store.close();
  const expected = fold([granted(1), begun(1), ended(1), acknowledged(1), granted(2)]);
  t.same(await reopened(folder), expected);
  t.same(await reopened(folder), expected, 'each start compacts and changes nothing');
  t.equal(statSync(recordFile(folder)).mode & 0o777, 0o600);
  t.equal(statSync(path.join(folder, 'ledger.json')).mode & 0o777, 0o600);
});

t.test('what only saves repetition waits for what must be durable', async (t) => {
  const folder = t.testdir({});
  const store = await LedgerStore.open(folder, new Reserve(folder));
  store.append([granted(1), ended(1)]);
  const size = statSync(recordFile(folder)).size;
  store.append([acknowledged(1)]);
  t.equal(statSync(recordFile(folder)).size, size);
  store.append([granted(2)]);
  t.ok(statSync(recordFile(folder)).size > size);
  store.close();
  t.equal((await reopened(folder)).ended.length, 0);
});

t.test('a compaction forgets what is over, and a crash at any point of it does not', async (t) => {
  const folder = t.testdir({ live: {}, crashed: {} });
  const live = path.join(folder, 'live');
  const crashed = path.join(folder, 'crashed');
  const store = await LedgerStore.open(live, new Reserve(live));
  const records = [granted(1), begun(1), ended(1), acknowledged(1), granted(2)];
  store.append(records);
  const before = readFileSync(recordFile(live));
  const beforeName = path.basename(recordFile(live));
  await store.compact(fold(records));
  t.notMatch(readFileSync(recordFile(live), 'utf8'), attempt(1));
  store.append([begun(2)]);
  store.close();
  // The snapshot is there and the old records are not gone yet.
  for (const name of readdirSync(live)) copyFileSync(path.join(live, name), path.join(crashed, name));
  writeFileSync(path.join(crashed, beforeName), before);
  t.same(await reopened(crashed), fold([...records, begun(2)]));
  t.equal(recordFiles(crashed).length, 1);
});

t.test('a tail cut at any byte loses the last append only', async (t) => {
  const folder = t.testdir({ whole: {} });
  const whole = path.join(folder, 'whole');
  const store = await LedgerStore.open(whole, new Reserve(whole));
  store.append([granted(1)]);
  const good = statSync(recordFile(whole)).size;
  store.append([begun(1)]);
  store.close();
  const bytes = readFileSync(recordFile(whole));
  const name = path.basename(recordFile(whole));
  const begin = (label: string): string => {
    const copy = path.join(folder, label);
    mkdirSync(copy);
    copyFileSync(path.join(whole, 'ledger.json'), path.join(copy, 'ledger.json'));
    return copy;
  };
  for (let cut = good; cut < bytes.length; cut += 9) {
    const copy = begin(`cut-${cut}`);
    writeFileSync(path.join(copy, name), bytes.subarray(0, cut));
    t.same(await reopened(copy), fold([granted(1)]), `cut at ${cut}`);
  }
  const zeroed = begin('zeroed');
  writeFileSync(path.join(zeroed, name), Buffer.concat([bytes.subarray(0, good), Buffer.alloc(80)]));
  t.same(await reopened(zeroed), fold([granted(1)]), 'zero-filled');

  const flipped = begin('flipped');
  const damage = Buffer.from(bytes);
  damage[good - 20] = (damage[good - 20] ?? 0) ^ 1;
  writeFileSync(path.join(flipped, name), damage);
  await t.rejects(LedgerStore.open(flipped, new Reserve(flipped)), {
    code: 'damaged',
    message: /the line at byte 0 is not what was written/,
  });

  const gone = begin('gone');
  writeFileSync(path.join(gone, 'ledger-7.jsonl'), bytes.subarray(0, 0));
  writeFileSync(path.join(gone, name), bytes.subarray(good));
  await t.rejects(LedgerStore.open(gone, new Reserve(gone)), {
    code: 'damaged',
    message: /record 1 is missing before record 2/,
  });
});

t.test('an append that the disk cut short is not built upon', async (t) => {
  const folder = t.testdir({});
  const store = await LedgerStore.open(folder, new Reserve(folder));
  store.append([granted(1)]);
  store.close();
  truncateSync(recordFile(folder), statSync(recordFile(folder)).size - 3);
  const again = await LedgerStore.open(folder, new Reserve(folder));
  t.same(again.found, emptyLedger);
  again.append([granted(2)]);
  again.close();
  t.same(await reopened(folder), fold([granted(2)]));
});

t.test('an identity is born once', async (t) => {
  const folder = t.testdir({});
  const store = await IdentityStore.open(folder);
  const { incarnation } = store.identity;
  t.match(incarnation, /^[0-9a-f-]{36}$/);
  await store.write({ incarnation, counter: 3, epochs: [{ lineage: 'L', epoch: 2 }] });
  const again = await IdentityStore.open(folder);
  t.same(again.identity, { incarnation, counter: 3, epochs: [{ lineage: 'L', epoch: 2 }] });
});
