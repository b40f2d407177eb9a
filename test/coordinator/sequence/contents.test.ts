/** What decisions look up, and the clock that they are made by. */
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { bytesOfSecret } from '../../../coordinator/core/secret-room.ts';
import { startClock } from '../../../coordinator/sequence/clock.ts';
import { Contents, digestOf } from '../../../coordinator/sequence/contents.ts';
import { limits } from '../../../shared/limits.ts';

t.test('what is on its way to the disk can be looked up', (t) => {
  const stored = new Map<string, string>();
  let reads = 0;
  const contents = new Contents({
    text: (digest) => {
      reads += 1;
      return stored.get(digest);
    },
    secret: (reference) => stored.get(reference),
    secretRoom: () => ({ count: 3, bytes: 1_000 }),
    logTail: () => '',
  });
  const text = '{"memory":{"totalBytes":1}}';
  const digest = digestOf(text);
  t.equal(contents.facts(digest), undefined, 'a node that has not reported has none');
  t.throws(() => contents.text(digest), { code: 'damaged' }, 'what an event names must be there');
  contents.holdText(digest, text);
  t.equal(contents.text(digest), text);
  stored.set(digest, text);
  contents.releaseText(digest);
  const facts = contents.facts(digest);
  t.same(facts, { memory: { totalBytes: 1 } });
  reads = 0;
  t.equal(contents.facts(digest), facts, 'the same object again, for whoever remembers what it made of it');
  t.equal(reads, 0);

  t.throws(() => contents.secret('r1/key'), { code: 'damaged' });
  t.same(contents.secretRoom(), { count: 3, bytes: 1_000 });
  contents.holdSecret('r1/key', '"x"');
  t.equal(contents.secret('r1/key'), '"x"');
  const taken = bytesOfSecret({ reference: 'r1/key', value: '"x"' });
  t.same(contents.secretRoom(), { count: 2, bytes: 1_000 - taken }, 'what is on its way needs room');
  contents.holdSecret('r1/key', '"x"');
  t.equal(contents.secretRoom().count, 2, 'once');
  contents.releaseSecret('r1/key');
  t.same(contents.secretRoom(), { count: 3, bytes: 1_000 });
  t.throws(() => contents.secret('r1/key'), { code: 'damaged' });
  t.end();
});

t.test('what is kept in memory has a bound', (t) => {
  const length = limits.textsInMemoryBytesMax / 4;
  let reads = 0;
  const contents = new Contents({
    text: (digest) => {
      reads += 1;
      return digest.repeat(length / digest.length);
    },
    secret: () => undefined,
    secretRoom: () => ({ count: 0, bytes: 0 }),
    logTail: () => '',
  });
  const names = Array.from({ length: 6 }, (_, index) => `text${index}`.padEnd(8));
  for (const name of names) contents.text(name);
  t.equal(reads, 6);
  contents.text('text5'.padEnd(8));
  t.equal(reads, 6, 'what was used last is there');
  contents.text('text0'.padEnd(8));
  t.equal(reads, 7, 'what was used first is not');
  t.end();
});

t.test('the clock goes on whatever the wall clock does', async (t) => {
  const ahead = Date.now() + 86_400_000;
  const clock = startClock(ahead);
  t.ok(clock.now() >= ahead, 'never before the last event, as after a clock that was set back by a day');
  const before = clock.now();
  await delay(30);
  t.ok(clock.now() - before >= 29 && clock.now() - before < 10_000);
  t.ok(Number.isInteger(clock.now()));
  t.ok(Math.abs(startClock(0).now() - Date.now()) < 1_000);
});
