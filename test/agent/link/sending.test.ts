/** Addresses and patience of the link, and how logs are sent, without sockets. */
import t from 'tap';
import type { LogStream } from '../../../agent/core/log-stream.ts';
import {
  connectWaitMs,
  nameOf,
  parseCoordinatorAddress,
  reconnectDelayMs,
  retryAfterMs,
  socketUrl,
} from '../../../agent/link/addresses.ts';
import { LogUpload } from '../../../agent/link/log-upload.ts';
import { Uplink } from '../../../agent/link/uplink.ts';
import { limits } from '../../../shared/limits.ts';
import type { AgentMessage } from '../../../shared/messages.ts';

t.test('URLs', async (t) => {
  const socket = (text: string): string => socketUrl(parseCoordinatorAddress(text).url).href;
  t.equal(socket('http://10.0.0.1:7600'), 'ws://10.0.0.1:7600/agent');
  t.equal(socket('wss://example.org'), 'wss://example.org/agent');
  t.equal(socket('https://example.org/lockstep?x=1'), 'wss://example.org/lockstep/agent');
  const local = parseCoordinatorAddress('http://[fe80::1%25eth0]:7600');
  t.match(local, { zone: 'eth0', url: { href: 'http://[fe80::1]:7600/' } });
  t.equal(nameOf(local), 'http://[fe80::1%eth0]:7600/');
  t.equal(parseCoordinatorAddress('http://[fe80::1%br-lan.5]:7600').zone, 'br-lan.5');
  t.equal(parseCoordinatorAddress('http://[::1]:7600').zone, null);
  for (const wrong of ['http://[fe80::1%]:1', '', 'example.org', 'ftp://x', 'http://'])
    t.throws(() => parseCoordinatorAddress(wrong), { code: 'usage' });
});

t.test('reconnects: full jitter up to a bound that doubles by round, at once within a round', async (t) => {
  t.equal(reconnectDelayMs(1, 1, 1), limits.reconnectDelayMinMs * 2);
  t.equal(reconnectDelayMs(3, 1, 0.5), limits.reconnectDelayMinMs * 4);
  t.equal(reconnectDelayMs(60, 1, 1), limits.reconnectDelayMaxMs);
  t.equal(reconnectDelayMs(5000, 1, 1), limits.reconnectDelayMaxMs);
  t.equal(reconnectDelayMs(1, 3, 1), limits.reconnectDelayMinMs);
  t.equal(reconnectDelayMs(3, 3, 1), limits.reconnectDelayMinMs * 2);
  t.equal(reconnectDelayMs(9, 1, 0), 0);
});

t.test(
  'patience with one coordinator grows by round, so that one that is gone does not delay another',
  async (t) => {
    t.equal(connectWaitMs(0, 3), limits.connectWaitMinMs);
    t.equal(connectWaitMs(2, 3), limits.connectWaitMinMs);
    t.equal(connectWaitMs(3, 3), limits.connectWaitMinMs * 2);
    t.equal(connectWaitMs(3_000, 3), limits.helloWaitMs);
  },
);

t.test('Retry-After in seconds, bounded; dates are nothing to go by', async (t) => {
  t.equal(retryAfterMs('7'), 7_000);
  t.equal(retryAfterMs('999999'), limits.reconnectDelayMaxMs);
  for (const unusable of [undefined, '', '-1', '1.5', 'Wed, 21 Oct 2026 07:28:00 GMT'])
    t.equal(retryAfterMs(unusable), undefined);
});

class Stream implements LogStream {
  readonly attempt: string;
  readonly stream = 'stdout';
  bytes = 0;
  final = false;
  constructor(attempt: string, bytes: number) {
    this.attempt = attempt;
    this.bytes = bytes;
  }
  length(): number {
    return this.bytes;
  }
  isFinal(): boolean {
    return this.final;
  }
  read(offset: number, bytesMax: number) {
    return { kind: 'bytes', offset, bytes: new Uint8Array(Math.min(bytesMax, this.bytes - offset)) } as const;
  }
}

t.test('logs: a bounded amount in flight, oldest first, again from what was acknowledged', async (t) => {
  const streams = [new Stream('r1/a/n1#1', 3 * 1024 * 1024), new Stream('r1/b/n1#1', 100)];
  const [big, small] = streams;
  const sent: string[] = [];
  const through: string[] = [];
  const upload = new LogUpload({
    streams: () => streams.filter((stream) => !through.includes(stream.attempt)),
    send: (message: AgentMessage) => {
      if (message.type === 'log') sent.push(`${message.attempt} ${message.offset}`);
    },
    uplink: new Uplink(null),
    onAcknowledged: (attempt) => through.push(attempt),
  });
  const take = (): string[] => sent.splice(0);
  upload.pump();
  t.same(take(), [], 'not before the link is up');
  upload.resume('L');
  const window = limits.logUnacknowledgedBytesMax / limits.logChunkBytesMax;
  t.equal(take().length, window);
  upload.pump();
  t.same(take(), []);
  upload.acknowledge('r1/a/n1#1', 'stdout', 65_536);
  t.same(take(), [`r1/a/n1#1 ${limits.logUnacknowledgedBytesMax}`]);
  upload.pause();
  upload.resume('L');
  t.equal(take()[0], 'r1/a/n1#1 65536');
  upload.pause();
  upload.resume('M');
  t.equal(take()[0], 'r1/a/n1#1 0', 'another lineage may have lost what the first one has');
  upload.acknowledge('r1/a/n1#1', 'stdout', 3 * 1024 * 1024 - 10);
  t.same(take(), [`r1/a/n1#1 ${3 * 1024 * 1024 - 10}`, 'r1/b/n1#1 0'], 'what it has already is not sent');
  upload.acknowledge('r1/a/n1#1', 'stdout', 3 * 1024 * 1024);
  t.same(through, [], 'it may still grow');
  if (big !== undefined) big.final = true;
  upload.pump();
  t.same(through, ['r1/a/n1#1']);
  if (small !== undefined) small.final = true;
  upload.acknowledge('r1/b/n1#1', 'stdout', 100);
  t.same(through, ['r1/a/n1#1', 'r1/b/n1#1']);
  upload.acknowledge('r1/z/n1#1', 'stdout', 100);
  t.same(take(), []);
});
