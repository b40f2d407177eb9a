/** Being told, with real processes: receivers that are down, a coordinator that is killed, and a restore. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import * as resources from '../../coordinator/http/resources.ts';
import { present } from '../../shared/assert.ts';
import { start } from '../coordinator/cli/command.ts';
import { until } from '../coordinator/cli/site.ts';
import { CoordinatorProcess } from '../coordinator/coordinator-process.ts';
import { WebhookReceiver } from '../coordinator/notify/webhook-receiver.ts';
import { resultOf, SmallAgent } from '../coordinator/small-agent.ts';

const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8');

type Verify = (headers: Readonly<Record<string, string | undefined>>, body: string, key: string) => boolean;

/** The lines that the README gives to whoever receives. */
async function verifyOfReadme(): Promise<Verify> {
  const [, code = ''] = /```js\n(import [\s\S]*?lockstep-signature[\s\S]*?)```/.exec(readme) ?? [];
  const folder = mkdtempSync(join(tmpdir(), 'lockstep-verify-'));
  const file = join(folder, 'verify.mjs');
  writeFileSync(file, code);
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const { isFromLockstep }: { isFromLockstep: Verify } = await import(file);
  return isFromLockstep;
}

/** A run of one job that fails on the only node. */
async function failOnce(coordinator: CoordinatorProcess, agent: SmallAgent, number: number): Promise<void> {
  const text =
    "kind: pipeline\nname: web\nroles: { all: { select: 'true' } }\nsteps: [{ id: a, on: all, run: x }]\n";
  const { status } = await coordinator.ask('POST', '/api/runs', { file: 'web.yaml', text });
  t.equal(status, 201);
  agent.say({ type: 'pull', credit: 1 });
  const { attempt } = await agent.grant();
  agent.say({
    type: 'result',
    number,
    result: resultOf(attempt, { outcome: 'failed', exitCode: 1, reason: 'no' }),
  });
  await agent.hear('ack-results');
}

async function joined(coordinator: CoordinatorProcess, counter: number): Promise<SmallAgent> {
  const { json } = await coordinator.ask('POST', '/api/tokens', { kind: 'join' });
  const { token } = resources.tokenCreated.parse(json);
  return SmallAgent.join(coordinator.url, token, 'n1', { counter });
}

