/** A coordinator whose clock on the wall is behind its journal, or is set while it works. */
import t from 'tap';
import * as z from 'zod';
import { WallClock, wallClockUnavailable } from '../wall-clock.ts';
import { CoordinatorProcess } from './coordinator-process.ts';
import { helloOf, SmallAgent } from './small-agent.ts';

const skip = wallClockUnavailable ?? false;
const events = z.array(z.object({ seq: z.int(), type: z.string(), at: z.string() }));
const nodes = z.object({ items: z.array(z.object({ name: z.string(), state: z.string() })) });

async function stateOf(coordinator: CoordinatorProcess): Promise<string | undefined> {
  return nodes.parse((await coordinator.ask('GET', '/api/nodes')).json).items[0]?.state;
}

t.test('time goes on from the journal, and nobody is lost by it', { skip }, async (t) => {
  const coordinator = await CoordinatorProcess.start(t);
  const { token } = z
    .object({ token: z.string() })
    .parse((await coordinator.ask('POST', '/api/tokens', { kind: 'join' })).json);
  const first = await SmallAgent.join(coordinator.url, token, 'n1');
  t.equal(await coordinator.end('SIGKILL'), 'SIGKILL');
  first.end();

  const clock = new WallClock(t.testdir({}), '-1d');
  Object.assign(process.env, clock.environment);
  t.teardown(() => {
    for (const name of Object.keys(clock.environment)) delete process.env[name];
  });
  await coordinator.start();
  const shownAt = Date.parse(/"time":"([^"]+)"/.exec(coordinator.output)?.[1] ?? '');
  t.ok(Date.now() - shownAt > 23 * 60 * 60_000, 'it believes that it is yesterday');
  for (const name of Object.keys(clock.environment)) delete process.env[name];
  const agent = await SmallAgent.connect(coordinator.url, token);
  agent.say(helloOf('n1', { counter: 2 }));
  await agent.hear('welcome');
  for (const time of ['+0', '+1d', '-2d', '@1970-01-01 00:00:10']) {
    clock.set(time);
    // A sweep of the connections and a turn of the core see each of them.
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    agent.say({ type: 'ping' });
    await agent.hear('pong');
    const submitted = await coordinator.ask('POST', '/api/tokens', { kind: 'join' });
    t.equal(submitted.status, 201, `decided at ${time}`);
  }
  t.equal(await stateOf(coordinator), 'ready');
  const told = events.parse((await coordinator.ask('GET', '/api/events?since=0')).json);
  const times = told.map(({ at }) => Date.parse(at));
  t.same(
    times,
    times.toSorted((a, b) => a - b),
    'no event is before the one before',
  );
  t.ok((times.at(-1) ?? 0) - (times[0] ?? 0) < 60 * 60_000, 'and none is a day later');
  t.ok(told.some(({ type }) => type === 'NodeConnected'));
  t.notOk(told.some(({ type }) => type === 'NodeUnreachable'));
  agent.end();
});
