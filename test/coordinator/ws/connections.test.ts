/** The gateway alone, with a clock and a core that the test plays: who is given up, put off, paused, or answered when. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import type { Command, GrantedJob } from '../../../coordinator/core/commands.ts';
import type { Settled } from '../../../coordinator/sequence/command-queue.ts';
import { Gateway } from '../../../coordinator/ws/gateway.ts';
import { LockstepError } from '../../../shared/errors.ts';
import { limits } from '../../../shared/limits.ts';
import { helloOf, SmallAgent } from '../small-agent.ts';

type Posted = { readonly command: Command; readonly settle: ((settled: Settled) => void) | undefined };

class Stage {
  nowMs = 1_000_000;
  congested = false;
  full = false;
  /** How often the log store says that it has no room. */
  logRefusals = 0;
  readonly logOffsets: number[] = [];
  readonly posted: Posted[] = [];
  readonly warnings: string[] = [];
  readonly gateway: Gateway;
  url = '';

  constructor() {
    this.gateway = new Gateway({
      admit: () => ({ ok: true, token: 'join-1' }),
      origin: () => undefined,
      reign: () => ({ lineage: 'l', epoch: 1 }),
      post: (command, settle) => {
        if (this.full) return false;
        this.posted.push({ command, settle });
        return true;
      },
      congested: () => this.congested,
      reportFacts: () => 'posted',
      takeLog: async ({ offset }) => {
        await delay(Math.random() * 5);
        this.logRefusals -= 1;
        if (this.logRefusals >= 0) return { kind: 'full' };
        this.logOffsets.push(offset);
        return { kind: 'taken', durable: offset + 1 };
      },
      carriesOut: () => false,
      onLogFailure: (error) => {
        throw error;
      },
      secret: () => '"hush"',
      now: () => this.nowMs,
      warn: (what) => this.warnings.push(what),
    });
  }

  static async open(t: { teardown(work: () => unknown): void }): Promise<Stage> {
    const stage = new Stage();
    const server = createServer().on('upgrade', stage.gateway.upgrade);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.teardown(() => {
      stage.gateway.close();
      server.close();
    });
    stage.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return stage;
  }

  /** The next command of this type, when it has come. */
  async next(type: Command['type']): Promise<Posted> {
    for (let wait = 0; wait < 300; wait += 1) {
      const index = this.posted.findIndex(({ command }) => command.type === type);
      const [found] = index === -1 ? [] : this.posted.splice(index, 1);
      if (found !== undefined) return found;
      await delay(10);
    }
    throw new Error(`no ${type} was posted: ${JSON.stringify(this.posted)}`);
  }

  welcome({ settle }: Posted, node: string): void {
    const effects = [{ kind: 'welcome' as const, node, factsWanted: false }];
    settle?.({ ok: true, events: [], effects });
    this.gateway.deliver(effects);
    this.gateway.flush();
  }

  async join(name: string, counter = 1): Promise<SmallAgent> {
    const agent = await SmallAgent.connect(this.url, 't');
    agent.say(helloOf(name, { counter }));
    this.welcome(await this.next('ConnectAgent'), name);
    await agent.hear('welcome');
    return agent;
  }
}

const grantedJob = (more: Partial<GrantedJob> = {}): GrantedJob => ({
  attempt: 'r1/a/n1#1',
  attemptsMax: 1,
  backoffMs: 0,
  mode: 'normal',
  timeoutMs: 1_000,
  leaves: 'nothing',
  inputs: {},
  secretInputs: [],
  outputs: {},
  environment: {},
  ...more,
});

