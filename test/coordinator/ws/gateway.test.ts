/** What the gateway lets in, whom it believes, and what it does with those who speak nonsense. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { WebSocket } from 'ws';
import { node as nodeSchema } from '../../../coordinator/http/resources.ts';
import { canonicalJson } from '../../../shared/canonical-json.ts';
import { limits } from '../../../shared/limits.ts';
import { TestCoordinator } from '../coordinator-in-process.ts';
import { helloOf, resultOf, SmallAgent } from '../small-agent.ts';

const sha = `sha256:${'0'.repeat(64)}`;

t.test('the door', async (t) => {
  const coordinator = await TestCoordinator.start(t);
  const token = await coordinator.joinToken();
  const knock = async (path: string, headers: Record<string, string>): Promise<string> => {
    const socket = new WebSocket(`${coordinator.url.replace('http', 'ws')}${path}`, { headers });
    const [request, response] = await once(socket, 'unexpected-response');
    let body = '';
    for await (const chunk of response) body += chunk;
    request.destroy();
    return `${response.statusCode} ${JSON.parse(body).code}`;
  };
  t.equal(await knock('/agent', {}), '401 unauthorized', 'nobody without a token');
  t.equal(await knock('/agent', { authorization: 'Bearer x' }), '401 unauthorized', 'nor with a wrong one');
  t.equal(
    await knock('/agent', { authorization: `Bearer ${token.slice(0, -1)}` }),
    '401 unauthorized',
    'nor with a part of one',
  );
  t.equal(
    await knock('/agent', { authorization: `Bearer ${coordinator.token}` }),
    '403 forbidden',
    'nor with one of another kind',
  );
  t.equal(
    await knock('/other', { authorization: `Bearer ${token}` }),
    '404 not-found',
    'nor by another door',
  );

  const agent = await SmallAgent.join(coordinator.url, token, 'n1');
  const [id] = token.split('.');
  t.equal((await coordinator.ask('DELETE', `/api/tokens/${id}`)).status, 204);
  t.match((await agent.closed).reason, /was revoked/, 'who came with a revoked token has to go');
  t.equal(await knock('/agent', { authorization: `Bearer ${token}` }), '401 unauthorized', 'and stays out');
});

t.test('nonsense ends a connection and nothing else', async (t) => {
  const coordinator = await TestCoordinator.start(t);
  const token = await coordinator.joinToken();
  const steady = await SmallAgent.join(coordinator.url, token, 'steady');
  const join = (): Promise<SmallAgent> =>
    SmallAgent.join(coordinator.url, token, 'odd', { counter: ++counter });
  let counter = 0;

  const wrong: Record<string, { send: (agent: SmallAgent) => void; code: number; reason: RegExp }> = {
    garbage: { send: ({ socket }) => socket.send('\u0000 garbage'), code: 1008, reason: /not JSON/ },
    'an object': { send: ({ socket }) => socket.send('{"type":"ping"}'), code: 1008, reason: /not an array/ },
    'an empty frame': { send: ({ socket }) => socket.send('[]'), code: 1008, reason: /not an array/ },
    'a binary frame': { send: ({ socket }) => socket.send(Buffer.from('[]')), code: 1008, reason: /binary/ },
    'a wrong field': {
      send: ({ socket }) => socket.send('[{"type":"pull","credit":-1}]'),
      code: 1008,
      reason: /pull\.credit/,
    },
    'a second hello': {
      send: (agent) => agent.say(helloOf('odd', { counter: 99 })),
      code: 1008,
      reason: /second hello/,
    },
    "another node's attempt": {
      send: (agent) => agent.say({ type: 'started', attempt: 'r1/s/steady#1', at: 1 }),
      code: 1008,
      reason: /is not of node odd/,
    },
    "another node's result": {
      send: (agent) => agent.say({ type: 'result', number: 1, result: resultOf('r1/s/steady#1') }),
      code: 1008,
      reason: /is not of node odd/,
    },
    'a log without content': {
      send: (agent) => agent.say({ type: 'log', attempt: 'r1/s/odd#1', stream: 'stdout', offset: 0 }),
      code: 1008,
      reason: /without content/,
    },
    'too many messages': {
      send: (agent) => agent.say(...Array(limits.frameMessagesMax + 1).fill({ type: 'ping' })),
      code: 1008,
      reason: /not an array/,
    },
    'facts nested without end': {
      send: ({ socket }) => {
        const facts = '['.repeat(200_000) + ']'.repeat(200_000);
        socket.send(`[{"type":"facts","digest":"${sha}","facts":${facts}}]`);
      },
      code: 1008,
      reason: /nested too deeply/,
    },
    'facts that are too long': {
      send: (agent) =>
        agent.say({ type: 'facts', digest: sha, facts: { x: 'x'.repeat(limits.factsBytesMax) } }),
      code: 1008,
      reason: /facts of more than/,
    },
    '100 MB': {
      send: ({ socket }) => socket.send('x'.repeat(100 * 1024 * 1024)),
      code: 1009,
      reason: /^$/,
    },
  };
  for (const [what, { send, code, reason }] of Object.entries(wrong)) {
    const agent = await join();
    send(agent);
    const closed = await agent.closed;
    t.equal(closed.code, code, what);
    t.match(closed.reason, reason, `${what}: it hears why`);
  }

  const early = await SmallAgent.connect(coordinator.url, token);
  early.say({ type: 'pull', credit: 1 });
  t.match(await early.closed, { code: 1008, reason: /before the welcome/ }, 'work before the hello');

  const old = await SmallAgent.connect(coordinator.url, token);
  old.say(helloOf('odd', { name: 'odd', counter: 1 }));
  t.match(await old.hear('rejected'), { retryAfterMs: null }, 'a counter that was used before is a clone');

  const half = await join();
  const raw = Reflect.get(half.socket, '_socket');
  // A frame of 10 bytes of which three come, then nothing more.
  raw.write(Buffer.from([0x81, 0x8a, 0, 0, 0, 0, 0x5b, 0x7b, 0x22]));
  await delay(50);
  half.end();

  steady.say({ type: 'ping' });
  t.equal((await steady.hear('pong')).type, 'pong', 'others notice nothing');
  t.ok(
    coordinator.logged.some((line) => line.includes('broke the protocol')),
    'it is logged',
  );
});

t.test('a message of an unknown type is skipped', async (t) => {
  const coordinator = await TestCoordinator.start(t);
  const agent = await SmallAgent.join(coordinator.url, await coordinator.joinToken(), 'n1');
  agent.socket.send('[{"type":"something-newer","x":1},{"type":"ping"}]');
  t.equal((await agent.hear('pong')).type, 'pong');
});

t.test('connections come and go', async (t) => {
  const coordinator = await TestCoordinator.start(t);
  const token = await coordinator.joinToken();
  const contact = async (): Promise<string> => (await coordinator.get(nodeSchema, '/api/nodes/n1')).contact;
  const first = await SmallAgent.join(coordinator.url, token, 'n1');
  t.equal(await contact(), 'connected');
  const second = await SmallAgent.join(coordinator.url, token, 'n1', { counter: 2 });
  t.match(
    await first.closed,
    { code: 4001, reason: /replaced/ },
    'a newer connection replaces a half-open one',
  );
  await delay(50);
  t.equal(await contact(), 'connected', 'and the end of the old one changes nothing');
  second.end();
  for (let wait = 0; wait < 100 && (await contact()) === 'connected'; wait += 1) await delay(20);
  t.equal(await contact(), 'disconnected', 'a lost connection is noticed');

  const third = await SmallAgent.join(coordinator.url, token, 'n1', { counter: 3 });
  t.equal(await contact(), 'connected');
  const other = await SmallAgent.connect(coordinator.url, token);
  other.say(helloOf('n1', { incarnation: 'another-incarnation', counter: 1 }));
  t.match(await other.hear('rejected'), { reason: /another host is node n1/ }, 'a name belongs to one host');
  third.say({ type: 'ping' });
  await third.hear('pong');
});

t.test('facts reach selectors once they are durable', async (t) => {
  const coordinator = await TestCoordinator.start(t);
  const agent = await SmallAgent.connect(coordinator.url, await coordinator.joinToken());
  agent.say(helloOf('n1'));
  t.equal((await agent.hear('welcome')).factsWanted, true, 'the first time they are wanted');
  const facts = { memory: { totalBytes: 4096 }, hostname: 'n1', é: [1, { b: 2, a: 1 }] };
  agent.say({ type: 'facts', digest: sha, facts });
  const listed = async (where: string): Promise<number> =>
    JSON.parse((await coordinator.ask('GET', `/api/nodes?where=${encodeURIComponent(where)}`)).text).items
      .length;
  for (let wait = 0; wait < 100 && (await listed('facts.memory.totalBytes == 4096')) === 0; wait += 1)
    await delay(20);
  t.equal(await listed('facts.memory.totalBytes == 4096'), 1);
  t.equal(await listed('facts.memory.totalBytes > 4096'), 0);
  t.equal(await listed('has(facts.os)'), 0, 'what is missing makes it not fit');
  const { factsDigest, ...node } = await coordinator.get(nodeSchema, '/api/nodes/n1');
  t.same(node.facts, facts);
  agent.end();
  const again = await SmallAgent.connect(coordinator.url, await coordinator.joinToken());
  again.say(helloOf('n1', { counter: 2, factsDigest: factsDigest ?? '' }));
  t.equal((await again.hear('welcome')).factsWanted, false, 'the same are not asked for again');
  t.match(canonicalJson(facts), /^\{"hostname"/, 'both sides name them by the same text');
});

t.test('a client that never ends its request holds nothing up', async (t) => {
  const coordinator = await TestCoordinator.start(t);
  const { port } = new URL(coordinator.url);
  const slow = connect(Number(port), '127.0.0.1');
  slow.write('GET /api/nodes HTTP/1.1\r\nHost: x\r\nX-Slow: ');
  t.teardown(() => slow.destroy());
  t.equal((await coordinator.ask('GET', '/health')).status, 200);
  const [answer] = await once(slow, 'data', {
    signal: AbortSignal.timeout(limits.httpHeadersWaitMs + 5_000),
  });
  t.match(answer.toString(), /^HTTP\/1.1 408/, 'and is sent away in the end');
});

t.test('a machine that is expected is welcomed by that name, and speaks for that node', async (t) => {
  const coordinator = await TestCoordinator.start(t);
  const token = await coordinator.joinToken();
  const file = 'name,serial,rack\ndb-1,S-1,a\n';
  const asked = await coordinator.ask('POST', '/api/nodes/import', { file: 'racks.csv', text: file });
  t.match(JSON.parse(asked.text), {
    nodes: [{ name: 'db-1', line: 2, change: 'expected', joined: false }],
  });
  const agent = await SmallAgent.connect(coordinator.url, token);
  agent.say(helloOf('localhost', { hardware: { serial: 's-1' } }));
  t.match(await agent.hear('welcome'), { node: 'db-1' });
  agent.say({ type: 'pull', credit: 1 });
  const text =
    'kind: pipeline\nname: p\nroles: { r: { select: \'labels.rack == "a"\' } }\nsteps: [{ id: s, on: r, run: x }]\n';
  await coordinator.ask('POST', '/api/runs', { file: 'p.yaml', text });
  const { attempt } = await agent.grant();
  t.equal(attempt, 'r1/s/db-1#1');
  agent.say({ type: 'result', number: 1, result: resultOf(attempt) });
  await agent.hear('ack-results');
  agent.end();
});
