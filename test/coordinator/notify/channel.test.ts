/** One receiver's way through the journal: what is tried again, given up, never told twice by itself, never lost. */
import t from 'tap';
import type { Event } from '../../../coordinator/core/events.ts';
import type { ReceiverState } from '../../../coordinator/core/receivers.ts';
import { Channel, type ChannelPorts } from '../../../coordinator/notify/channel.ts';
import type { Cursor } from '../../../coordinator/notify/cursors.ts';
import type { Delivered } from '../../../coordinator/notify/delivery.ts';
import { limits } from '../../../shared/limits.ts';

const receiver: ReceiverState = {
  receiver: 'chat',
  target: { kind: 'command', program: 'page.sh' },
  filter: { kinds: ['failed', 'held'], clusters: [], pipelines: [] },
  by: 'operator:ann',
  declaredSeq: 0,
  declaredAt: 0,
};

const failedRun = (seq: number, at = 0): Event => ({
  seq,
  at,
  type: 'RunEnded',
  run: `r${seq}`,
  state: 'failed',
  reason: 'so it was',
});
const other = (seq: number): Event => ({ seq, at: 0, type: 'RunStarted', run: 'r1' });

const cursorAt = (seq: number): Cursor => ({
  lineage: 'l',
  seq,
  declaredSeq: 0,
  delivered: 0,
  deliveredAt: null,
  givenUp: 0,
  lastGivenUp: null,
});

const ok: Delivered = { ok: true };
const down: Delivered = { ok: false, reason: 'no answer', refused: false };
const unwanted: Delivered = { ok: false, reason: 'it answered 400', refused: true };

class Bench {
  readonly events: Event[];
  readonly told: string[] = [];
  readonly kept: Cursor[] = [];
  readonly waits: number[] = [];
  readonly warned: string[] = [];
  readonly answers: Delivered[];
  oldest = 1;
  now = 0;
  /** What time passes with each wait. */
  patience = 0;
  #idle: () => void = () => {};
  /** Resolves when everything that is there has been looked at. */
  readonly idle = new Promise<void>((resolve) => {
    this.#idle = resolve;
  });

  constructor(events: Event[], answers: Delivered[] = []) {
    this.events = events;
    this.answers = answers;
  }

  open(cursor = cursorAt(0), more: Partial<ChannelPorts> = {}): Channel {
    const bench = this;
    return new Channel(receiver, cursor, {
      lineage: 'l',
      async *follow(from, signal) {
        yield bench.events.filter(({ seq }) => seq >= from);
        bench.#idle();
        if (signal.aborted) return;
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      },
      oldest: async () => bench.oldest,
      surroundings: async () => ({
        runOf: () => ({ pipeline: 'web', cluster: 'prod', failing: false, elect: null }),
        clusterOf: () => undefined,
      }),
      async deliver(_, message) {
        bench.told.push(message.id);
        return bench.answers.shift() ?? ok;
      },
      keep: async (_, cursor) => void bench.kept.push(cursor),
      now: () => bench.now,
      async wait(ms) {
        bench.waits.push(ms);
        bench.now += bench.patience;
      },
      random: () => 1,
      warn: (what) => bench.warned.push(what),
      ...more,
    });
  }
}

t.test('each once, in order, and the cursor after the delivery', async (t) => {
  const bench = new Bench([other(1), failedRun(2), other(3), failedRun(4), other(5)]);
  const channel = bench.open();
  await bench.idle;
  t.same(bench.told, ['l:2/chat', 'l:4/chat']);
  t.same(
    bench.kept.map(({ seq, delivered }) => [seq, delivered]),
    [
      [2, 1],
      [4, 2],
    ],
  );
  await channel.close();
  t.equal(bench.kept.at(-1)?.seq, 5, 'at its end it notes how far it has looked');
});

t.test('tried again with growing waits under the same id, and those behind it wait', async (t) => {
  const bench = new Bench([failedRun(1), failedRun(2)], [down, down, down, ok]);
  const channel = bench.open();
  await bench.idle;
  await channel.close();
  t.same(bench.told, ['l:1/chat', 'l:1/chat', 'l:1/chat', 'l:1/chat', 'l:2/chat']);
  t.same(bench.waits, [2_000, 4_000, 8_000]);
  t.match(channel.cursor, { delivered: 2, givenUp: 0 });
});

