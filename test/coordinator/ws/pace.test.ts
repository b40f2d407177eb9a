/** How fast agents are let in, and that those who are put off come in turn. */
import { request } from 'node:http';
import t from 'tap';
import { JoinPace } from '../../../coordinator/ws/pace.ts';
import { limits } from '../../../shared/limits.ts';
import { TestCoordinator } from '../coordinator-in-process.ts';
import { SmallAgent } from '../small-agent.ts';

const rate = limits.joinsPerSecond;

t.test('a crowd is let in at the rate, and told to come in turn', async (t) => {
  const pace = new JoinPace();
  const answers = Array.from({ length: 10_000 }, () => pace.ask(5_000));
  t.equal(answers.filter((seconds) => seconds === 0).length, rate, 'a second of them at once');
  const last = answers.at(-1) ?? 0;
  t.equal(last, (10_000 - rate) / rate, 'the last one comes when all the others were let in');
  for (const seconds of [1, 7, last])
    t.equal(answers.filter((one) => one === seconds).length, rate, `${rate} are to come in ${seconds} s`);
});

t.test('who comes as told is let in, and all are within half a minute', async (t) => {
  const pace = new JoinPace();
  let arrivals = Array.from({ length: 10_000 }, (_, index) => 1_000_000 + (index % 500));
  let joinedAt = 0;
  let turnedAway = 0;
  // The same time for the same agent in each run: a fraction of its number stands for chance.
  for (let round = 0; arrivals.length > 0 && round < 10; round += 1) {
    arrivals.sort((one, other) => one - other);
    const later: number[] = [];
    for (const [index, at] of arrivals.entries()) {
      const seconds = pace.ask(at);
      if (seconds === 0) joinedAt = Math.max(joinedAt, at);
      else later.push(at + (seconds + ((index * 0.618) % 1)) * 1_000);
    }
    turnedAway += later.length;
    arrivals = later;
  }
  t.same(arrivals, []);
  t.ok(joinedAt <= 1_000_000 + 30_000, `${joinedAt - 1_000_000} ms`);
  t.ok(turnedAway < 30_000, `${turnedAway} times was somebody turned away`);
});

t.test(
  'nobody is told to stay away for longer than a bound, and a rest lets no more in than a second',
  (t) => {
    const pace = new JoinPace();
    for (let asked = 0; asked < 60 * rate; asked += 1) pace.ask(0);
    t.equal(pace.ask(0), limits.joinRetryMsMax / 1_000);
    const later = Array.from({ length: 2 * rate }, () => pace.ask(3_600_000));
    t.equal(later.filter((seconds) => seconds === 0).length, rate);
    t.end();
  },
);

t.test('the door says 503 and when to come again', async (t) => {
  const coordinator = await TestCoordinator.start(t);
  const token = await coordinator.joinToken();
  const { hostname, port } = new URL(coordinator.url);
  const headers = {
    authorization: `Bearer ${token}`,
    connection: 'upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
  };
  const knock = () =>
    new Promise<{ status: number; after: string | undefined }>((resolve, reject) => {
      const knocking = request({ hostname, port, path: '/agent', headers });
      knocking.on('upgrade', (_response, socket) => {
        socket.destroy();
        resolve({ status: 101, after: undefined });
      });
      knocking.on('response', (response) => {
        response.resume();
        resolve({ status: response.statusCode ?? 0, after: response.headers['retry-after'] });
      });
      knocking.on('error', reject);
      knocking.end();
    });
  const answers: Awaited<ReturnType<typeof knock>>[] = [];
  for (let wave = 0; wave < 30 && !answers.some(({ status }) => status === 503); wave += 1)
    answers.push(...(await Promise.all(Array.from({ length: 100 }, knock))));
  const putOff = answers.find(({ status }) => status === 503);
  t.match(putOff, { after: /^[1-9][0-9]*$/ });
  await new Promise((resolve) => setTimeout(resolve, Number(putOff?.after) * 1_000));
  const agent = await SmallAgent.join(coordinator.url, token, 'n1');
  agent.end();
});
