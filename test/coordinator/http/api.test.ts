/** The API as its clients meet it: who may ask, what is refused in which words, pages, conditions, blobs. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import t from 'tap';
import * as z from 'zod';
import * as resources from '../../../coordinator/http/resources.ts';
import { limits } from '../../../shared/limits.ts';
import { TestCoordinator } from '../coordinator-in-process.ts';
import { SmallAgent } from '../small-agent.ts';

const digestOf = (bytes: Uint8Array | string): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

t.test('who may ask', async (t) => {
  const coordinator = await TestCoordinator.start(t);
  const asked = (path: string, authorization?: string): Promise<Response> =>
    fetch(`${coordinator.url}${path}`, authorization === undefined ? {} : { headers: { authorization } });
  for (const path of ['/health', '/metrics', '/openapi.json', '/schema/pipeline.json'])
    t.equal((await asked(path)).status, 200, `${path} needs no token`);
  const stranger = await asked('/api/nodes');
  t.equal(stranger.status, 401);
  t.equal(stranger.headers.get('www-authenticate'), 'Bearer');
  t.equal(stranger.headers.get('content-type'), 'application/problem+json');
  t.match(await stranger.json(), { code: 'unauthorized', status: 401, retryable: false });
  const join = `Bearer ${await coordinator.joinToken()}`;
  t.equal((await asked('/api/nodes', join)).status, 403, 'agents see no nodes');
  t.equal((await asked(`/blobs/${digestOf('x')}`, join)).status, 404, 'but may fetch blobs');
  t.match(await (await asked('/metrics')).text(), /^lockstep_seq \d+$/m);

  const soon = new Date(Date.now() + 400).toISOString();
  const { token, id } = await coordinator.post(resources.tokenCreated, '/api/tokens', {
    kind: 'operator',
    expiresAt: soon,
  });
  t.equal((await asked('/api/nodes', `Bearer ${token}`)).status, 200);
  await new Promise((resolve) => setTimeout(resolve, 600));
  t.equal((await asked('/api/nodes', `Bearer ${token}`)).status, 401, 'an expired token is of no use');
  const { items } = await coordinator.get(resources.tokenList, '/api/tokens');
  t.same(
    items.map(({ kind }) => kind),
    ['operator', 'join', 'operator'],
  );
  t.equal(items.find((each) => each.id === id)?.expiresAt, soon);
  t.notMatch(JSON.stringify(items), token.split('.')[1] ?? '', 'a secret is shown once');
  t.match(await coordinator.refused('POST', '/api/tokens', { expiresAt: '2001-01-01T00:00:00Z' }), {
    code: 'invalid',
  });
  t.match(await coordinator.refused('DELETE', '/api/tokens/nobody'), { code: 'not-found' });
});

t.test('what is refused, and how', async (t) => {
  const coordinator = await TestCoordinator.start(t);
  t.match(await coordinator.refused('GET', '/api/nothing'), {
    code: 'not-found',
    detail: /no GET \/api\/nothing/,
  });
  t.match(await coordinator.refused('GET', '/nothing'), { code: 'not-found' });
  t.match(await coordinator.refused('GET', '/api/nodes?limit=0'), {
    code: 'usage',
    status: 400,
    detail: /limit/,
  });
  t.match(await coordinator.refused('GET', '/api/nodes?limit=5000'), { code: 'usage' });
  t.match(await coordinator.refused('GET', '/api/nodes?cursor=x'), { code: 'usage', detail: /not a cursor/ });
  t.match(await coordinator.refused('GET', '/api/nodes?where=labels.('), {
    code: 'invalid',
    detail: /where .* character/,
  });
  t.match(await coordinator.refused('GET', '/api/nodes?where=facts.memroy.totalBytes>1'), {
    code: 'invalid',
    detail: /memroy/,
  });
  t.match(await coordinator.refused('GET', '/api/nodes/n9'), {
    code: 'not-found',
    detail: /no node is named n9/,
  });
  t.match(await coordinator.refused('GET', '/api/runs/r9'), { code: 'not-found' });
  t.match(await coordinator.refused('POST', '/api/runs', { file: 'x' }), {
    code: 'invalid',
    detail: /text: /,
  });
  const malformed = await fetch(`${coordinator.url}/api/runs`, {
    method: 'POST',
    headers: { authorization: `Bearer ${coordinator.token}`, 'content-type': 'application/json' },
    body: '{"file":',
  });
  t.equal(malformed.status, 400);
  t.match(await malformed.json(), { code: 'usage' });
  const long = { file: 'x', text: 'x'.repeat(limits.httpBodyBytesMax) };
  t.match(await coordinator.refused('POST', '/api/runs', long), { code: 'too-large', status: 413 });
  t.equal((await coordinator.ask('GET', '/health')).status, 200, 'and goes on');

  const { port } = new URL(coordinator.url);
  const socket = connect(Number(port), '127.0.0.1');
  socket.write(
    `POST /api/runs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${coordinator.token}\r\n` +
      'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n',
  );
  socket.on('error', () => {});
  let answer = '';
  socket.on('data', (bytes) => {
    answer += bytes;
  });
  const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`;
  for (let sent = 0; sent < 3 * limits.httpBodyBytesMax && answer === '' && !socket.destroyed; sent += 65_536)
    if (!socket.write(chunk))
      await Promise.race([once(socket, 'drain'), once(socket, 'data'), once(socket, 'close')]);
  for (let wait = 0; wait < 100 && answer === ''; wait += 1)
    await new Promise((resolve) => setTimeout(resolve, 20));
  t.match(answer, /^HTTP\/1.1 413/, 'nor does a body without a length pass the bound');
  socket.destroy();
});

t.test('nodes, by pages', async (t) => {
  const coordinator = await TestCoordinator.start(t);
  const token = await coordinator.joinToken();
  const names = Array.from({ length: 7 }, (_, index) => `n${index + 1}`);
  for (const name of names) await SmallAgent.join(coordinator.url, token, name, { labels: { rack: 'a' } });
  const seen: string[] = [];
  let pages = 0;
  for (let cursor = ''; ; pages += 1) {
    const page = await coordinator.get(resources.nodePage, `/api/nodes?limit=3&facts=false${cursor}`);
    seen.push(...page.items.map(({ name }) => name));
    t.notOk(
      page.items.some((node) => 'facts' in node),
      'without facts when they are not wanted',
    );
    if (page.next === null) break;
    cursor = `&cursor=${page.next}`;
  }
  t.same(seen, names);
  t.equal(pages, 2);

  const changed = await coordinator.ask('PATCH', '/api/nodes/n1/labels', {
    labels: { use: 'etcd', 'a/b': 'c' },
  });
  t.match(JSON.parse(changed.text), { name: 'n1', labels: { rack: 'a', use: 'etcd', 'a/b': 'c' } });
  const matched = await coordinator.get(
    resources.nodePage,
    `/api/nodes?where=${encodeURIComponent('labels.use == "etcd"')}`,
  );
  t.same(
    matched.items.map(({ name }) => name),
    ['n1'],
  );
  await coordinator.ask('PATCH', '/api/nodes/n1/labels', { labels: { use: null, platform: 'metal' } });
  const node = await coordinator.get(resources.node, '/api/nodes/n1');
  t.match(node, { labels: { use: undefined }, platform: 'metal', state: 'ready', facts: null });
  t.match(await coordinator.refused('PATCH', '/api/nodes/n1/labels', { labels: { '-': 'x' } }), {
    code: 'invalid',
  });

  const cordoned = await coordinator.ask('POST', '/api/nodes/n2/administration', {
    administration: 'cordoned',
    reason: 'disk',
  });
  t.match(JSON.parse(cordoned.text), { state: 'cordoned', administrationReason: 'disk' });
  const why = await coordinator.get(resources.explanations, '/api/nodes/n2/why');
  t.match(why.items, [{ node: 'n2', sentence: /cordoned/ }]);
  t.match(await coordinator.refused('DELETE', '/api/nodes/n3'), { code: 'conflict', detail: /connected/ });
});

t.test('a read says which seq it saw', async (t) => {
  const coordinator = await TestCoordinator.start(t);
  const first = await coordinator.ask('GET', '/api/nodes');
  const etag = first.headers.get('etag') ?? '';
  t.match(first.headers.get('lockstep-seq'), /^\d+$/);
  const same = await coordinator.ask('GET', '/api/nodes', undefined, { 'if-none-match': etag });
  t.equal(same.status, 304);
  await coordinator.joinToken();
  const later = await coordinator.ask('GET', '/api/nodes', undefined, { 'if-none-match': etag });
  t.equal(later.status, 200);
  t.equal(Number(later.headers.get('lockstep-seq')), Number(first.headers.get('lockstep-seq')) + 1);
});

t.test('params of clusters and nodes', async (t) => {
  const coordinator = await TestCoordinator.start(t);
  await SmallAgent.join(coordinator.url, await coordinator.joinToken(), 'n1', {
    labels: { cluster: 'blue' },
  });
  const put = (body: unknown): Promise<{ status: number }> => coordinator.ask('PUT', '/api/params', body);
  t.equal((await put({ cluster: 'blue', name: 'mtu', value: 1500 })).status, 204);
  t.equal((await put({ node: 'n1', name: 'mtu', value: 9000 })).status, 204);
  t.equal((await put({ cluster: 'blue', name: 'key', value: 'hunter2-hunter2', secret: true })).status, 204);
  const list = await coordinator.ask('GET', '/api/params?cluster=blue');
  t.same(JSON.parse(list.text).items, [
    { scope: { cluster: 'blue' }, name: 'mtu', value: 1500, secret: false },
    { scope: { cluster: 'blue' }, name: 'key', value: '(secret)', secret: true },
  ]);
  t.equal((await coordinator.get(resources.paramList, '/api/params')).items.length, 3);
  const effective = await coordinator.get(resources.effectiveParams, '/api/nodes/n1/params');
  t.match(effective.items, [
    { name: 'key', value: '(secret)', layer: 'cluster' },
    {
      name: 'mtu',
      value: 9000,
      layer: 'node',
      layers: [
        { layer: 'cluster', value: 1500 },
        { layer: 'node', value: 9000 },
      ],
    },
  ]);
  t.equal((await coordinator.ask('DELETE', '/api/params?node=n1&name=mtu')).status, 204);
  t.match(await coordinator.refused('DELETE', '/api/params?node=n1&name=mtu'), { code: 'not-found' });
  t.match(
    await coordinator.refused('PUT', '/api/params', { node: 'n1', cluster: 'blue', name: 'x', value: 1 }),
    { code: 'usage' },
  );
  t.match(await coordinator.refused('PUT', '/api/params', { node: 'n9', name: 'x', value: 1 }), {
    code: 'not-found',
  });
  t.match(await coordinator.refused('PUT', '/api/params', { name: 'x' }), {
    code: 'invalid',
    detail: /value/,
  });
  const events = (await coordinator.ask('GET', '/api/events')).text;
  t.notMatch(events, 'hunter2', 'a secret is in no event');
  t.notMatch(events, /[0-9a-f]{64}/, 'nor is the hash of a token');
});

t.test('blobs by digest', async (t) => {
  const coordinator = await TestCoordinator.start(t);
  const bytes = Buffer.alloc(1_000_000, 'abcdefghij');
  const digest = digestOf(bytes);
  const missing = await coordinator.post(resources.digests, '/blobs/missing', { digests: [digest] });
  t.same(missing.digests, [digest]);
  const put = (name: string, content: Uint8Array): Promise<{ status: number; text: string }> =>
    coordinator.ask('PUT', `/blobs/${name}`, content);
  t.equal((await put(digest, bytes)).status, 204);
  t.equal((await put(digest, bytes)).status, 200, 'the same again changes nothing');
  t.same((await coordinator.post(resources.digests, '/blobs/missing', { digests: [digest] })).digests, []);
  t.match(await coordinator.refused('PUT', `/blobs/${digestOf('other')}`, bytes), {
    code: 'invalid',
    detail: /content that was sent is/,
  });
  t.match(await coordinator.refused('PUT', '/blobs/sha256:xyz', bytes), { code: 'usage' });
  t.match(await coordinator.refused('GET', `/blobs/${digestOf('other')}`), { code: 'not-found' });

  const whole = await coordinator.open('GET', `/blobs/${digest}`);
  t.equal(whole.headers.get('content-length'), '1000000');
  t.equal(digestOf(new Uint8Array(await whole.arrayBuffer())), digest);
  const part = async (range: string): Promise<unknown[]> => {
    const answer = await coordinator.ask('GET', `/blobs/${digest}`, undefined, { range });
    return [answer.status, answer.headers.get('content-range'), answer.status === 206 ? answer.text : ''];
  };
  t.same(await part('bytes=10-14'), [206, 'bytes 10-14/1000000', 'abcde']);
  t.same(await part('bytes=-3'), [206, 'bytes 999997-999999/1000000', 'hij']);
  t.same(await part('bytes=999998-'), [206, 'bytes 999998-999999/1000000', 'ij']);
  t.same(await part('bytes=1000000-'), [416, 'bytes */1000000', '']);
  t.same((await part('bytes=5-2'))[0], 200, 'a range that means nothing is ignored');
  t.equal(
    (await coordinator.ask('GET', `/blobs/${digest}`, undefined, { 'if-none-match': `"${digest}"` })).status,
    304,
  );
  const empty = digestOf('');
  t.equal((await put(empty, new Uint8Array())).status, 204, 'nothing is content too');
  t.equal((await coordinator.ask('GET', `/blobs/${empty}`)).text, '');
});

t.test('the API describes itself, and the table of its routes is complete', async (t) => {
  const coordinator = await TestCoordinator.start(t);
  const document = z
    .object({ openapi: z.string(), paths: z.record(z.string(), z.record(z.string(), z.unknown())) })
    .parse(await (await fetch(`${coordinator.url}/openapi.json`)).json());
  const described = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  const source = readFileSync(new URL('../../../coordinator/http/resources.ts', import.meta.url), 'utf8');
  const table = [...source.matchAll(/^ \* {3}(GET|POST|PUT|PATCH|DELETE) +(\S+)/gm)].map(
    ([, method, path]) => `${method} ${path?.replace(/:(\w+)/g, '{$1}')}`,
  );
  const elsewhere = ['GET /metrics', 'GET /openapi.json', 'GET /schema/pipeline.json', 'GET /agent'];
  t.same(described.toSorted(), table.filter((route) => !elsewhere.includes(route)).toSorted());
});
