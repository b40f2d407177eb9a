/** The agent behind a proxy: when it uses one, how, and what it says when the proxy does not do its part. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createServer } from 'node:tls';
import t, { type Test } from 'tap';
import { parseCoordinatorAddress } from '../../../agent/link/addresses.ts';
import { dialer } from '../../../agent/link/dial.ts';
import { proxyFor, readProxies } from '../../../agent/link/proxies.ts';
import { AgentProcess } from '../agent-process.ts';
import { CoordinatorDouble, jobOf } from '../coordinator-double.ts';
import { ConnectProxy } from './connect-proxy.ts';
import { join } from './relay.ts';

t.test('which proxy, by the variables that all programs go by', async (t) => {
  const through = (url: string, environment: Record<string, string>): string =>
    proxyFor(new URL(url), readProxies(environment))?.url.href ?? 'direct';
  const both = { HTTP_PROXY: 'http://plain:3128', HTTPS_PROXY: 'https://tls:3129' };
  t.equal(through('http://c:1', both), 'http://plain:3128/');
  t.equal(through('https://c:1', both), 'https://tls:3129/');
  t.equal(through('http://c:1', { HTTPS_PROXY: 'http://p:1' }), 'direct');
  t.equal(through('http://c:1', { HTTP_PROXY: 'http://big:1', http_proxy: 'small:2' }), 'http://small:2/');
  for (const url of ['http://localhost:1', 'http://127.3.2.1:1', 'http://[::1]:1'])
    t.equal(through(url, both), 'direct', `${url} is this host`);
  const cases: [string, string, boolean][] = [
    ['*', 'http://any:1', true],
    ['a.example, b.example', 'http://b.example:1', true],
    ['example.org', 'http://x.example.org:1', true],
    ['.example.org', 'http://x.example.org:1', true],
    ['*.example.org', 'http://x.example.org:1', true],
    ['example.org', 'http://badexample.org:1', false],
    ['example.org:7400', 'http://example.org:7400', true],
    ['example.org:7400', 'http://example.org:7401', false],
    ['10.0.0.0/8', 'http://10.1.2.3:1', true],
    ['10.0.0.0/8', 'http://11.1.2.3:1', false],
    ['10.0.0.7', 'http://10.0.0.7:1', true],
    ['10.0.0.7:7400', 'http://10.0.0.7:7400', true],
    ['fd00::/8', 'http://[fd00::7]:1', true],
    ['[fd00::7]:7400', 'http://[fd00::7]:7400', true],
    ['0.0.7', 'http://10.0.0.7:1', false],
    ['10.0.0.0/99', 'http://10.0.0.7:1', false],
  ];
  for (const [exceptions, url, isDirect] of cases)
    t.equal(through(url, { ...both, NO_PROXY: exceptions }) === 'direct', isDirect, `${exceptions}: ${url}`);
  t.equal(readProxies({ HTTP_PROXY: 'http://u%40d:p%3A@x' }).http?.authorization, `Basic ${btoa('u@d:p:')}`);
});

type Setting = {
  readonly coordinator: CoordinatorDouble;
  readonly proxy: ConnectProxy;
  readonly url: string;
};

/** A coordinator under a name that only the proxy knows. */
async function setting(t: Test): Promise<Setting> {
  const coordinator = await CoordinatorDouble.start();
  t.teardown(() => coordinator.stop());
  const proxy = await ConnectProxy.start(t);
  proxy.names.set('coordinator.test', '127.0.0.1');
  return { coordinator, proxy, url: `http://coordinator.test:${coordinator.port}` };
}

/** One each time, where a test has only one of its own. */
function folderOf(t: Test): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'lockstep-proxies-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function startAgent(t: Test, url: string, environment: Record<string, string>): AgentProcess {
  const words = ['run', '--coordinator', url, '--state', folderOf(t), '--name', 'n1'];
  const agent = new AgentProcess(words, environment);
  t.teardown(() => agent.end('SIGKILL'));
  return agent;
}

async function said(agent: AgentProcess, pattern: RegExp): Promise<string> {
  for (let wait = 0; wait < 600; wait += 1) {
    if (pattern.test(agent.output)) return agent.output;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`the agent never said ${pattern}: ${agent.output}`);
}

