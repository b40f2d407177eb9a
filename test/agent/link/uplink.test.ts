/** A narrow uplink: what waits, what never does, how much passes, and that broken uploads go on. */
import { createHash, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { parseCoordinatorAddress } from '../../../agent/link/addresses.ts';
import { BlobTransfer } from '../../../agent/link/blob-transfer.ts';
import { dialer } from '../../../agent/link/dial.ts';
import { readProxies } from '../../../agent/link/proxies.ts';
import { TokenBucket, Uplink } from '../../../agent/link/uplink.ts';
import { AgentProcess } from '../agent-process.ts';
import { CoordinatorDouble, jobOf } from '../coordinator-double.ts';
import { Relay } from './relay.ts';

t.test('a bucket holds a second, and may be in debt', async (t) => {
  const bucket = new TokenBucket(1_000, 50);
  t.equal(bucket.waitMs(50), 0);
  bucket.spend(1_500, 50);
  t.equal(bucket.waitMs(50), 501, 'until it is out of debt');
  t.equal(bucket.waitMs(550), 1);
  t.equal(bucket.waitMs(551), 0);
  bucket.spend(1_001, 100_000);
  t.equal(bucket.waitMs(100_000), 2, 'a long rest gives no more than a second');
});

t.test('pieces are short where the link is narrow, and files go before logs', async (t) => {
  t.equal(new Uplink(null).pieceBytesMax, 65_536);
  t.equal(new Uplink(65_536).pieceBytesMax, 8_192);
  t.equal(new Uplink(1_024 ** 3).pieceBytesMax, 65_536);
  const uplink = new Uplink(1_000_000);
  t.equal(uplink.logWaitMs(), 0);
  uplink.count(1_200_000);
  const file = uplink.forFile(100_000, new AbortController().signal);
  t.ok(uplink.logWaitMs() > 0);
  await file;
  t.ok(uplink.logWaitMs() > 0, 'the file has to be paid for first');
});

type Narrow = { readonly coordinator: CoordinatorDouble; readonly relay: Relay };

async function behindNarrowLink(t: Test, environment: Record<string, string>): Promise<Narrow> {
  const coordinator = await CoordinatorDouble.start();
  t.teardown(() => coordinator.stop());
  const relay = await Relay.start(t, coordinator.port);
  const words = ['run', '--coordinator', relay.url, '--state', t.testdir({}), '--name', 'n1'];
  const agent = new AgentProcess(words, environment);
  t.teardown(() => agent.end('SIGKILL'));
  await coordinator.pull();
  return { coordinator, relay };
}

const logLength = (coordinator: CoordinatorDouble, attempt: string): number =>
  coordinator.logs.get(`${attempt} stdout`)?.length ?? 0;

t.test('the result comes at once, the log within the budget', async (t) => {
  const { coordinator, relay } = await behindNarrowLink(t, { LOCKSTEP_UPLINK: '64k' });
  const attempt = 'r1/s/n1#1';
  const begunAt = performance.now();
  const bytesBefore = relay.upBytes;
  coordinator.grant(jobOf(attempt, 'head -c 1048576 /dev/zero | tr "\\0" x'));
  t.match(await coordinator.result(attempt), { outcome: 'succeeded', logs: { stdout: 1_048_576 } });
  t.ok(
    logLength(coordinator, attempt) < 524_288,
    `${logLength(coordinator, attempt)} bytes of log before it`,
  );
  await coordinator.until('some of the log', () => logLength(coordinator, attempt) > 320_000);
  const seconds = (performance.now() - begunAt) / 1_000;
  const sent = relay.upBytes - bytesBefore;
  t.ok(sent <= 65_536 * (seconds + 1.5), `${sent} bytes in ${seconds} s`);
  t.ok(sent >= 65_536 * (seconds - 1.5) * 0.8, `the budget is used: ${sent} bytes in ${seconds} s`);
});

t.test('files go before logs, and the log is whole in the end', async (t) => {
  const { coordinator, relay } = await behindNarrowLink(t, { LOCKSTEP_UPLINK: '256k' });
  const attempt = 'r1/s/n1#1';
  const text =
    'head -c 1048576 /dev/zero | tr "\\0" x; head -c 300000 /dev/urandom >f; echo f=f >>"$LOCKSTEP_OUTPUT"';
  const outputs = { f: { type: 'file', secret: false, optional: false } } as const;
  const begunAt = performance.now();
  coordinator.grant(jobOf(attempt, text, { outputs }));
  t.match(await coordinator.result(attempt), { outcome: 'succeeded' });
  t.equal([...coordinator.blobs.values()][0]?.length, 300_000);
  t.ok(
    logLength(coordinator, attempt) < 900_000,
    `${logLength(coordinator, attempt)} bytes of log before it`,
  );
  t.equal((await coordinator.log(attempt)).length, 1_048_576);
  const seconds = (performance.now() - begunAt) / 1_000;
  t.ok(relay.upBytes <= 262_144 * (seconds + 1.5), `${relay.upBytes} bytes in ${seconds} s`);
});

t.test('an upload that broke goes on where it broke', async (t) => {
  const coordinator = await CoordinatorDouble.start();
  t.teardown(() => coordinator.stop());
  const content = randomBytes(1_000_000);
  const digest = `sha256:${createHash('sha256').update(content).digest('hex')}`;
  const file = path.join(t.testdir({}), 'content');
  writeFileSync(file, content);
  coordinator.breakUploadsAfter = [400_000, 300_000];
  const transfer = new BlobTransfer({
    coordinator: () => parseCoordinatorAddress(coordinator.url),
    token: 'test-token',
    dial: dialer(readProxies({})),
    uplink: new Uplink(null),
    note: () => undefined,
  });
  await transfer.upload(digest, file, new AbortController().signal);
  t.ok(coordinator.blobs.get(digest)?.equals(content));
  const ranges = coordinator.requests.filter((one) => one.startsWith('PUT')).map((one) => one.split(' ')[3]);
  const starts = ranges.map((range) => Number(range?.split('-')[0] ?? 0));
  t.equal(starts.length, 3);
  t.ok((starts[1] ?? 0) >= 400_000 && (starts[2] ?? 0) >= (starts[1] ?? 0) + 300_000, `${ranges}`);
});
