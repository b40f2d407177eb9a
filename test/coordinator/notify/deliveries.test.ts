/** Each way to a receiver against real servers and programs, well-behaved and not. */
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { deliver } from '../../../coordinator/notify/deliver.ts';
import { mailOf } from '../../../coordinator/notify/mail.ts';
import { type Message, messageOf, testNotification } from '../../../coordinator/notify/message.ts';
import { post, signatureOf } from '../../../coordinator/notify/webhook.ts';
import { WebhookReceiver } from './webhook-receiver.ts';

const folder = mkdtempSync(join(tmpdir(), 'lockstep-notify-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const message = messageOf('lineage:7/chat', 'chat', testNotification('chat', 1_000));
const never = new AbortController().signal;
const key = 'a-key-of-some-length';

t.test('a webhook: what comes, and what every answer means', async (t) => {
  const receiver = await WebhookReceiver.open(t);
  const webhook = { url: receiver.url, key };
  t.same(await post(webhook, message, never), { ok: true });
  const [got] = receiver.received;
  t.equal(got?.path, '/hooks/token-of-the-url');
  t.equal(got?.body, message.body);
  t.match(got?.headers, {
    'content-type': 'application/json',
    'lockstep-delivery': 'lineage:7/chat',
    'lockstep-kind': 'held',
    'lockstep-timestamp': /^\d{10}$/,
  });
  const signature = signatureOf(key, Number(got?.headers['lockstep-timestamp']), message.body);
  t.equal(got?.headers['lockstep-signature'], `v1=${signature}`);
  t.not(
    signature,
    signatureOf('another-key-of-some-length', Number(got?.headers['lockstep-timestamp']), message.body),
  );

  receiver.next.push(204, 500, 503, 429, 400, 404, 302, 'close-before', 'close-within');
  const results = [];
  for (let index = 0; index < 9; index += 1) results.push(await post(webhook, message, never));
  t.match(results, [
    { ok: true },
    { ok: false, refused: false, reason: 'it answered 500' },
    { ok: false, refused: false },
    { ok: false, refused: false, reason: 'it answered 429' },
    { ok: false, refused: true, reason: 'it answered 400' },
    { ok: false, refused: true },
    { ok: false, refused: true, reason: /302, and redirects are not followed/ },
    { ok: false, refused: false },
    { ok: false, refused: false },
  ]);
  t.notMatch(JSON.stringify(results), 'token-of-the-url');

  receiver.next.push('silence');
  const impatient = new AbortController();
  const waiting = post(webhook, message, impatient.signal);
  await receiver.count(11);
  impatient.abort();
  t.match(
    await waiting,
    { ok: false, refused: false },
    'and one that says nothing is not waited for for ever',
  );

  await receiver.close();
  t.match(await post(webhook, message, never), { ok: false, refused: false, reason: /ECONNREFUSED/ });
});

t.test('what is no HTTP at all', async (t) => {
  const server = createServer((socket) => socket.end('220 mail.example ESMTP\r\n'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  t.match(await post({ url: `http://127.0.0.1:${port}/`, key }, message, never), {
    ok: false,
    refused: false,
  });
});

const program = (name: string, text: string): string => {
  const file = join(folder, name);
  writeFileSync(file, `#!/bin/sh\n${text}\n`);
  chmodSync(file, 0o755);
  return file;
};
const means = { programsFolder: folder, sendmail: join(folder, 'sendmail'), secret: () => '' };
const byCommand = (name: string, signal = never) =>
  deliver({ kind: 'command', program: name }, message, means, signal);

t.test('a program', async (t) => {
  process.env.LOCKSTEP_API_TOKEN = 'not-for-programs';
  t.teardown(() => {
    delete process.env.LOCKSTEP_API_TOKEN;
  });
  const out = join(folder, 'out');
  program('page.sh', `cat >${out}; env >${out}.env`);
  t.same(await byCommand('page.sh'), { ok: true });
  t.match(JSON.parse(readFileSync(out, 'utf8')), {
    id: 'lineage:7/chat',
    kind: 'held',
    text: /lockstep notify list/,
  });
  const environment = readFileSync(`${out}.env`, 'utf8');
  t.match(environment, /^LOCKSTEP_NOTIFICATION_KIND=held$/m);
  t.notMatch(environment, 'not-for-programs');

  program('fails.sh', 'echo first >&2; echo "no modem" >&2; exit 7');
  t.match(await byCommand('fails.sh'), {
    ok: false,
    refused: false,
    reason: /fails\.sh exited with 7: no modem$/,
  });
  program('deaf.sh', 'exec 0<&-; exit 0');
  t.same(await byCommand('deaf.sh'), { ok: true }, 'one that does not listen has its own reasons');
  t.match(await byCommand('absent.sh'), { ok: false, reason: /absent\.sh cannot be started/ });
  for (const name of ['../page.sh', '/bin/true', '.hidden'])
    t.match(await byCommand(name), { ok: false, refused: true, reason: /is not the name of a file/ });

  const pid = join(folder, 'pid');
  program('hangs.sh', `sleep 1000 & echo $! >${pid}.part; mv ${pid}.part ${pid}; wait`);
  const end = new AbortController();
  const hanging = byCommand('hangs.sh', end.signal);
  while (!existsSync(pid)) await new Promise((resolve) => setTimeout(resolve, 10));
  end.abort();
  t.match(await hanging, { ok: false, reason: /was ended by SIGKILL/ });
  const left = Number(readFileSync(pid, 'utf8'));
  const isGone = () => {
    try {
      // A zombie that nobody has buried yet is gone, too.
      return /^State:\s+Z/m.test(readFileSync(`/proc/${left}/status`, 'utf8'));
    } catch {
      return true;
    }
  };
  while (!isGone()) await new Promise((resolve) => setTimeout(resolve, 10));
  t.pass('what it had started is ended with it');
});

t.test('a mail', async (t) => {
  const out = join(folder, 'mail');
  program('sendmail', `echo "$@" >${out}.args; cat >${out}`);
  const target = { kind: 'mail', to: ['ops@example.org', 'night@example.org'] } as const;
  t.same(await deliver(target, message, means, never), { ok: true });
  t.equal(readFileSync(`${out}.args`, 'utf8'), '-t -i\n');
  const [head = '', body = ''] = readFileSync(out, 'utf8').split('\n\n');
  t.match(head, /^To: ops@example\.org, night@example\.org$/m);
  t.match(head, /^Subject: \[lockstep\] This is a test of the receiver chat: nothing is held\.$/m);
  t.match(head, /^Message-ID: <lineage\.7\.chat@lockstep>$/m);
  t.equal(Buffer.from(body, 'base64').toString(), message.text);
  const tricky: Message = { ...message, subject: `Größe\nBcc: all@example.org ${'ü'.repeat(60)}` };
  const subject = /^Subject: ((?:.*\n )*.*)$/m.exec(mailOf(tricky, target.to, new Date(0)))?.[1] ?? '';
  t.notMatch(mailOf(tricky, target.to, new Date(0)), /^Bcc/m);
  const words = subject.split('\n ').map((word) => /^=\?utf-8\?B\?(.*)\?=$/.exec(word)?.[1] ?? '?');
  t.ok(words.length > 1);
  t.equal(
    words.map((word) => Buffer.from(word, 'base64').toString()).join(''),
    `Größe Bcc: all@example.org ${'ü'.repeat(60)}`,
  );
});