t.test('websocket and files go through a proxy with credentials, and jobs see nothing of it', async (t) => {
  const { coordinator, proxy, url } = await setting(t);
  proxy.credentials = 'edge:s3cret';
  const agent = startAgent(t, url, { HTTP_PROXY: `http://edge:s3cret@${proxy.address}` });
  await coordinator.pull();
  const content = Buffer.from('"from the store"');
  const digest = `sha256:${createHash('sha256').update(content).digest('hex')}`;
  coordinator.blobs.set(digest, content);
  coordinator.grant(
    jobOf(
      'r1/s/n1#1',
      'echo "$PARAM_TEXT"; env | grep -ci _proxy=; echo data >f; echo "f=f" >>"$LOCKSTEP_OUTPUT"',
      {
        inputs: { text: { blob: digest } },
        outputs: { f: { type: 'file', secret: false, optional: false } },
      },
    ),
  );
  t.match(await coordinator.result('r1/s/n1#1'), { outcome: 'succeeded', outputs: { f: /^sha256:/ } });
  t.equal((await coordinator.log('r1/s/n1#1')).toString(), 'from the store\n0\n');
  t.match(coordinator.requests, [`GET /blobs/${digest}`, /^PUT /]);
  t.ok(proxy.asked.length >= 2, `${proxy.asked}`);
  t.ok(proxy.asked.every((asked) => asked === `coordinator.test:${coordinator.port} edge:s3cret`));
  t.notMatch(agent.output, /s3cret/);
});

t.test('TLS through a proxy: the certificate is that of the coordinator', async (t) => {
  const { coordinator, proxy } = await setting(t);
  const folder = folderOf(t);
  const [key, certificate] = [path.join(folder, 'key.pem'), path.join(folder, 'certificate.pem')];
  const { status, stderr } = spawnSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=coordinator.test'],
      ...['-addext', 'subjectAltName=DNS:coordinator.test', '-keyout', key, '-out', certificate],
    ],
    { encoding: 'utf8' },
  );
  t.equal(status, 0, stderr);
  const server = createServer({ key: readFileSync(key), cert: readFileSync(certificate) }, (socket) =>
    join(socket, connect(coordinator.port, '127.0.0.1')),
  );
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  const environment = { HTTPS_PROXY: `http://${proxy.address}`, NODE_EXTRA_CA_CERTS: certificate };
  startAgent(t, `https://coordinator.test:${port}`, environment);
  await coordinator.pull();
  const outputs = { f: { type: 'file', secret: false, optional: false } } as const;
  coordinator.grant(jobOf('r1/s/n1#1', 'echo data >f; echo f=f >>"$LOCKSTEP_OUTPUT"', { outputs }));
  t.match(await coordinator.result('r1/s/n1#1'), { outcome: 'succeeded' });
  t.same([...new Set(proxy.asked)], [`coordinator.test:${port}`]);

  proxy.names.set('stranger.test', '127.0.0.1');
  const deceived = startAgent(t, `https://stranger.test:${port}`, environment);
  t.match(await said(deceived, /cannot link/), /stranger\.test\. is not in the cert's altnames/);
});

t.test('NO_PROXY leads past it', async (t) => {
  const { coordinator, proxy } = await setting(t);
  const environment = { HTTP_PROXY: `http://${proxy.address}`, NO_PROXY: '0.0.0.0' };
  // Leads to loopback and is not counted as it.
  startAgent(t, `http://0.0.0.0:${coordinator.port}`, environment);
  await coordinator.pull();
  t.same(proxy.asked, []);
});

t.test('a proxy that refuses, and one that is not there, are named', async (t) => {
  const { proxy, url } = await setting(t);
  proxy.credentials = 'edge:other';
  const refused = startAgent(t, url, { http_proxy: `http://edge:s3cret@${proxy.address}` });
  t.match(
    await said(refused, /cannot link/),
    /the proxy http:\/\/127\.0\.0\.1:[0-9]+ does not connect to coordinator\.test:[0-9]+: HTTP 407 Proxy Authentication Required; user and password go into its URL/,
  );
  t.notMatch(refused.output, /s3cret/);
  const absent = startAgent(t, url, { http_proxy: 'http://127.0.0.1:1' });
  t.match(
    await said(absent, /cannot link/),
    /cannot use the proxy http:\/\/127\.0\.0\.1:1: connect ECONNREFUSED/,
  );
});

t.test('a proxy that hangs is given up, and another coordinator tried', async (t) => {
  const { coordinator, proxy, url } = await setting(t);
  proxy.hangs = true;
  const environment = { http_proxy: `http://${proxy.address}` };
  const agent = startAgent(t, `${url},${coordinator.url}`, environment);
  await coordinator.pull();
  t.match(agent.output, /the proxy http:\/\/127\.0\.0\.1:[0-9]+ did not answer within [0-9]+ ms/);
});

t.test('a tunnel ends with the one who wanted it', async (t) => {
  const { proxy, url } = await setting(t);
  proxy.hangs = true;
  const dial = dialer(readProxies({ http_proxy: `http://${proxy.address}` }));
  const giveUp = new AbortController();
  const dialing = dial(parseCoordinatorAddress(url), 60_000, giveUp.signal);
  giveUp.abort();
  await t.rejects(dialing);
});
