/** The doctor meets real TLS servers, and says of their certificates what a client would say, and what to do. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer as createPlainServer } from 'node:net';
import path from 'node:path';
import { createServer, type TlsOptions } from 'node:tls';
import t, { type Test } from 'tap';
import { checkCertificates } from '../../../coordinator/doctor/certificate-check.ts';
import { type Ended, start } from '../cli/command.ts';
import { TestCoordinator } from '../coordinator-in-process.ts';

const folder = t.testdir({});
const at = (name: string): string => path.join(folder, name);
const openssl = (...words: string[]): unknown => execFileSync('openssl', words, { stdio: 'pipe' });
const days = (count: number): string =>
  `${new Date(Date.now() + count * 86_400_000).toISOString().replaceAll(/[-:T]/g, '').slice(0, 14)}Z`;

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
openssl(
  'req',
  '-x509',
  ...newKey,
  '-keyout',
  at('ca.key'),
  '-out',
  at('ca.pem'),
  '-subj',
  '/CN=Test CA',
  '-days',
  '400',
);

writeFileSync(at('index.txt'), '');
writeFileSync(
  at('ca.conf'),
  `[ca]
default_ca = test
[test]
dir = ${folder}
new_certs_dir = ${folder}
database = ${at('index.txt')}
rand_serial = yes
default_md = sha256
unique_subject = no
policy = anything
[anything]
commonName = supplied
`,
);

/** A certificate of the test's CA, valid from so many days on until so many. */
function certificate(names: string, from: number, to: number): Pick<TlsOptions, 'key' | 'cert'> {
  openssl('req', ...newKey, '-keyout', at('key'), '-out', at('csr'), '-subj', '/CN=lockstep');
  writeFileSync(at('extensions'), `subjectAltName=${names}`);
  openssl(
    ...['ca', '-batch', '-config', at('ca.conf'), '-cert', at('ca.pem'), '-keyfile', at('ca.key'), '-notext'],
    ...['-extfile', at('extensions'), '-startdate', days(from), '-enddate', days(to)],
    ...['-in', at('csr'), '-out', at('cert')],
  );
  return { key: readFileSync(at('key')), cert: readFileSync(at('cert')) };
}

async function serve(t: Test, options: TlsOptions): Promise<string> {
  const server = createServer(options, (socket) => socket.end());
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return `https://localhost:${portOf(server.address())}`;
}

const portOf = (address: AddressInfo | string | null): number => {
  if (address === null || typeof address === 'string') throw new Error('not listening');
  return address.port;
};

async function told(...addresses: string[]): Promise<string[]> {
  const lines: string[] = [];
  for await (const one of checkCertificates({ addresses }))
    lines.push(typeof one === 'string' ? `ok ${one}` : `${one.what} → ${one.remedy}`);
  return lines;
}

t.test('what is wrong with a certificate', async (t) => {
  const untrusted = /is not trusted here: UNABLE_TO_VERIFY_LEAF_SIGNATURE → .*NODE_EXTRA_CA_CERTS/;
  const here = 'DNS:localhost';
  const cases: readonly (readonly [string, string, number, number, RegExp])[] = [
    ['fresh', here, -1, 100, /^ok that of https:\/\/localhost:\d+ is valid until \d{4}-\d\d-\d\d$/],
    ['soon', here, -80, 5.5, /expires on \d{4}-\d\d-\d\d, in 5 days → renew it/],
    ['expired', here, -80, -2, /has expired on .* → renew it; .*clock is ahead/],
    ['early', here, 2, 80, /is not valid before .* → set this machine's clock if it is behind/],
  ];
  for (const [what, names, from, to, dates] of cases) {
    const [first, ...rest] = await told(await serve(t, certificate(names, from, to)));
    t.match(first, dates, what);
    // The CA of the test is nobody's; OpenSSL tells of that only when the dates are right.
    t.match(rest, to < 0 || from > 0 ? [] : [untrusted], what);
    t.equal(rest.length, to < 0 || from > 0 ? 0 : 1, what);
  }
});

t.test('who is not there, and who does not speak TLS', async (t) => {
  const plain = createPlainServer((socket) => {
    socket.on('error', () => undefined);
    socket.end('HTTP/1.1 400 Bad\r\n\r\n');
  });
  plain.listen(0, '127.0.0.1');
  await once(plain, 'listening');
  t.teardown(() => plain.close());
  t.match(await told(`https://localhost:${portOf(plain.address())}`), [
    /^no TLS connection to \S+ what answers there does not speak TLS → see whether the proxy there runs/,
  ]);
  const gone = createPlainServer().listen(0, '127.0.0.1');
  await once(gone, 'listening');
  const port = portOf(gone.address());
  gone.close();
  await once(gone, 'close');
  t.match(await told(`https://localhost:${port}`), [/^no TLS connection to /]);
  t.match(await told(), [/^ok none looked at: name the https addresses/]);
});

t.test('an old version of TLS', async (t) => {
  const old: TlsOptions = { maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' };
  const lines = await told(await serve(t, { ...certificate('DNS:localhost', -1, 100), ...old }));
  // Whether this machine's library speaks it at all is its own matter; then the handshake says that it cannot be.
  t.match(
    lines.at(-1),
    /speaks TLSv1\.1 → let it speak TLS 1\.3|^no TLS connection to \S+ the handshake failed with ERR_SSL_/,
  );
});

t.test('the command, with a trusted CA and a wrong name', async (t) => {
  const coordinator = await TestCoordinator.start(t);
  const good = await serve(t, certificate('DNS:localhost', -1, 100));
  const other = await serve(t, certificate('DNS:lockstep.example.org,IP:192.0.2.1', -1, 100));
  const doctor = (environment: Record<string, string>, ...words: string[]): Promise<Ended> =>
    start(['doctor', '--data', coordinator.data, '-o', 'json', ...words], {
      NODE_EXTRA_CA_CERTS: at('ca.pem'),
      ...environment,
    }).ended;
  const certificatesIn = ({ stdout }: Ended): { findings: { what: string }[]; notes: string[] } =>
    JSON.parse(stdout).checks.find(({ check }: { check: string }) => check === 'certificates');
  t.match(certificatesIn(await doctor({}, '--address', good)), { findings: [], notes: [/is valid until/] });
  t.match(certificatesIn(await doctor({ LOCKSTEP_URL: good })), { findings: [], notes: [/is valid until/] });
  const wrong = certificatesIn(await doctor({}, '--address', good, '--address', other));
  t.match(wrong.findings, [{ what: /is for lockstep\.example\.org, 192\.0\.2\.1$/ }]);
  t.equal(wrong.findings.length, 1);
  const refused = await doctor({}, '--address', 'http://localhost');
  t.equal(refused.exitCode, 2);
  t.match(refused.stderr, /--address http:\/\/localhost: it is not a URL like https:/);
});
