/** Whatever comes over the wire, the agent says clearly what was wrong, comes back, and loses nothing. */

import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { AgentProcess } from '../agent-process.ts';
import { jobOf } from '../coordinator-double.ts';
import { Host, residentKilobytes } from '../host.ts';

const host = await Host.make(t);
const { coordinator } = host;
const agent = await host.startAndPull();

/** What the agent says and does after it was sent something; it is always back afterwards. */
async function provoke(act: () => void): Promise<string> {
  const before = agent.output.length;
  const { connections } = coordinator;
  act();
  await coordinator.until('the agent back', () => coordinator.connections > connections);
  await coordinator.hello(coordinator.connections);
  return agent.output.slice(before);
}

t.test('frames that are not messages', async (t) => {
  const cases: [string, string | Buffer, RegExp][] = [
    ['not JSON', '{{{{', /the frame is not JSON/],
    ['half a frame', '[{"type":"gra', /the frame is not JSON/],
    ['no array', '{"type":"ping"}', /the frame is not an array of messages/],
    ['a wrong field', '[{"type":"ack-results","upTo":"many"}]', /ack-results\.upTo/],
    [
      'a forged id',
      '[{"type":"cancel","attempt":"../../etc","reason":""}]',
      /cancel\.attempt: not an attempt id/,
    ],
    ['binary', Buffer.from([1, 2, 3]), /the frame is binary/],
  ];
  for (const [name, frame, message] of cases) {
    t.match(await provoke(() => coordinator.sendText(frame)), message, name);
  }
});

t.test('a message type from a later version is skipped', async (t) => {
  const { connections } = coordinator;
  coordinator.sendText('[{"type":"praise","text":"well done"},{"type":"ping","mood":"good"}]');
  const pongs = coordinator.ofType('pong').length;
  await coordinator.until('pong', () => coordinator.ofType('pong').length > pongs);
  t.equal(coordinator.connections, connections);
});

t.test('messages out of order', async (t) => {
  const words = await provoke(() => {
    coordinator.send({ type: 'welcome', node: 'n1', heartbeatMs: 1000, factsWanted: false });
  });
  t.match(words, /the coordinator sent \\"welcome\\" out of order/);
  t.match(await provoke(() => coordinator.send({ type: 'ack-results', upTo: 99 })), /acknowledged result 99/);
});

t.test('a frame of 100 MB', async (t) => {
  const words = await provoke(() => coordinator.sendText(Buffer.alloc(100 * 1024 * 1024, ' ').toString()));
  t.match(words, /Max payload size exceeded/);
  t.ok(residentKilobytes(agent.pid) < 300_000, `${residentKilobytes(agent.pid)} kB`);
});

t.test('a frame that breaks off, and a broken one', async (t) => {
  const raw = (socket: { _socket?: Socket }): Socket => {
    if (socket._socket === undefined) throw new Error('no socket');
    return socket._socket;
  };
  const half = await provoke(() => {
    const { socket } = coordinator;
    raw(Object(socket)).write(Buffer.from([0x81, 0x7e, 0x10, 0x00, 0x5b, 0x7b]));
    setTimeout(() => raw(Object(socket)).destroy(), 50);
  });
  t.match(half, /lost the link/);
  t.match(
    await provoke(() => raw(Object(coordinator.socket)).write(Buffer.from([0xff, 0xff, 0xff]))),
    /lost the link/,
  );
});

t.test('a job that runs through all of it is neither lost nor repeated', async (t) => {
  const attempt = 'r1/s/n1#1';
  await coordinator.until(
    'a pull',
    (received) => received.findLast((one) => one.type === 'hello' || one.type === 'pull')?.type === 'pull',
  );
  coordinator.grant(
    jobOf(
      attempt,
      `echo x >> ${host.state}/runs; seq 1 300 | while read -r n; do echo $n; sleep 0.005; done`,
    ),
  );
  await coordinator.until('started', () => coordinator.ofType('started').length > 0);
  for (const garbage of ['[]', 'x', '[{"type":"ack-log"}]']) {
    await provoke(() => coordinator.sendText(garbage));
    await coordinator.until('joined', (received) => received.at(-1)?.type !== 'hello');
    coordinator.grant(jobOf(attempt, 'echo granted again'));
  }
  t.match(await coordinator.result(attempt), { outcome: 'succeeded' });
  const expected = Array.from({ length: 300 }, (_, n) => `${n + 1}\n`).join('');
  t.equal((await coordinator.log(attempt)).toString(), expected);
});

t.test('a coordinator that falls silent is left and found again', async (t) => {
  coordinator.heartbeatMs = 200;
  await provoke(() => coordinator.dropLink());
  await coordinator.until('a ping', () => coordinator.ofType('ping').length > 2);
  const words = await provoke(() => coordinator.socket.removeAllListeners('message'));
  t.match(words, /the coordinator fell silent/);
  coordinator.heartbeatMs = 15_000;
});

t.test('an old epoch is not joined, a new one is', async (t) => {
  coordinator.epoch = 5;
  await provoke(() => coordinator.dropLink());
  coordinator.epoch = 4;
  const before = agent.output.length;
  coordinator.dropLink();
  for (let waitedMs = 0; !agent.output.slice(before).includes('old copy'); waitedMs += 20) {
    if (waitedMs > 20_000) throw new Error(`the old epoch was not refused: ${agent.output.slice(before)}`);
    await sleep(20);
  }
  t.match(agent.output.slice(before), /reigns in epoch 4 of lineage lineage-1, but epoch 5 was seen here/);
});

t.test('several coordinators are tried in turn; what is no coordinator is said to be none', async (t) => {
  const stranger = createServer((socket) =>
    socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n'),
  );
  stranger.listen(0, '127.0.0.1');
  await once(stranger, 'listening');
  const address = stranger.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const other = await Host.make(t);
  const urls = `http://127.0.0.1:1,http://127.0.0.1:${port},${other.coordinator.url}`;
  const second = AgentProcess.run(urls, other.state);
  t.teardown(() => second.end('SIGKILL'));
  await other.coordinator.pull();
  t.match(second.output, /cannot link to http:\/\/127.0.0.1:1\/: connect ECONNREFUSED/);
  t.match(
    second.output,
    new RegExp(`cannot link to http://127.0.0.1:${port}/: HTTP 404 instead of a websocket`),
  );
  stranger.close();
});
