/** What is read as it grows: the sequence of events from any cursor, and the logs of a run. */
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import * as resources from '../../../coordinator/http/resources.ts';
import { limits } from '../../../shared/limits.ts';
import { TestCoordinator } from '../coordinator-in-process.ts';
import { resultOf, SmallAgent } from '../small-agent.ts';

const pipeline = {
  file: 'test.yaml',
  text: "kind: pipeline\nname: test\nroles: { all: { select: 'true' } }\nsteps:\n  - { id: a, on: all, run: 'true' }\n",
};

/** Reads an answer until `enough` holds of its text, then hangs up. */
async function readUntil(
  coordinator: TestCoordinator,
  path: string,
  enough: (text: string) => boolean,
  headers: Record<string, string> = {},
): Promise<string> {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), 15_000);
  const answer = await coordinator.open('GET', path, undefined, headers, stop.signal);
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of answer.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (enough(text)) break;
  }
  clearTimeout(timer);
  stop.abort();
  return text;
}

const linesOf = (text: string): string[] => text.split('\n').filter((line) => line !== '');
const seqsOf = (text: string): number[] =>
  linesOf(text).map((line) => resources.event.parse(JSON.parse(line)).seq);

t.test('events from a cursor', async (t) => {
  const coordinator = await TestCoordinator.start(t);
  await coordinator.joinToken();
  const all = (await coordinator.ask('GET', '/api/events')).text;
  t.same(seqsOf(all), [1, 2, 3], 'from the oldest on, and no further than now');
  t.match(JSON.parse(linesOf(all)[0] ?? ''), { type: 'ReignBegan', at: /^\d{4}-\d\d-\d\dT.*Z$/ });
  t.same(seqsOf((await coordinator.ask('GET', '/api/events?since=2')).text), [3]);
  t.same(seqsOf((await coordinator.ask('GET', '/api/events?since=3')).text), []);

  const following = readUntil(
    coordinator,
    '/api/events?since=2&follow=true',
    (text) => linesOf(text).length >= 3,
  );
  await delay(100);
  await coordinator.joinToken();
  await coordinator.joinToken();
  t.same(seqsOf(await following), [3, 4, 5], 'what comes is sent as it comes');

  const expired = await coordinator.refused('GET', '/api/events?since=99');
  t.match(expired, {
    status: 410,
    code: 'cursor-expired',
    detail: /there is no event 99 yet, the last one is 5$/,
  });
  t.match(expired.resumeFrom, /^[\w-]+:0$/);
  t.match(await coordinator.refused('GET', '/api/events?since=other:2'), {
    status: 410,
    detail: /another history/,
  });
  t.match(await coordinator.refused('GET', '/api/events?since=x'), { status: 400, code: 'usage' });
});

