/** What a script told of its parts: read leniently, without secrets, within bounds, and as the reason of a failure. */
import t from 'tap';
import { faultOfParts, readParts, secretsOf } from '../../../agent/core/parts.ts';
import { limits } from '../../../shared/limits.ts';
import type { Part } from '../../../shared/parts.ts';
import { utf8Length } from '../../../shared/utf8.ts';
import { jobOf } from '../coordinator-double.ts';

const bytesOf = (...lines: readonly unknown[]): Uint8Array =>
  new TextEncoder().encode(
    lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'),
  );
const read = (...lines: readonly unknown[]) => readParts(bytesOf(...lines), []);

t.test('lines that are no parts are passed over', async (t) => {
  t.equal(read(''), undefined);
  t.equal(read('not JSON', '[1]', 'null', { name: 'x' }, { name: 'x', state: 'odd' }), undefined);
  t.strictSame(read({ name: 'a', state: 'ok', more: 1 }, '{"name":"b","sta')?.list, [
    { name: 'a', state: 'ok' },
  ]);
});

t.test('of too many those stay that say most, in their order', async (t) => {
  const many = Array.from(
    { length: 900 },
    (_, index): Part => ({
      name: `task ${index}`,
      state: index === 850 ? 'failed' : index % 10 === 0 ? 'changed' : 'ok',
      message: 'm'.repeat(index === 850 ? 5_000 : 10),
    }),
  );
  const parts = read(...many);
  t.ok(parts);
  if (parts === undefined) return;
  t.equal(parts.list.length + parts.omitted, 900);
  t.equal(parts.list.length, limits.partsMax);
  t.equal(parts.list.filter(({ state }) => state === 'changed').length, 89);
  t.equal(parts.list.find(({ state }) => state === 'failed')?.message?.length, limits.partMessageLengthMax);
  const numbers = parts.list.map(({ name }) => Number(name.slice(5)));
  t.strictSame(
    numbers,
    numbers.toSorted((a, b) => a - b),
  );
  const long = read(...many.map((one) => ({ ...one, message: 'ü'.repeat(500) })));
  t.ok(utf8Length(JSON.stringify(long?.list)) <= limits.partsBytesMax + 2);
});

t.test('values of secret inputs are taken out, in whatever form', async (t) => {
  const secret = 'p@ss "wörd"/+&?~';
  const job = jobOf('r1/s/n1#1', 'true', { secretInputs: ['password', 'tree'] });
  const secrets = secretsOf(job, { password: secret, tree: { deep: ['inner-word', 4711] } });
  const base64 = Buffer.from(`user:${secret}`).toString('base64');
  const told = readParts(
    bytesOf({
      name: `set ${secret}`,
      state: 'failed',
      message: `${JSON.stringify(secret)} ${encodeURIComponent(secret)} ${base64} inner-word 4711 open`,
    }),
    secrets,
  );
  const text = JSON.stringify(told);
  for (const form of [
    secret,
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret),
    'inner',
    '4711',
  ])
    t.notOk(text.includes(form), form);
  t.notOk(text.includes(Buffer.from(secret).toString('base64').slice(4, 16)));
  t.match(told?.list[0]?.message, /open$/);
  t.strictSame(
    readParts(bytesOf({ name: 'x', host: 'n1', state: 'ok', message: 'y' }), secretsOf(job, {}))?.list,
    [{ name: '(not told)', state: 'ok' }],
    'where the values are not known any more, nothing is told',
  );
});

t.test('the parts that failed are the reason', async (t) => {
  const fault = (...list: Part[]) => faultOfParts({ list, omitted: 0 });
  t.equal(fault({ name: 'a', state: 'ignored' }), undefined);
  t.equal(
    fault(
      { name: 'web : install', within: 'Web', host: 'n1', state: 'failed', message: 'no package' },
      { name: '20-b', state: 'failed', exitCode: 3 },
      { name: 'ping', host: 'n2', state: 'unreachable' },
      { name: 'last', state: 'failed' },
    ),
    '"web : install" in "Web" failed on n1: no package; "20-b" failed: exit status 3; ' +
      '"ping" could not reach its host on n2; and 1 more',
  );
});