t.test('who says nothing is given up', async (t) => {
  const stage = await Stage.open(t);
  const mute = await SmallAgent.connect(stage.url, 't');
  const quiet = await stage.join('n1');
  stage.nowMs += limits.helloWaitMs;
  t.match(await mute.closed, { code: 1008, reason: /no hello within/ });
  quiet.say({ type: 'ping' });
  await quiet.hear('pong');
  stage.nowMs += 2 * limits.heartbeatIntervalMs;
  await delay(limits.connectionSweepMs + 100);
  t.equal(quiet.socket.readyState, 1, 'two intervals are allowed');
  stage.nowMs += 1;
  t.equal((await quiet.closed).code, 1006);
  const { command } = await stage.next('DisconnectAgent');
  t.match(command, { node: 'n1', counter: 1, reason: /not heard for/ });
  t.equal(stage.gateway.agents, 0);
});

t.test('who answers and does not accept its grant is reported, until it does', async (t) => {
  const stage = await Stage.open(t);
  const agent = await stage.join('n1');
  stage.gateway.deliver([{ kind: 'grant', node: 'n1', jobs: [grantedJob()] }]);
  stage.gateway.flush();
  await agent.hear('grant');
  for (let waitedMs = 0; waitedMs < limits.grantAcceptWaitMs; waitedMs += limits.heartbeatIntervalMs) {
    stage.nowMs += limits.heartbeatIntervalMs;
    agent.say({ type: 'ping' });
    await agent.hear('pong');
  }
  await delay(limits.connectionSweepMs + 100);
  t.same(stage.warnings, ['n1 answers but has not accepted attempt r1/a/n1#1 for 2 min: look at its disk']);
  t.equal(stage.gateway.stalled, 1);
  t.match(stage.gateway.stallOf('n1'), { attempt: 'r1/a/n1#1' });
  agent.say({ type: 'accepted', attempt: 'r1/a/n1#1' }, { type: 'ping' });
  await agent.hear('pong');
  t.equal(stage.gateway.stalled, 0);
  t.equal(stage.gateway.stallOf('n1'), undefined);
});

t.test('credit does not pass to the connection that takes the place', async (t) => {
  const stage = await Stage.open(t);
  const first = await stage.join('n1');
  const second = await SmallAgent.connect(stage.url, 't');
  second.say(helloOf('n1', { counter: 2 }));
  const joining = await stage.next('ConnectAgent');
  first.say({ type: 'pull', credit: 7 }, { type: 'ping' });
  await first.hear('pong');
  t.same(stage.posted, [], 'put off while the core decides');
  joining.settle?.({ ok: true, events: [], effects: [{ kind: 'reject', reason: 'no', retryAfterMs: null }] });
  t.match(await second.hear('rejected'), { reason: 'no', retryAfterMs: null });
  t.match(
    (await stage.next('PullJobs')).command,
    { node: 'n1', credit: 7 },
    'given back when the other was refused',
  );

  const third = await SmallAgent.connect(stage.url, 't');
  third.say(helloOf('n1', { counter: 3 }));
  const replacing = await stage.next('ConnectAgent');
  first.say({ type: 'pull', credit: 9 }, { type: 'ping' });
  await first.hear('pong');
  stage.welcome(replacing, 'n1');
  t.equal((await first.closed).code, 4001);
  await third.hear('welcome');
  await stage.next('DisconnectAgent');
  t.same(stage.posted, [], 'forgotten when it was not');
});

t.test('an agent that leaves while it joins is not left connected', async (t) => {
  const stage = await Stage.open(t);
  const agent = await SmallAgent.connect(stage.url, 't');
  agent.say(helloOf('n1'));
  const joining = await stage.next('ConnectAgent');
  agent.end();
  await agent.closed;
  await delay(50);
  stage.welcome(joining, 'n1');
  t.match((await stage.next('DisconnectAgent')).command, { node: 'n1', counter: 1 });
  const refused = await SmallAgent.connect(stage.url, 't');
  refused.say(helloOf('n1'));
  const { settle } = await stage.next('ConnectAgent');
  settle?.({ ok: false, error: new LockstepError('disk-full', 'no space'), effects: [] });
  t.match(await refused.hear('rejected'), { reason: 'no space', retryAfterMs: limits.rejectedRetryMs });
});