t.test('server-sent events go on after the last one that was seen', async (t) => {
  const coordinator = await TestCoordinator.start(t);
  const first = await readUntil(coordinator, '/api/events/stream', (text) =>
    text.includes('\ndata: {"seq":2,'),
  );
  const ids = [...first.matchAll(/^id: (.+)$/gm)].map(([, id]) => id ?? '');
  t.match(ids, [/^[\w-]+:1$/, /^[\w-]+:2$/]);
  const again = readUntil(coordinator, '/api/events/stream', (text) => text.includes('"seq":3'), {
    'last-event-id': ids[0] ?? '',
  });
  await delay(50);
  await coordinator.joinToken();
  const text = await again;
  t.match(text, /^id: .*:2\ndata: \{"seq":2,.*\}\n\nid: .*:3\ndata: \{"seq":3,/);

  await coordinator.stop();
  await coordinator.start();
  const after = await readUntil(coordinator, '/api/events/stream', (text) => text.includes('"seq":4'), {
    'last-event-id': ids[1] ?? '',
  });
  t.match(
    after,
    /^id: .*:3\n.*\n\nid: .*:4\ndata: \{"seq":4,.*"type":"ReignBegan".*"epoch":2/,
    'also across a restart',
  );
  const gone = await coordinator.ask('GET', '/api/events/stream', undefined, {
    'last-event-id': 'elsewhere:2',
  });
  t.equal(gone.status, 410);
});

t.test('events of one run, and a sign of life when there are none', async (t) => {
  const coordinator = await TestCoordinator.start(t);
  const token = await coordinator.joinToken();
  await SmallAgent.join(coordinator.url, token, 'n1');
  const { id } = await coordinator.post(resources.run, '/api/runs', pipeline);
  const lines = linesOf((await coordinator.ask('GET', `/api/events?run=${id}`)).text);
  t.ok(lines.length >= 3);
  t.ok(lines.every((line) => JSON.parse(line).run === id));
  const ofNode = linesOf((await coordinator.ask('GET', '/api/events?node=n1')).text).map((line) =>
    JSON.parse(line),
  );
  t.match(ofNode, [{ type: 'NodeJoined' }, { type: 'NodeConnected' }]);
  const quiet = await readUntil(coordinator, '/api/events/stream?run=r9', (text) => text.includes(':\n\n'));
  t.equal(quiet, ':\n\n', `after ${limits.followSilenceMs} ms`);
});

t.test('logs of a run', async (t) => {
  const coordinator = await TestCoordinator.start(t);
  const token = await coordinator.joinToken();
  const agents = [
    await SmallAgent.join(coordinator.url, token, 'n1'),
    await SmallAgent.join(coordinator.url, token, 'n2'),
  ] as const;
  for (const agent of agents) agent.say({ type: 'pull', credit: 1 });
  const { id } = await coordinator.post(resources.run, '/api/runs', pipeline);
  const following = readUntil(coordinator, `/api/runs/${id}/logs?follow=true&format=ndjson`, () => false);
  const attempts = [(await agents[0].grant()).attempt, (await agents[1].grant()).attempt] as const;
  const print = (
    index: 0 | 1,
    stream: 'stdout' | 'stderr',
    offset: number,
    content: string | Uint8Array,
  ): void =>
    agents[index].say({
      type: 'log',
      attempt: attempts[index],
      stream,
      offset,
      base64: Buffer.from(content).toString('base64'),
    });
  print(0, 'stdout', 0, 'one\ntw');
  t.match(await agents[0].hear('ack-log'), { stream: 'stdout', upTo: 6 }, 'acknowledged when it is on disk');
  print(0, 'stdout', 0, 'one\ntwo\n');
  print(0, 'stderr', 0, 'oh\n');
  print(1, 'stdout', 0, Uint8Array.of(0xff, 0xfe, 0x0a));
  agents[1].say({ type: 'log', attempt: attempts[1], stream: 'stdout', offset: 3, gapBytes: 1000 });
  t.match(await agents[1].hear('ack-log'), { upTo: 1003 });

  const ofNode = `/api/runs/${id}/logs?step=a&node=n1`;
  t.equal(
    (await coordinator.ask('GET', `${ofNode}&stream=stdout`)).text,
    'one\ntwo\n',
    'what came twice is there once',
  );
  t.equal((await coordinator.ask('GET', `${ofNode}&stream=stderr`)).text, 'oh\n');
  t.equal((await coordinator.ask('GET', `${ofNode}&stream=stdout&tailBytes=4`)).text, 'two\n');
  const both = (await coordinator.ask('GET', `/api/runs/${id}/logs?stream=stdout`)).text;
  t.match(both, /^n1 a \| one\nn1 a \| two\nn2 a \| .*\nn2 a \| \[1000 bytes are missing\]\n$/s);

  agents[0].say({
    type: 'result',
    number: 1,
    result: resultOf(attempts[0], { logs: { stdout: 12, stderr: 3 } }),
  });
  agents[1].say({
    type: 'result',
    number: 1,
    result: resultOf(attempts[1], { logs: { stdout: 1003, stderr: 0 } }),
  });
  await agents[0].hear('ack-results');
  for (let wait = 0; wait < 100; wait += 1) {
    if ((await coordinator.get(resources.run, `/api/runs/${id}`)).finishedAt !== null) break;
    await delay(20);
  }
  print(0, 'stdout', 8, 'late');
  const chunks = linesOf(await following).map((line) => resources.logChunk.parse(JSON.parse(line)));
  const texts = chunks
    .filter(({ node, stream }) => node === 'n1' && stream === 'stdout')
    .map(({ text }) => text);
  t.equal(
    texts.join(''),
    'one\ntwo\nlate',
    'following ends with the run, but not before all that was announced',
  );
  t.match(
    chunks.filter(({ node }) => node === 'n2'),
    [
      { offset: 0, base64: '//4K' },
      { offset: 3, gapBytes: 1000 },
    ],
  );
  t.match(await coordinator.refused('GET', '/api/runs/r9/logs'), { code: 'not-found' });

  const stranger = await SmallAgent.join(coordinator.url, token, 'n3');
  stranger.say({ type: 'log', attempt: 'r77/a/n3#1', stream: 'stdout', offset: 0, base64: 'eA==' });
  t.match(await stranger.hear('ack-log'), { upTo: 1 }, 'what belongs to no run is let go');
  stranger.say({ type: 'log', attempt: `${id}/a/n3#1`, stream: 'stdout', offset: 5, base64: 'eA==' });
  t.match(
    await stranger.closed,
    { code: 1008, reason: /goes on at 0, not at 5/ },
    'a hole in a stream is refused',
  );
});
