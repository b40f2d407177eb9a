/** How the agent comes to a coordinator and back to it, with real sockets on loopback. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import t, { type Test } from 'tap';
import { AgentProcess } from '../agent-process.ts';
import { CoordinatorDouble } from '../coordinator-double.ts';

async function startDouble(t: Test, host = '127.0.0.1', port = 0): Promise<CoordinatorDouble> {
  const coordinator = await CoordinatorDouble.start(port, host);
  t.teardown(() => coordinator.stop());
  return coordinator;
}

function startAgent(t: Test, urls: string): AgentProcess {
  const agent = AgentProcess.run(urls, t.testdir({}));
  t.teardown(() => agent.end('SIGKILL'));
  return agent;
}

t.test('a coordinator that lets others in first is not a failure', async (t) => {
  const first = await startDouble(t);
  const second = await startDouble(t);
  first.putOffWith.push(1, 2);
  const agent = startAgent(t, `${first.url},${second.url}`);
  await first.pull();
  t.match(agent.output, /lets others in first: coming again in 1000 ms/);
  t.match(agent.output, /lets others in first: coming again in 2000 ms/);
  t.notMatch(agent.output, /cannot link/);
  t.equal(second.connections, 0, 'and no reason to go to another one');
});

t.test('coordinators are tried in turn, round after round, and the one that is found is kept', async (t) => {
  // Takes the connection and never says a word, like a port forwarded to nobody.
  const silent = createServer();
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  t.teardown(() => silent.close());
  const { port } = silent.address() as AddressInfo;
  const alive = await startDouble(t);
  const alivePort = alive.port;
  const agent = startAgent(t, `http://127.0.0.1:1,http://127.0.0.1:${port},${alive.url}`);
  await alive.pull();
  t.match(agent.output, /cannot link to http:\/\/127\.0\.0\.1:1\/: connect ECONNREFUSED/);
  alive.dropLink();
  await alive.pull(2);
  t.notMatch(agent.output.split('joined as node').at(-2), /127\.0\.0\.1:1\//, 'not from the beginning again');
  await alive.stop();
  const back = await startDouble(t, '127.0.0.1', alivePort);
  await back.pull();
});

t.test('a coordinator that takes the hello and does not answer it is given up', async (t) => {
  const coordinator = await startDouble(t);
  coordinator.welcomes = false;
  const agent = startAgent(t, coordinator.url);
  await coordinator.hello();
  await coordinator.hello(2);
  t.match(agent.output, /cannot link to .*the coordinator fell silent/);
  coordinator.welcomes = true;
  await coordinator.pull();
});

t.test('IPv6', async (t) => {
  const coordinator = await startDouble(t, '::1');
  startAgent(t, `http://[::1]:${coordinator.port}`);
  t.equal((await coordinator.hello()).address, '::1');
  await coordinator.pull();
});