t.test('who could not be heard is not read from, and who cannot be queued comes again', async (t) => {
  const stage = await Stage.open(t);
  const agent = await stage.join('n1');
  stage.congested = true;
  agent.say({ type: 'pull', credit: 1 });
  await stage.next('PullJobs');
  agent.say({ type: 'pull', credit: 2 });
  await delay(100);
  t.same(stage.posted, [], 'nothing is read while the queue is long');
  stage.nowMs += 10 * limits.heartbeatIntervalMs;
  await delay(limits.connectionSweepMs + 100);
  stage.congested = false;
  stage.gateway.roomAgain();
  t.match(
    (await stage.next('PullJobs')).command,
    { credit: 2 },
    'then it goes on, and silence did not count',
  );
  stage.full = true;
  agent.say({ type: 'pull', credit: 3 });
  t.equal((await agent.closed).code, 1006, 'what does not fit is not dropped in silence');
});

t.test('what belongs together leaves together', async (t) => {
  const stage = await Stage.open(t);
  const agent = await stage.join('n1');
  const frames: string[] = [];
  agent.socket.on('message', (content) => frames.push(content.toString()));
  const job = grantedJob({
    inputs: { key: { secret: 'r1/key' }, size: { value: 5 } },
    secretInputs: ['key'],
  });
  stage.gateway.deliver([
    { kind: 'ack-results', node: 'n1', upTo: 4 },
    { kind: 'grant', node: 'n1', jobs: [job] },
    { kind: 'ack-results', node: 'elsewhere', upTo: 1 },
  ]);
  stage.gateway.flush();
  const grant = await agent.hear('grant');
  t.same(
    grant.jobs[0]?.inputs,
    { key: { value: 'hush' }, size: { value: 5 } },
    'a secret becomes its value here',
  );
  t.match([grant.lineage, grant.epoch], ['l', 1]);
  t.equal(frames.length, 1, 'an acknowledgement rides along');
  t.match(frames[0], /^\[\{"type":"ack-results","upTo":4\},\{"type":"grant"/);
  stage.gateway.deliver([{ kind: 'ack-results', node: 'n1', upTo: 5 }]);
  t.equal((await agent.hear('ack-results')).upTo, 5, 'and goes alone when nothing else does');
  t.equal(stage.gateway.connections, 1);
});

t.test('an agent that does not read is given up, not waited for', async (t) => {
  const stage = await Stage.open(t);
  const agent = await stage.join('n1');
  agent.socket.pause();
  const reason = 'x'.repeat(1_000);
  for (let sent = 0; sent < 40 && stage.gateway.agents > 0; sent += 1) {
    for (let count = 0; count < 1_000; count += 1)
      stage.gateway.deliver([{ kind: 'cancel', node: 'n1', attempt: `r1/a/n1#${count + 1}`, reason }]);
    stage.gateway.flush();
    await delay(10);
  }
  t.match((await stage.next('DisconnectAgent')).command, { node: 'n1', reason: /does not read/ });
  agent.end();
});

t.test('logs are taken in order, and wait where there is no room', async (t) => {
  const stage = await Stage.open(t);
  const agent = await stage.join('n1');
  const pieces = 3 * limits.logPiecesQueuedMax;
  stage.logRefusals = 3;
  for (let offset = 0; offset < pieces; offset += 1)
    agent.say({ type: 'log', attempt: 'r1/a/n1#1', stream: 'stdout', offset, base64: 'eA==' });
  agent.say({ type: 'pull', credit: 5 });
  t.match((await stage.next('PullJobs')).command, { credit: 5 });
  for (let upTo = 0; upTo < pieces; ) ({ upTo } = await agent.hear('ack-log'));
  t.same(
    stage.logOffsets,
    Array.from({ length: pieces }, (_, offset) => offset),
  );
});