t.test('a webhook that is down, a coordinator that is killed, and a restore', async (t) => {
  const coordinator = await CoordinatorProcess.start(t);
  const lockstep = (...words: string[]) => start(words, { LOCKSTEP_DATA: coordinator.data }).ended;
  const receiver = await WebhookReceiver.open(t);
  const added = await lockstep('notify', 'add', 'chat', '--webhook', receiver.url);
  t.equal(added.exitCode, 0);
  t.match(added.stdout, /^[0-9a-f]{64}\n$/);
  const key = added.stdout.trim();
  t.match(
    added.stderr,
    /chat is told by http:\/\/127\.0\.0\.1:\d+ of held, failed, waiting-for-approval, not-started, quarantined/,
  );
  for (const words of [['events'], ['notify', 'list', '-o', 'json']])
    t.notMatch((await lockstep(...words)).stdout, new RegExp(`token-of-the-url|${key}`));
  t.match(await lockstep('notify', 'test', 'chat'), { exitCode: 0, stderr: 'chat was told\n' });
  const [test] = await receiver.count(1);
  const isFromLockstep = await verifyOfReadme();
  t.ok(isFromLockstep(present(test, 'test').headers, present(test, 'test').body, key));
  t.notOk(isFromLockstep(present(test, 'test').headers, `${present(test, 'test').body} `, key));
  t.notOk(
    isFromLockstep(
      { ...present(test, 'test').headers, 'lockstep-timestamp': '1' },
      present(test, 'test').body,
      key,
    ),
  );

  await receiver.close();
  let agent = await joined(coordinator, 1);
  await failOnce(coordinator, agent, 1);
  const trying = await until('an attempt in vain', async () => {
    const { stdout } = await lockstep('notify', 'list');
    return stdout.includes('not delivered') ? stdout : undefined;
  });
  t.match(
    trying,
    /chat: not delivered for .*, tried \d+ times: "Run r1 \(web on default\) has failed\.": no answer \(ECONNREFUSED\)/,
  );
  agent.end();
  await coordinator.end('SIGKILL');
  await receiver.open();
  receiver.next.push(500, 'close-within');
  await coordinator.start();
  const told = (await receiver.count(4)).slice(1);
  const ids = new Set(told.map(({ headers }) => headers['lockstep-delivery']));
  t.equal(ids.size, 1, 'every attempt has the same id');
  const body = JSON.parse(present(told[2], 'the third attempt').body);
  t.match(body, {
    version: 1,
    kind: 'failed',
    run: 'r1',
    pipeline: 'web',
    cluster: 'default',
    commands: ['lockstep report r1', 'lockstep logs r1'],
  });
  t.ok(isFromLockstep(present(told[2], 'the third attempt').headers, present(told[2], '').body, key));
  await until('that it is noted', async () =>
    JSON.parse((await lockstep('notify', 'list', '-o', 'json')).stdout)[0].delivered === 1 ? true : undefined,
  );

  const backup = join(coordinator.folder, 'backup');
  t.match(await lockstep('backup', '--to', backup), { exitCode: 0 });
  await coordinator.end('SIGTERM');
  const keyFile = join(coordinator.folder, 'key');
  const data = join(coordinator.folder, 'disk', 'data');
  t.match(await lockstep('restore', backup, '--data', data, '--key', keyFile, '--replace'), { exitCode: 0 });
  t.notOk(existsSync(join(data, 'told.json')));
  await coordinator.start();
  agent = await joined(coordinator, 9);
  await failOnce(coordinator, agent, 1);
  const [again] = (await receiver.count(5)).slice(4);
  t.match(JSON.parse(present(again, 'what comes next').body), { run: 'r2' }, 'nothing old is told again');
  agent.end();
  t.match(await lockstep('notify', 'rm', 'chat'), { exitCode: 0 });
  t.match(await lockstep('notify', 'list'), { stderr: /nobody is told of anything/ });
});

t.test('a program and a mail on the coordinator’s machine', async (t) => {
  const coordinator = await CoordinatorProcess.start(t);
  const lockstep = (...words: string[]) => start(words, { LOCKSTEP_DATA: coordinator.data }).ended;
  const programs = `${coordinator.data}.programs`;
  mkdirSync(programs);
  const paged = join(coordinator.folder, 'paged');
  writeFileSync(join(programs, 'page.sh'), `#!/bin/sh\ncat >>${paged}\n`);
  chmodSync(join(programs, 'page.sh'), 0o755);
  t.match(
    await lockstep(
      'notify',
      'add',
      'pager',
      '--command',
      'page.sh',
      '--kind',
      'failed',
      '--cluster',
      'default',
    ),
    { exitCode: 0 },
  );
  t.match(await lockstep('notify', 'add', 'others', '--command', 'page.sh', '--pipeline', 'etcd-*'), {
    exitCode: 0,
  });
  t.match(await lockstep('notify', 'add', 'x', '--command', '/bin/sh'), {
    exitCode: 2,
    stderr: /folder of programs/,
  });
  t.match(await lockstep('notify', 'add', 'x', '--mail', 'a@b.example', '--kind', 'faild'), {
    exitCode: 2,
    stderr: /nobody is told of "faild" \(did you mean "failed"\?\)/,
  });
  t.match(await lockstep('notify', 'add', 'x'), {
    exitCode: 2,
    stderr: /--webhook URL, --command PROGRAM or --mail/,
  });
  const agent = await joined(coordinator, 1);
  await failOnce(coordinator, agent, 1);
  const text = await until('the page', async () =>
    existsSync(paged) ? readFileSync(paged, 'utf8') || undefined : undefined,
  );
  t.match(JSON.parse(text), {
    receiver: 'pager',
    kind: 'failed',
    text: /^Run r1 \(web on default\) has failed\.\nWhy: a failed on n1/,
  });
  agent.end();
});
