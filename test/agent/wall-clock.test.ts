/** An agent whose clock on the wall is wrong, or is set while it works: nothing but what it shows depends on it. */
import { writeFileSync } from 'node:fs';
import t from 'tap';
import { WallClock, wallClockUnavailable } from '../wall-clock.ts';
import { AgentProcess } from './agent-process.ts';
import { CoordinatorDouble, jobOf } from './coordinator-double.ts';

const skip = wallClockUnavailable ?? false;
const dayMs = 24 * 60 * 60_000;

t.test('it starts in 1970, and is set right and wrong while a job runs', { skip }, async (t) => {
  const coordinator = await CoordinatorDouble.start();
  t.teardown(() => coordinator.stop());
  coordinator.heartbeatMs = 500;
  const folder = t.testdir({ state: {} });
  const clock = new WallClock(folder, '@1970-01-01 00:00:10');
  const words = ['run', '--coordinator', coordinator.url, '--state', `${folder}/state`, '--name', 'n1'];
  const agent = new AgentProcess(words, clock.environment);
  t.teardown(() => agent.end('SIGKILL'));
  await coordinator.pull();
  coordinator.grant(jobOf('r1/early/n1#1', 'env | grep -ci fake; true'));
  const early = await coordinator.result('r1/early/n1#1');
  t.match(early, { outcome: 'succeeded' });
  t.ok((early.startedAt ?? dayMs) < dayMs, `it says when it believes that it was: ${early.startedAt}`);
  t.equal((await coordinator.log('r1/early/n1#1')).toString(), '0\n', 'jobs do not have its clock');

  const go = `${folder}/go`;
  await coordinator.pull(2);
  coordinator.grant(
    jobOf('r1/long/n1#1', `until [ -e ${go} ]; do sleep 0.1; done`, { timeoutMs: 60_000 }),
    jobOf('r1/next/n1#1', 'true'),
  );
  await coordinator.until('it started', () =>
    coordinator.ofType('started').some(({ attempt }) => attempt === 'r1/long/n1#1'),
  );
  for (const time of ['+0', '+1d', '-1d', '+365d', '@1970-01-01 00:00:10', '+0']) {
    clock.set(time);
    const pings = coordinator.ofType('ping').length;
    await coordinator.until(`pings at ${time}`, () => coordinator.ofType('ping').length > pings + 1);
  }
  t.equal(coordinator.connections, 1, 'the link stands it');
  t.notOk(coordinator.ofType('result').some(({ result }) => result.attempt === 'r1/long/n1#1'));
  writeFileSync(go, '');
  const long = await coordinator.result('r1/long/n1#1');
  t.match(long, { outcome: 'succeeded' });
  t.ok(long.durationMs < 60_000, `${long.durationMs} ms by the clock that only goes on`);
  t.match(await coordinator.result('r1/next/n1#1'), { outcome: 'succeeded' });
});

t.test('a leap may have been a sleep: the link is looked after', { skip }, async (t) => {
  const coordinator = await CoordinatorDouble.start();
  t.teardown(() => coordinator.stop());
  // So that no heartbeat can be mistaken for it.
  coordinator.heartbeatMs = 3_600_000;
  const folder = t.testdir({ state: {} });
  const clock = new WallClock(folder, '+0');
  const words = ['run', '--coordinator', coordinator.url, '--state', `${folder}/state`, '--name', 'n1'];
  const agent = new AgentProcess(words, clock.environment);
  t.teardown(() => agent.end('SIGKILL'));
  await coordinator.pull();
  clock.set('+1h');
  await coordinator.until('a ping', () => coordinator.ofType('ping').length > 0);
  t.equal(coordinator.connections, 1, 'an answer is enough');
  coordinator.socket.removeAllListeners('message');
  clock.set('+2h');
  await coordinator.until('the agent again', () => coordinator.connections > 1);
  t.match(agent.output, /this host was asleep, and the coordinator did not answer within/);
});
