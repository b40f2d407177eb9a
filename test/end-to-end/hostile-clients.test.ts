/**
 * Clients that misbehave against a real coordinator with real agents: over the websocket with a valid token, and
 * over HTTP. Each is told what was wrong; the coordinator's memory stays bounded, real agents go on working, and
 * nothing that was acknowledged is lost.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import t from 'tap';
import { WebSocket } from 'ws';
import * as z from 'zod';
import { limits } from '../../shared/limits.ts';
import { helloOf, resultOf, SmallAgent } from '../coordinator/small-agent.ts';
import { type Answer, jobsOf, LocalCluster, peakMegabytes } from './local-cluster.ts';
import { eventually } from './processes.ts';

const MiB = 1024 * 1024;
/** It levels off near 310, however many connections come: half of that is garbage that nobody is in a hurry to collect. */
const peakMegabytesMax = 400;
const connectionCount = 10_000;
const atOnce = 100;

const health = z.object({ status: z.literal('ok'), detail: z.null(), agents: z.int() });

t.test('hostile clients', { timeout: 180_000 }, async (t) => {
  const cluster = await LocalCluster.start(t, { n1: {}, n2: {} });
  const { port } = new URL(cluster.url);
  const token = await cluster.joinToken();
  const work = cluster.write(
    'work.yaml',
    `kind: pipeline
name: work
roles: { all: { select: 'name in ["n1", "n2"]' } }
steps: [{ id: work, on: all, run: 'echo worked' }]
`,
  );
  /** It answers, and its real agents work. */
  const stands = async (after: string, agents = 2): Promise<void> => {
    const answer = await cluster.request('GET', '/health');
    t.equal(answer.status, 200, after);
    t.equal(health.parse(JSON.parse(answer.text)).agents, agents, `${after}: the real agents are there`);
  };
  const works = async (after: string): Promise<void> => {
    const run = await cluster.run(work);
    t.strictSame(
      [run.state, ...[...jobsOf(run, 'work').values()].map(({ node, state }) => `${node} ${state}`)],
      ['succeeded', 'n1 succeeded', 'n2 succeeded'],
      after,
    );
  };
  await works('before anything else');
  const acknowledged = await cluster.events();

  const raw = async (text: string): Promise<Socket> => {
    const socket = connect(Number(port), '127.0.0.1').on('error', () => {});
    await once(socket, 'connect');
    socket.write(text);
    return socket;
  };
  /** All that a raw connection hears until it is ended. */
  const heard = async (socket: Socket): Promise<string> => {
    let text = '';
    socket.on('data', (bytes) => {
      text += bytes;
    });
    // Also when it is reset, because it goes on sending what nobody wants.
    await eventually('a connection to be closed', async () => socket.closed || undefined);
    return text;
  };
  const upgrade =
    `GET /agent HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nConnection: Upgrade\r\n` +
    'Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n';

  // Whoever takes its time: begun now, judged at the end.
  const silent = await SmallAgent.connect(cluster.url, token);
  const slowRequest = heard(await raw('GET /api/nodes HTTP/1.1\r\nHost: x\r\nX-Slow: '));
  const halfFrames = Promise.all(
    Array.from({ length: 20 }, async () => {
      const socket = await raw(upgrade);
      // A masked text frame that announces 1 MB, of which half comes.
      socket.write(
        Buffer.concat([
          Buffer.from([0x81, 0xff, 0, 0, 0, 0, 0, 0x0f, 0, 0, 1, 2, 3, 4]),
          Buffer.alloc(MiB / 2),
        ]),
      );
      return heard(socket);
    }),
  );

  await t.test('on the websocket', async (t) => {
    let counter = 0;
    const cases: readonly (readonly [string, (agent: SmallAgent) => void, RegExp])[] = [
      ['garbage', ({ socket }) => socket.send('\u0000\u0007{{{'), /^the frame is not JSON$/],
      [
        'bytes',
        ({ socket }) => socket.send(Buffer.alloc(1000, 0xff)),
        /^a frame is binary; frames are text$/,
      ],
      [
        'no list',
        ({ socket }) => socket.send('{"type":"pull"}'),
        /^the frame is not an array of messages with a type$/,
      ],
      [
        'a wrong field',
        ({ socket }) => socket.send('[{"type":"started","attempt":"../../x"}]'),
        /^started\.attempt: /,
      ],
      ['a second hello', (agent) => agent.say(helloOf('odd', { counter: 1_000 })), /^a second hello$/],
      [
        'the job of another',
        (agent) => agent.say({ type: 'result', number: 1, result: resultOf('r1/work/n1#1') }),
        /^attempt r1\/work\/n1#1 is not of node odd$/,
      ],
      [
        'no content',
        (agent) => agent.say({ type: 'log', attempt: 'r1/work/odd#1', stream: 'stdout', offset: 0 }),
        /without content$/,
      ],
    ];
    for (const [what, send, reason] of cases) {
      counter += 1;
      const agent = await SmallAgent.join(cluster.url, token, 'odd', { counter });
      send(agent);
      t.match(await agent.closed, { code: 1008, reason }, what);
    }
    const early = await SmallAgent.connect(cluster.url, token);
    early.say({ type: 'pull', credit: 100 });
    t.match(await early.closed, { code: 1008, reason: 'pull before the welcome' });
    const other = await SmallAgent.connect(cluster.url, token);
    other.say(helloOf('n1'));
    t.match(
      await other.hear('rejected'),
      { reason: /^another host is node n1: / },
      'a name belongs to one host',
    );
    const evil = await SmallAgent.connect(cluster.url, token);
    evil.say(helloOf('../../etc'));
    t.match(await evil.closed, { code: 1008, reason: /^hello\.name: / }, 'a name is no path');

    const huge = await SmallAgent.join(cluster.url, token, 'odd', { counter: counter + 1 });
    huge.socket.send('x'.repeat(100 * MiB));
    t.match(await huge.closed, { code: 1009 }, '100 MB in one frame');
    const parts = await SmallAgent.join(cluster.url, token, 'odd', { counter: counter + 2 });
    for (let part = 0; part < 40; part += 1) parts.socket.send('x'.repeat(MiB / 16), { fin: false });
    t.match(await parts.closed, { code: 1009 }, 'a frame of many parts that never ends');

    const odd = await SmallAgent.join(cluster.url, token, 'odd', { counter: counter + 3 });
    odd.socket.send('[{"type":"from-the-future","x":[1]},{"type":"ping"}]');
    await odd.hear('pong');
    const content = Buffer.alloc(limits.logChunkBytesMax).toString('base64');
    for (let at = 0; at < 400; at += 1)
      odd.say({
        type: 'log',
        attempt: 'r99/x/odd#1',
        stream: 'stdout',
        offset: at * limits.logChunkBytesMax,
        base64: content,
      });
    odd.say({ type: 'result', number: 7, result: resultOf('r99/x/odd#1') });
    t.match(
      await odd.hear('ack-results'),
      { upTo: 7 },
      'what nobody asked for is taken note of, and no more',
    );
    const stale = (await cluster.events()).filter(({ type }) => type === 'StaleResultReported');
    t.match(stale, [{ node: 'odd', attempt: 'r99/x/odd#1' }]);
    odd.end();
  });
  await works('after nonsense on the websocket');

  await t.test(`${connectionCount} connections that come and go`, async (t) => {
    let left = connectionCount;
    let opened = 0;
    let putOff = 0;
    const knock = async (): Promise<void> => {
      for (; left > 0; ) {
        left -= 1;
        const socket = new WebSocket(`ws://127.0.0.1:${port}/agent`, {
          headers: { authorization: `Bearer ${token}` },
          perMessageDeflate: false,
        }).on('error', () => {});
        await once(socket, 'open').then(
          () => {
            opened += 1;
          },
          (error: unknown) => {
            if (/ 503$/.test(String(error))) putOff += 1;
          },
        );
        socket.terminate();
      }
    };
    await Promise.all(Array.from({ length: atOnce }, knock));
    t.equal(opened + putOff, connectionCount, 'each was let in, or told that it is not its turn');
    t.ok(opened > 0 && putOff > 0, `${opened} came in, ${putOff} were told`);
  });
  await stands('after many connections');

  await t.test('over HTTP', async (t) => {
    const problem = (answer: Answer, status: number, detail: string | RegExp, what: string): void => {
      t.equal(answer.headers.get('content-type'), 'application/problem+json', what);
      t.match({ status: answer.status, ...JSON.parse(answer.text) }, { status, detail }, what);
    };
    const post = (body: string): Promise<Answer> => cluster.request('POST', '/api/runs', body);
    const submission = (more: object): string =>
      JSON.stringify({ file: 'x', text: 'kind: pipeline', ...more });

    problem(await post('{"file": '), 400, 'Malformed JSON in request body', 'malformed JSON');
    problem(await post('[]'), 422, /^the request is not valid: /, 'another kind of JSON');
    problem(await post('{}'), 422, /^the request is not valid: file: .*; text: /, 'every fault is named');
    problem(await post('['.repeat(1_000_000)), 400, 'Malformed JSON in request body', 'nested without end');
    problem(
      await post(`"${'x'.repeat(20 * MiB)}"`),
      413,
      `the body of a request has at most ${limits.httpBodyBytesMax} bytes`,
      'a huge body',
    );
    problem(
      await cluster.request('DELETE', '/api/runs'),
      404,
      'there is no DELETE /api/runs; see /openapi.json',
      'a wrong method',
    );
    problem(
      await cluster.request('PUT', '/health', '{}'),
      404,
      /^there is no PUT \/health/,
      'a wrong method',
    );
    problem(
      await cluster.request('GET', '/api/runs', undefined, { authorization: 'Bearer x' }),
      401,
      /^the token is not known here/,
      'a stranger',
    );
    problem(
      await cluster.request('GET', '/api/runs', undefined, { authorization: `Bearer ${token}` }),
      403,
      /needs an operator token/,
      'an agent',
    );
    problem(await cluster.request('GET', '/api/runs?limit=1000000'), 400, /limit/, 'a page without bound');
    problem(
      await cluster.request('GET', '/api/runs?cursor=%0d%0aSet-Cookie:%20a=b'),
      400,
      /is not a cursor/,
      'a header in a cursor',
    );

    const endless = await raw(
      `POST /api/runs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${cluster.operatorToken}\r\n` +
        'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n',
    );
    for (let part = 0; part < 200; part += 1) endless.write(`40000\r\n${'x'.repeat(0x40000)}\r\n`);
    t.match(
      await heard(endless),
      /^HTTP\/1\.1 413 /,
      'a body that never ends and does not say how long it is',
    );

    const wrong = `sha256:${'0'.repeat(64)}`;
    problem(
      await cluster.request('PUT', `/blobs/${wrong}`, 'not that'),
      422,
      /^the content that was sent is sha256:/,
      'other content',
    );
    problem(await cluster.request('GET', `/blobs/${wrong}`), 404, /./, 'content that is not there');
    const claimed = await heard(
      await raw(
        `PUT /blobs/${wrong} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer ${token}\r\nContent-Length: ${300 * MiB}\r\n\r\n`,
      ),
    );
    t.match(claimed, /^HTTP\/1\.1 413 .*a blob has at most 268435456 bytes/s, 'more than a blob may have');

    for (const path of [
      '/blobs/sha256:../../operator.json',
      '/blobs/..%2f..%2foperator.json',
      '/blobs/../operator.json',
      '/api/runs/..%2f..%2foperator.json',
      '/api/runs/r1/logs?step=../../..&node=..',
      '//etc/passwd',
      '/%2e%2e/%2e%2e/operator.json',
    ]) {
      const text = await heard(
        await raw(
          `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer ${cluster.operatorToken}\r\n\r\n`,
        ),
      );
      t.notOk(text.includes(cluster.operatorToken), `${path} leads nowhere`);
      t.match(text, /^HTTP\/1\.1 (200|400|404) /);
    }
    const file = { digest: wrong, sizeBytes: 1, executable: true };
    for (const path of ['../x', '/etc/passwd', 'a/../../b', 'a\\b', './x', ''])
      problem(
        await post(submission({ bundle: { files: [{ path, ...file }] } })),
        422,
        'the request is not valid: bundle.files.0.path: not a relative path inside the bundle',
        `file ${path}`,
      );
    const text =
      'kind: pipeline\nname: x\nroles: { all: {} }\nsteps: [{ id: a, on: all, run: ./a.sh, files: [../../etc/passwd] }]\n';
    const beside = await post(submission({ text }));
    t.match(
      beside.text,
      '\\"../../etc/passwd\\" is not beside this file',
      'a file of the pipeline outside its folder',
    );
    const named = text.replace('../../etc/passwd', 'a.sh');
    const missing = submission({ text: named, bundle: { files: [{ path: 'a.sh', ...file }] } });
    t.match((await post(missing)).text, /"status":4\d\d.*a\.sh/, 'files that were never sent');

    const node = await cluster.request('GET', '/api/nodes/n1%0d%0aSet-Cookie:%20a=b');
    t.equal(node.status, 404);
    t.equal(node.headers.get('set-cookie'), null, 'nothing that was sent becomes a header');
    for (const headers of [
      'Content-Length: 4\r\nTransfer-Encoding: chunked',
      'Content-Length: 4\r\nContent-Length: 5',
      'X-A: b\nX-C: \u0000d',
      `X-Long: ${'x'.repeat(40_000)}`,
    ]) {
      const told = await heard(await raw(`POST /api/runs HTTP/1.1\r\nHost: x\r\n${headers}\r\n\r\n{}`));
      t.match(told, /^HTTP\/1\.1 4\d\d /, JSON.stringify(headers.slice(0, 60)));
    }
    t.match(await heard(await raw('\u0016\u0003\u0001 not HTTP at all\r\n\r\n')), /^HTTP\/1\.1 400 /);
  });
  await works('after nonsense over HTTP');

  t.match(await silent.closed, { code: 1008, reason: `no hello within ${limits.helloWaitMs} ms` });
  t.match(await slowRequest, /^HTTP\/1\.1 408 /, 'a request that never ends');
  for (const half of await halfFrames)
    t.match(half, /^HTTP\/1\.1 101 /, 'half a frame was let in, and sent away');
  await stands('at last');

  const peak = peakMegabytes(cluster.coordinatorPid);
  t.ok(peak < peakMegabytesMax, `the coordinator never had more than ${peak} MB`);
  const after = await cluster.events();
  t.strictSame(after.slice(0, acknowledged.length), acknowledged, 'nothing that was acknowledged is lost');
  const { host } = new URL(cluster.url);
  await cluster.endCoordinator('SIGKILL');
  await cluster.startCoordinator(host);
  t.strictSame((await cluster.events()).slice(0, after.length), after, 'also not when it is killed then');
  await cluster.nodesReady(['n1', 'n2']);
  await works('and it works again');
});
