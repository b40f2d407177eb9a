/** Commands as processes: what they ask of a coordinator, what they print, and how they end. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { defaultDataFolder } from '../../../coordinator/cli/connection.ts';
import { readConfig } from '../../../coordinator/config.ts';
import { environmentOf, lockstep, start } from './command.ts';
import { CoordinatorDouble, problem } from './coordinator-double.ts';
import { at, explanation, sampleRun } from './samples.ts';

const double = new CoordinatorDouble();
await double.open();

const run = sampleRun([{ steps: { install: '++' } }, { steps: { configure: '+x' } }], {
  state: 'failed',
  finishedAt: at(41),
  reason: 'configure failed on n2',
});
double.runs.set('r3', run);
for (const id of ['r2', 'r1']) double.runs.set(id, { ...run, id });

t.test('lists: a table for people, one document for programs', async (t) => {
  const people = await lockstep(double, 'runs', '-n', '1');
  t.equal(people.exitCode, 0);
  t.equal(
    people.stdout,
    'RUN  PIPELINE     CLUSTER  STATE   JOBS  CREATED              TOOK  BY     REASON\n' +
      'r3   first-steps  default  failed   4/4  2026-03-01 12:00:00   41s  admin  configure failed on n2\n',
  );
  const programs = await lockstep(double, 'runs', '-o', 'json');
  t.match(JSON.parse(programs.stdout), [{ id: 'r3', state: 'failed', seq: 40 }, { id: 'r2' }, { id: 'r1' }]);
  const lines = await lockstep(double, 'runs', '-o', 'jsonl');
  t.strictSame(
    lines.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).id),
    ['r3', 'r2', 'r1'],
  );
  const nodes = await lockstep(double, 'nodes', '-o', 'json');
  t.equal(nodes.stdout, '[]\n', 'an empty list is a document, too');
  const noNodes = await lockstep(double, 'nodes', '--where', 'n[1-3]');
  t.equal(noNodes.stdout, '');
  t.match(noNodes.stderr, 'no node matches name in ["n1", "n2", "n3"]');
  t.match(double.asked.at(-1)?.path, /where=name\+in\+/);
});

t.test('one run', async (t) => {
  const shown = await lockstep(double, 'runs', 'show', 'r3');
  t.match(shown.stdout, /✗ configure {2}2\/2 {2}✓ {2}✗ .* 1 failed/);
  t.match(shown.stdout, /created +2026-03-01 12:00:00 by admin, seq 40/);
  const document = await lockstep(double, 'runs', 'show', 'r3', '-o', 'json');
  t.match(JSON.parse(document.stdout), {
    id: 'r3',
    pipeline: 'first-steps',
    state: 'failed',
    seq: 40,
    jobs: [{ step: 'install', node: 'n1', state: 'succeeded', attempt: 1, exitCode: 0 }, {}, {}, {}],
  });
  const missing = await lockstep(double, 'runs', 'show', 'r9');
  t.equal(missing.exitCode, 2);
  t.equal(missing.stderr, 'lockstep: there is no run r9\n');
  double.explanations = [explanation('r3/configure/n2', 'decision', 'is held')];
  t.match((await lockstep(double, 'why', 'r3')).stdout, /^r3\/configure\/n2 is held {2}\(for /);
  const other = await lockstep(double, 'why', 'r3/configure/n1');
  t.equal(other.stdout, '', 'of one job only what is about it');
  t.match(other.stderr, /no job of r3 that has not ended is called so; see lockstep runs show r3$/m);
});

t.test('logs: byte for byte of one job, with names of many', async (t) => {
  const chunk = { stream: 'stdout', offset: 0, step: 'configure' } as const;
  double.logs.push({ ...chunk, attempt: 'r3/configure/n1#1', node: 'n1', text: 'one\n' });
  double.logs.push({
    ...chunk,
    attempt: 'r3/configure/n2#2',
    node: 'n2',
    base64: Buffer.from([1, 255]).toString('base64'),
  });
  double.logs.push({ ...chunk, attempt: 'r3/configure/n2#2', node: 'n2', stream: 'stderr', text: 'broken' });
  t.equal((await lockstep(double, 'logs', 'r3', 'configure', 'n1')).stdout, 'one\n');
  t.equal((await lockstep(double, 'logs', 'r3/configure/n1')).stdout, 'one\n');
  t.equal((await lockstep(double, 'logs', 'r3', '--stderr')).stdout, 'configure n2#2 │ broken\n');
  t.match((await lockstep(double, 'logs', 'r3')).stdout, /^configure n1 │ one\nconfigure n2#2 │ /);
  const typo = await lockstep(double, 'logs', 'r3', 'confgure', 'n1');
  t.equal(typo.exitCode, 2);
  t.equal(typo.stderr, 'lockstep: run r3 has no step confgure: did you mean configure?\n');
  const nobody = await lockstep(double, 'logs', 'r3', 'configure', 'n77', '-f');
  t.match(nobody.stderr, /^lockstep: run r3 has no node n77: /, 'it is not followed');
  const both = await lockstep(double, 'logs', 'r3', '--stderr', '--stdout');
  t.equal(both.exitCode, 2);
});

t.test('wrong use ends with 2 and says what would be right', async (t) => {
  const cases: readonly (readonly [string[], RegExp])[] = [
    [['rnu'], /unknown command 'rnu'\n\(Did you mean run\?\)/],
    [['runs', '--stat', 'x'], /unknown option '--stat'/],
    [['runs', '-n', '0'], /not a whole number from 1 on/],
    [['runs', '-o', 'yaml'], /Allowed choices are json, jsonl/],
    [['run'], /missing required argument 'file'/],
    [['run', '/nonexistent/x.yaml'], /cannot read \/nonexistent\/x\.yaml: ENOENT/],
    [['resume', 'r3', '--as', 'failed'], /name it as r3\/STEP\/NODE/],
    [['resume', 'r3/a/n1'], /Say --as succeeded/],
    [['resume', 'r3/a/n1', '--as', 'again'], /say in --reason how you know/],
    [['resume', 'r3', '--retry-failed', '--elect', 'n1'], /choose one of/],
    [['node', 'label', 'n1'], /KEY=VALUE sets it/],
    [['node', 'cordon'], /name a node/],
    [['node', 'cordon', 'N 1'], /"N 1" is not a node's name/],
    [['params', 'set', 'x'], /x has no value/],
    [['params', 'set', 'x=1', '--node', 'n1', '--cluster', 'c'], /choose --cluster or --node/],
    [['events', '-f', '-o', 'json'], /use -o jsonl/],
    [['token', 'create', '--expires', 'soon'], /not a duration/],
    [['exec', 'all', '--timeout', '5', '--', 'true'], /not a duration/],
  ];
  const ended = await Promise.all(cases.map(([words]) => lockstep(double, ...words)));
  for (const [index, { exitCode, stdout, stderr }] of ended.entries()) {
    const [words, message] = cases[index] ?? [[], /^$/];
    t.equal(exitCode, 2, words.join(' '));
    t.match(stderr, message);
    t.notMatch(stderr, /^ +at /m, 'no stack trace');
    t.equal(stdout, '');
  }
});

t.test('a coordinator that cannot be reached, or will not have us', async (t) => {
  const refused = await start(['runs'], { LOCKSTEP_URL: 'http://127.0.0.1:9', LOCKSTEP_API_TOKEN: 'x' })
    .ended;
  t.equal(refused.exitCode, 3);
  t.match(
    refused.stderr,
    'cannot reach the coordinator at http://127.0.0.1:9 (from LOCKSTEP_URL): the connection was refused',
  );
  const folder = t.testdir({
    'operator.json': JSON.stringify({ url: double.url, token: double.token }),
    other: {},
  });
  t.equal((await start(['runs', '--data', folder], {}).ended).exitCode, 0, 'found in the data folder');
  t.equal((await start(['--data', folder, 'runs'], {}).ended).exitCode, 0, 'named before the command');
  t.equal((await start(['runs'], { LOCKSTEP_DATA: folder }).ended).exitCode, 0);
  const lost = await start(['runs', '--data', join(folder, 'other')], {}).ended;
  t.equal(lost.exitCode, 3);
  t.match(lost.stderr, /other\/operator\.json does not exist \(named by --data\)[\s\S]*lockstep coordinator/);
  for (const environment of [{}, { XDG_STATE_HOME: '/state' }])
    t.equal(
      defaultDataFolder(environment),
      readConfig({}, environment).dataFolder,
      'both look in the same place',
    );
  const wrong = await start(['runs'], { ...environmentOf(double), LOCKSTEP_API_TOKEN: 'x' }).ended;
  t.equal(wrong.exitCode, 2);
  t.match(wrong.stderr, 'the token is not valid; the token came with LOCKSTEP_API_TOKEN');
  const none = await start(['runs', '--url', double.url], {}).ended;
  t.equal(none.exitCode, 2);
  t.match(none.stderr, 'LOCKSTEP_API_TOKEN is not set');
});

const pipeline = `kind: pipeline
name: web
params:
  port: { type: int, default: 80 }
  key: { type: string, secret: true }
roles:
  web: { select: labels.use == "web" }
steps:
  - id: configure
    on: web
    with: { key: "\${{ params.key }}", port: "\${{ params.port }}" }
    run: ./configure.sh
`;

t.test('a pipeline is judged here, its files travel once, and the answer names the run', async (t) => {
  const folder = t.testdir({
    'web.yaml': pipeline,
    'configure.sh': '#!/bin/sh\n',
    'bad.yaml':
      'kind: pipeline\nname: web\nroles: { web: {} }\nsteps:\n  - { id: a, on: wep, nedes: b, run: "true" }\n',
    'params.yaml': 'port: 8080\n',
  });
  const bad = await start(['run', join(folder, 'bad.yaml')], {}).ended;
  t.equal(bad.exitCode, 2, 'without a coordinator');
  t.match(bad.stderr, /bad\.yaml:5:\d+: error: .*nedes.*did you mean "needs"/);
  t.match(bad.stderr, /lockstep: bad\.yaml has \d faults?: nothing was run/);

  let submission: unknown;
  double.submitted = (given) => {
    submission = given;
    return { ...run, id: 'r7', state: 'queued', finishedAt: null };
  };
  const words = [
    'run',
    join(folder, 'web.yaml'),
    '--param-file',
    join(folder, 'params.yaml'),
    '--limit',
    'n[1-3]',
    '--from',
    'configure',
  ];
  const sent = await start(words, { ...environmentOf(double), LOCKSTEP_PARAM_KEY: 's3cret' }).ended;
  t.equal(sent.stderr, '');
  t.equal(sent.stdout, 'r7 is queued. Watch it with: lockstep watch r7\n');
  t.match(submission, {
    text: pipeline,
    params: { port: 8080, key: 's3cret' },
    cluster: 'default',
    limit: 'name in ["n1", "n2", "n3"]',
    checkOnly: false,
    from: 'configure',
    bundle: { files: [{ path: 'configure.sh', sizeBytes: 10, executable: false }] },
  });
  t.equal(double.blobs.size, 1);
  t.strictSame([...double.blobs.values()][0], Buffer.from('#!/bin/sh\n'));
  const asked = double.asked.length;
  await lockstep(double, ...words);
  t.equal(double.asked.length, asked + 1, 'a file that is there does not travel again');

  double.submitted = () =>
    problem('invalid', 'role web: no node matches', [
      { severity: 'error', file: 'web.yaml', line: 7, column: 8, message: 'no node matches', nearest: 'db' },
    ]);
  const refused = await lockstep(double, ...words);
  t.equal(refused.exitCode, 2);
  t.equal(
    refused.stderr,
    'web.yaml:7:8: error: no node matches (did you mean "db"?)\nlockstep: role web: no node matches\n',
  );
});

t.test('exec is a run of one step, its answers grouped', async (t) => {
  let submission: { text?: string } = {};
  double.submitted = (given) => {
    submission = given as typeof submission;
    return sampleRun([{ steps: { exec: '++x' } }], { id: 'r8', state: 'succeeded', finishedAt: at(9) });
  };
  for (const [node, text] of [
    ['n1', 'up\n'],
    ['n2', 'up\n'],
    ['n3', 'no\n'],
  ] as const)
    double.logs.push({ attempt: `r8/exec/${node}#1`, step: 'exec', node, stream: 'stdout', offset: 0, text });
  const { exitCode, stdout } = await lockstep(
    double,
    'exec',
    'n[1-3]',
    '--parallel',
    '2',
    '--',
    'grep',
    'a b',
    '/x',
  );
  t.equal(stdout, 'n1,n2 (2 nodes) exit 0:\nup\n\nn3 (1 node) exit 3:\nno\n');
  t.equal(exitCode, 1, 'it was not done everywhere');
  const { roles, steps } = JSON.parse(submission.text ?? '');
  t.strictSame(roles, { nodes: { select: 'name in ["n1", "n2", "n3"]' } });
  t.match(steps, [{ run: "grep 'a b' /x", strategy: { parallel: { maxParallel: 2 } } }]);
  const json = await lockstep(double, 'exec', 'all', '-o', 'json', '--', 'true');
  t.match(JSON.parse(json.stdout), [
    { node: 'n1', exitCode: 0, stdout: 'up\n', stderr: '' },
    {},
    { node: 'n3' },
  ]);
  const wrong = await lockstep(double, 'exec', 'labels.rack = 1', '--', 'true');
  t.equal(wrong.exitCode, 2);
  t.match(wrong.stderr, /^lockstep: cannot run this on the nodes that `labels\.rack = 1` selects: /);
});

t.test('what operators change', async (t) => {
  await lockstep(double, 'approve', 'r3', 'upgrade', '--reason', 'change 4711');
  t.match(double.asked.at(-1), {
    path: '/api/runs/r3/approve',
    body: { unit: 'upgrade', reason: 'change 4711' },
  });
  const resumed = await lockstep(double, 'resume', 'r3', '--elect', 'n2', '--role', 'member');
  t.equal(resumed.stdout, 'r3 first-steps is failed: configure failed on n2\n');
  t.match(double.asked.at(-1)?.body, { how: { kind: 'elect', node: 'n2', role: 'member' }, reason: '' });
  const secret = await start(
    ['params', 'set', 'token', '--secret', '--file', '-', '--node', 'n1'],
    environmentOf(double),
    's3cret\n',
  ).ended;
  t.equal(secret.stderr, 'token is set for node n1\n');
  t.match(double.asked.at(-1)?.body, { node: 'n1', name: 'token', value: 's3cret', secret: true });
  const token = await lockstep(double, 'token', 'create', '-o', 'json', '--expires', '24h');
  t.strictSame(JSON.parse(token.stdout), { id: 't1', token: 'join-me' });
  t.match(double.asked.at(-1)?.body, { kind: 'join', expiresAt: /Z$/ });
  t.equal((await lockstep(double, 'token', 'create')).stdout, 'join-me\n', 'the secret alone on stdout');
});

await t.test('help has examples, completion is valid shell', async (t) => {
  for (const words of [['run'], ['exec'], ['node'], ['params'], ['events']]) {
    const { exitCode, stdout } = await lockstep(double, ...words, '--help');
    t.equal(exitCode, 0);
    t.match(stdout, /Examples:\n {2}lockstep .*[\s\S]*Exit codes: 0 done/);
  }
  const { stdout } = await lockstep(double, 'completion', 'bash');
  if (!existsSync('/bin/bash')) return;
  const { spawnSync } = await import('node:child_process');
  const complete = (words: string): string[] => {
    const script = `${stdout}
      COMP_WORDS=(${words} ''); COMP_CWORD=$(( \${#COMP_WORDS[@]} - 1 )); _lockstep; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return spawnSync('/bin/bash', ['-c', script], { encoding: 'utf8' }).stdout.trimEnd().split('\n');
  };
  t.ok(complete('lockstep').includes('runs'));
  t.ok(complete('lockstep node').includes('maintenance'));
  t.ok(complete('lockstep node cordon n1').includes('--reason'));
});

// An open socket would keep the process; tap's own end waits for the process.
await double.close();
