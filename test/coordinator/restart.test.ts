/** The coordinator's process ends in every way there is; what it said before stays true. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import * as z from 'zod';
import * as resources from '../../coordinator/http/resources.ts';
import { CoordinatorProcess } from './coordinator-process.ts';
import { helloOf, resultOf, SmallAgent } from './small-agent.ts';

const events = z.array(resources.event);
const pipeline = {
  file: 'test.yaml',
  text: [
    'kind: pipeline',
    'name: test',
    "roles: { all: { select: 'true' } }",
    'steps:',
    "  - { id: a, on: all, run: 'true' }",
    "  - { id: b, on: all, run: 'true' }",
    '',
  ].join('\n'),
};

async function joinToken(coordinator: CoordinatorProcess): Promise<string> {
  const { json } = await coordinator.ask('POST', '/api/tokens', { kind: 'join' });
  return resources.tokenCreated.parse(json).token;
}

t.test('what was acknowledged before a kill is there after it', async (t) => {
  const coordinator = await CoordinatorProcess.start(t);
  const token = await joinToken(coordinator);
  let agent = await SmallAgent.join(coordinator.url, token, 'n1');
  agent.say({ type: 'pull', credit: 1 });
  await coordinator.ask('POST', '/api/runs', pipeline);
  const first = await agent.grant();
  agent.say({ type: 'started', attempt: first.attempt, at: 1 });
  agent.say({ type: 'result', number: 1, result: resultOf(first.attempt) }, { type: 'pull', credit: 1 });
  await agent.hear('ack-results');
  const second = await agent.grant();
  const before = events.parse((await coordinator.ask('GET', '/api/events')).json);

  t.equal(await coordinator.end('SIGKILL'), 'SIGKILL');
  await agent.closed;
  await coordinator.start();
  const after = events.parse((await coordinator.ask('GET', '/api/events')).json);
  t.same(after.slice(0, before.length), before, 'every event that was published');
  t.match(after.at(-1), { type: 'ReignBegan', epoch: 2 });
  t.match((await coordinator.ask('GET', '/api/runs/r1')).json, {
    state: 'running',
    jobs: [
      { step: 'a', state: 'succeeded' },
      { step: 'b', state: 'granted', attempt: 1 },
    ],
  });

  agent = await SmallAgent.join(coordinator.url, token, 'n1', { counter: 2 });
  const again = await agent.grant();
  t.equal(
    again.attempt,
    second.attempt,
    'a grant that the agent does not name comes again, with the same id',
  );
  agent.end();
  agent = await SmallAgent.join(coordinator.url, token, 'n1', {
    counter: 3,
    held: [{ attempt: second.attempt, state: 'ended' }],
  });
  agent.say({ type: 'result', number: 2, result: resultOf(second.attempt) });
  t.equal((await agent.hear('ack-results')).upTo, 2);
  t.notOk(
    agent.unheard.some(({ type }) => type === 'grant'),
    'one that it does name does not',
  );
  t.match((await coordinator.ask('GET', '/api/runs/r1')).json, { state: 'succeeded' });
  agent.say({ type: 'result', number: 2, result: resultOf(second.attempt) });
  t.equal((await agent.hear('ack-results')).upTo, 2, 'a result that comes twice is acknowledged again');
  const ended = events.parse((await coordinator.ask('GET', '/api/events')).json);
  t.equal(ended.filter(({ type }) => type === 'AttemptEnded').length, 2, 'and applied once');
});

t.test('being told to end', async (t) => {
  const coordinator = await CoordinatorProcess.start(t);
  const token = await joinToken(coordinator);
  const operator = coordinator.token;
  const agent = await SmallAgent.join(coordinator.url, token, 'n1');
  const following = fetch(`${coordinator.url}/api/events/stream`, {
    headers: { authorization: `Bearer ${operator}` },
  })
    .then((answer) => answer.text())
    .catch(() => 'broken off');
  await delay(100);
  t.equal(await coordinator.end('SIGTERM'), 0);
  t.equal((await agent.closed).code, 1001, 'agents hear good-bye');
  await following;
  await coordinator.start();
  t.equal(coordinator.token, operator, 'the operator on this machine keeps the token');
  t.equal(statSync(join(coordinator.data, 'operator.json')).mode & 0o777, 0o600);
  t.equal((await SmallAgent.join(coordinator.url, token, 'n1', { counter: 2 })).socket.readyState, 1);

  const [id] = operator.split('.');
  t.equal((await coordinator.ask('DELETE', `/api/tokens/${id}`)).status, 204);
  t.equal((await coordinator.ask('GET', '/api/nodes')).status, 401);
  await coordinator.end('SIGTERM');
  await coordinator.start();
  t.not(coordinator.token, operator, 'a token that was revoked is replaced at the next start');
  t.equal((await coordinator.ask('GET', '/api/nodes')).status, 200);
});

t.test('two on one folder', async (t) => {
  const coordinator = await CoordinatorProcess.start(t);
  const main = resolve(import.meta.dirname, '../../coordinator/main.ts');
  const second = spawn(
    process.execPath,
    [
      main,
      'coordinator',
      '--data',
      coordinator.data,
      '--key',
      join(coordinator.folder, 'key'),
      '--listen',
      '127.0.0.1:0',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let complaint = '';
  second.stderr.on('data', (text) => {
    complaint += text;
  });
  const [code] = await once(second, 'close', { signal: AbortSignal.timeout(15_000) });
  t.equal(code, 2);
  t.match(complaint, new RegExp(`process ${coordinator.pid} uses it`));
});

t.test('a torn end is repaired, damage is refused', async (t) => {
  const coordinator = await CoordinatorProcess.start(t);
  for (let count = 0; count < 5; count += 1) await joinToken(coordinator);
  await coordinator.end('SIGKILL');
  const journal = join(coordinator.data, 'journal');
  const [segment = ''] = readdirSync(journal).map((name) => join(journal, name));
  truncateSync(segment, statSync(segment).size - 20);
  await coordinator.start();
  t.match(coordinator.output, /repaired the end of the journal/);
  const kept = events.parse((await coordinator.ask('GET', '/api/events')).json);
  t.same(
    kept.map(({ seq }) => seq),
    kept.map((_, index) => index + 1),
  );
  await coordinator.end('SIGKILL');
  writeFileSync(segment, 'x', { flag: 'r+' });
  await t.rejects(coordinator.start(), /damaged|cannot read/, 'with the place');
});

t.test('a disk without space', async (t) => {
  const coordinator = await CoordinatorProcess.start(t, 24 * 1024 * 1024);
  const token = await joinToken(coordinator);
  const agent = await SmallAgent.join(coordinator.url, token, 'n1');
  agent.say({ type: 'pull', credit: 1 });
  await coordinator.ask('POST', '/api/runs', pipeline);
  const { attempt } = await agent.grant();
  const filler = join(coordinator.data, 'filler');
  const fill = (): void => {
    for (const bytes of [1024 * 1024, 4096]) {
      try {
        for (;;) writeFileSync(filler, Buffer.alloc(bytes), { flag: 'a' });
      } catch {
        // There is no space for another one.
      }
    }
  };
  fill();
  agent.say({ type: 'result', number: 1, result: resultOf(attempt) });
  agent.say({
    type: 'log',
    attempt,
    stream: 'stdout',
    offset: 0,
    base64: Buffer.alloc(60_000).toString('base64'),
  });
  let refused: unknown;
  for (let tries = 0; tries < 100; tries += 1) {
    const answer = await coordinator.ask('PUT', '/api/params', {
      cluster: 'c',
      name: `p${tries}`,
      value: 'x'.repeat(500),
    });
    if (answer.status === 507) {
      refused = answer.json;
      break;
    }
    fill();
  }
  t.match(refused, { code: 'disk-full', retryable: true }, 'operators are told');
  t.match(await coordinator.ask('GET', '/health'), {
    status: 503,
    json: { status: 'disk-full', detail: /no space/ },
  });
  t.match((await coordinator.ask('GET', '/api/runs/r1')).json, { id: 'r1' }, 'reads go on');
  t.match((await coordinator.ask('GET', '/api/nodes/n1')).json, { name: 'n1' });
  t.notOk(
    agent.unheard.some(({ type }) => type === 'ack-log'),
    'what is not on disk is not acknowledged',
  );
  const other = await SmallAgent.connect(coordinator.url, token);
  other.say(helloOf('n2'));
  t.match(await other.hear('rejected'), { reason: /no space/, retryAfterMs: /\d+/ }, 'nobody joins');

  truncateSync(filler, 0);
  t.equal(
    (await agent.hear('ack-results')).upTo,
    1,
    'with space again, what was reported meanwhile is taken',
  );
  await agent.hear('ack-log');
  for (let wait = 0; wait < 100; wait += 1) {
    if ((await coordinator.ask('GET', '/health')).status === 200) break;
    await delay(50);
  }
  t.equal(
    (await coordinator.ask('PUT', '/api/params', { cluster: 'c', name: 'last', value: 1 })).status,
    204,
  );
  const all = events.parse((await coordinator.ask('GET', '/api/events')).json);
  t.same(
    all.map(({ seq }) => seq),
    all.map((_, index) => index + 1),
    'and the sequence has no gap',
  );
});

t.test('a disk that fails ends the process, and nothing that was said is untrue', async (t) => {
  const coordinator = await CoordinatorProcess.start(t);
  await coordinator.end('SIGTERM');
  await coordinator.start(64 * 1024);
  const said: string[] = [];
  for (let index = 0; index < 1_000; index += 1) {
    const setting = { cluster: 'c', name: `p${index}`, value: 'x'.repeat(400) };
    const answer = await coordinator.ask('PUT', '/api/params', setting).catch(() => undefined);
    if (answer === undefined) break;
    t.equal(answer.status, 204);
    said.push(setting.name);
  }
  t.equal(await coordinator.ended(), 74);
  t.match(coordinator.output, /the disk cannot be trusted any more/);
  await coordinator.start();
  const { items } = resources.paramList.parse((await coordinator.ask('GET', '/api/params?cluster=c')).json);
  t.same(
    items.slice(0, said.length).map(({ name }) => name),
    said,
  );
});

t.test('what cannot be used is said at once', async (t) => {
  const coordinator = await CoordinatorProcess.start(t);
  const main = resolve(import.meta.dirname, '../../coordinator/main.ts');
  const attempt = async (...flags: string[]): Promise<string> => {
    const child = spawn(process.execPath, [main, 'coordinator', ...flags], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let complaint = '';
    child.stderr.on('data', (text) => {
      complaint += text;
    });
    const [code] = await once(child, 'close', { signal: AbortSignal.timeout(15_000) });
    return `${code} ${complaint}`;
  };
  const other = ['--data', join(coordinator.folder, 'other'), '--key', join(coordinator.folder, 'other.key')];
  t.match(
    await attempt(...other, '--listen', new URL(coordinator.url).host),
    /^2 .*cannot listen on .*EADDRINUSE/,
  );
  t.match(await attempt(...other, '--listen', 'nowhere.invalid:1'), /^2 .*cannot listen/);
  t.match(await attempt(...other, '--keep-runs', 'all'), /^2 .*--keep-runs all/);
  t.match(await attempt(...other, '--no-such-flag'), /^2 .*unknown option/);
  t.match(await attempt('--data', '/dev/null/x'), /^2 .*cannot keep data in \/dev\/null\/x: .*--data/);
});