t.test('waits have a bound', async (t) => {
  const bench = new Bench(
    [failedRun(1)],
    Array.from({ length: 12 }, () => down),
  );
  const channel = bench.open();
  await bench.idle;
  await channel.close();
  t.equal(Math.max(...bench.waits), limits.deliveryRetryDelayMaxMs);
});

t.test('one that is not wanted is given up, told in the log, and the next one comes', async (t) => {
  const bench = new Bench(
    [failedRun(1), failedRun(2)],
    Array.from({ length: limits.deliveryRefusalsMax }, () => unwanted),
  );
  const channel = bench.open();
  await bench.idle;
  await channel.close();
  t.equal(bench.told.filter((id) => id === 'l:1/chat').length, limits.deliveryRefusalsMax);
  t.equal(bench.told.at(-1), 'l:2/chat');
  t.match(channel.cursor, {
    givenUp: 1,
    delivered: 1,
    lastGivenUp: { id: 'l:1/chat', reason: 'it answered 400, 5 times' },
  });
  t.match(bench.warned, [/gave up telling chat "Run r1 .* has failed\." \(l:1\/chat\): it answered 400/]);
});

t.test('what is a day old is given up', async (t) => {
  const bench = new Bench(
    [failedRun(1)],
    Array.from({ length: 1_000 }, () => down),
  );
  bench.patience = 60 * 60_000;
  const channel = bench.open();
  await bench.idle;
  await channel.close();
  t.equal(bench.told.length, 25);
  t.match(channel.cursor, { givenUp: 1, lastGivenUp: { reason: /^no answer; it is older than a day$/ } });
});

t.test('ended while it tries: it goes on there, with the same id', async (t) => {
  const first = new Bench([failedRun(1), failedRun(2)], [ok, down]);
  let waiting: (() => void) | undefined;
  const isWaiting = new Promise<void>((resolve) => {
    waiting = resolve;
  });
  const channel = first.open(cursorAt(0), {
    wait: (_, signal) => {
      waiting?.();
      return new Promise((_resolve, reject) =>
        signal.addEventListener('abort', () => reject(new Error('ended'))),
      );
    },
  });
  await isWaiting;
  t.match(channel.trying, { id: 'l:2/chat', attempts: 1, reason: 'no answer' });
  await channel.close();
  t.equal(first.kept.at(-1)?.seq, 1);
  const second = new Bench(first.events);
  const again = second.open(first.kept.at(-1));
  await second.idle;
  await again.close();
  t.same(second.told, ['l:2/chat']);
});

t.test('delivered while the coordinator ends: that is noted', async (t) => {
  const bench = new Bench([failedRun(1), failedRun(2)]);
  let closing: Promise<void> | undefined;
  const channel = bench.open(cursorAt(0), {
    async deliver() {
      closing = channel.close();
      return ok;
    },
  });
  await bench.idle;
  await closing;
  t.match(bench.kept, [{ seq: 1, delivered: 1 }]);
});

t.test('killed between two held jobs of a run: the second is told rather than lost', async (t) => {
  const held = (seq: number, node: string): Event => ({
    seq,
    at: 0,
    type: 'JobHeld',
    run: 'r1',
    step: 'a',
    node,
    reason: 'interrupted',
  });
  const events = [held(1, 'n1'), held(2, 'n2')];
  const whole = new Bench(events);
  const channel = whole.open();
  await whole.idle;
  await channel.close();
  t.same(whole.told, ['l:1/chat']);
  const rest = new Bench(events);
  const again = rest.open(cursorAt(1));
  await rest.idle;
  await again.close();
  t.same(rest.told, ['l:2/chat']);
});

t.test('events that are no longer kept are said to be lost', async (t) => {
  const bench = new Bench([failedRun(8)]);
  bench.oldest = 8;
  const channel = bench.open(cursorAt(3));
  await bench.idle;
  await channel.close();
  t.same(bench.told, ['l:8/chat']);
  t.match(bench.warned, [/chat was not told what happened from seq 4 to 7: it is no longer kept/]);
});
