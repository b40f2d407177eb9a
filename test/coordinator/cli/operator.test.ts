/** An operator's day with a real coordinator and real agents: every command against what it was written for. */
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Site, until } from './site.ts';

const folder = t.testdir({
  'first.yaml': `kind: pipeline
name: first
params:
  key: { type: string, secret: true }
  word: { type: string, default: hello }
roles:
  web: { select: labels.use == "web" }
steps:
  - { id: facts, on: web, run: "echo facts of $LOCKSTEP_NODE", rerun: idempotent }
  - id: choose
    on: web.leader
    outputs: { chosen: { type: string } }
    run: echo "chosen=$PARAM_WORD" >> "$LOCKSTEP_OUTPUT"
    rerun: idempotent
  - id: join
    on: web
    with: { chosen: "\${{ steps.choose.outputs.chosen }}", key: "\${{ params.key }}" }
    run: ./join.sh
`,
  'join.sh': '#!/bin/sh\necho "$PARAM_CHOSEN with a key of ${#PARAM_KEY}"\n',
  'rolling.yaml': `kind: pipeline
name: rolling
roles:
  web: { select: labels.use == "web" }
steps:
  - id: upgrade
    on: web
    strategy: { rolling: { maxUnavailable: 1 } }
    group:
      - { id: drain, run: "true", rerun: idempotent }
      - { id: restart, run: './restart.sh', rerun: idempotent }
`,
  'mix.yaml': `kind: pipeline
name: mix
params: { key: { type: string, generate: { hex: 4 } } }
roles: { web: { select: labels.use == "web", count: 1 } }
steps: [{ id: stir, on: web, approve: Stir it?, run: "true" }]
`,
  'restart.sh': '#!/bin/sh\nif [ "$LOCKSTEP_NODE" = n1 ]; then echo "it did not come up" >&2; exit 3; fi\n',
});
for (const script of ['join.sh', 'restart.sh']) chmodSync(join(folder, script), 0o755);
const site = new Site(join(folder, 'site'));
await site.open();
const secret = 's3cret-that-nobody-may-see';
const lockstep = (...words: string[]) => site.lockstep(...words);
const json = async (...words: string[]) => JSON.parse((await lockstep(...words, '-o', 'json')).stdout);

t.test('nodes join with a token', async (t) => {
  const { token } = await json('token', 'create');
  const { url } = JSON.parse(readFileSync(join(site.data, 'operator.json'), 'utf8'));
  for (const [name, rack] of [
    ['n1', 'a'],
    ['n2', 'a'],
    ['n3', 'b'],
  ] as const)
    site.join(name, token, url, [`rack=${rack}`, 'use=web']);
  const nodes = await until('three nodes', async () => {
    const listed = await json('nodes', '--where', 'labels.use == "web"');
    return listed.length === 3 && listed.every((node: { facts: unknown }) => node.facts !== null)
      ? listed
      : undefined;
  });
  t.match(nodes, [{ name: 'n1', state: 'ready', labels: { rack: 'a' } }, { name: 'n2' }, { name: 'n3' }]);
  t.match((await lockstep('nodes', '-o', 'wide')).stdout, /^NODE .*\nn1 +ready .*rack=a,use=web\n/);
  t.match((await lockstep('node', 'show', 'n1')).stdout, /state +ready\n[\s\S]*memory +\d/);
});

t.test('a pipeline is planned, run and looked at', async (t) => {
  const file = join(folder, 'first.yaml');
  const secretly = { LOCKSTEP_PARAM_KEY: secret };
  const planned = await site.lockstepWith(secretly, 'plan', file);
  t.match(
    planned.stdout,
    /^first on cluster default: 3 steps on 3 nodes\n[\s\S]*2 {2}choose +n1 +facts on every node\n/,
  );
  t.equal(planned.exitCode, 0);
  const asked = await lockstep('run', file);
  t.equal(asked.exitCode, 2, 'nobody is there to be asked for the secret');
  t.match(asked.stderr, /key/);
  const ran = await site.lockstepWith(secretly, 'run', file, '--watch', '--param', 'word=tea');
  t.equal(ran.exitCode, 0);
  t.match(
    ran.stdout,
    /^\d\d:\d\d:\d\d run r1 created\n[\s\S]*choose n1 succeeded [\d.]+s\n[\s\S]*run r1 succeeded/,
  );
  t.match(ran.stdout, /✓ r1 first succeeded in [\d.]+s: 7 jobs on 3 nodes\n$/);
  const lines = ran.stdout.split('\n');
  const place = (text: string): number => lines.findIndex((line) => line.includes(text));
  t.ok(
    place('facts n3 succeeded') < place('choose n1 started'),
    'the barrier is seen in the order of the lines',
  );
  const run = await json('runs', 'show', 'r1');
  t.match(run, { id: 'r1', pipeline: 'first', state: 'succeeded', params: { key: '(secret)', word: 'tea' } });
  t.match(run.jobs[3], { step: 'choose', node: 'n1', exitCode: 0, outputs: { chosen: 'tea' } });
  const log = await until('the log', async () => {
    const { stdout } = await lockstep('logs', 'r1', 'join', 'n2');
    return stdout === '' ? undefined : stdout;
  });
  t.equal(log, `tea with a key of ${secret.length}\n`);
  for (const words of [['events'], ['runs', 'show', 'r1', '-o', 'json']])
    t.notMatch((await lockstep(...words)).stdout, secret, `no secret in ${words.join(' ')}`);
  const events = (await lockstep('events', '--run', 'r1', '-o', 'jsonl')).stdout.trimEnd().split('\n');
  t.equal(JSON.parse(events[0] ?? '').type, 'RunCreated');
});

t.test('exec groups equal answers', async (t) => {
  const same = await lockstep('exec', 'all', '--', 'echo', 'a  b');
  t.equal(same.stdout, 'n[1-3] (3 nodes) exit 0:\na  b\n');
  t.equal(same.exitCode, 0);
  const differs = await lockstep(
    'exec',
    'n[1-3]',
    '--',
    '[ $LOCKSTEP_NODE != n2 ] || { echo no >&2; exit 7; }',
  );
  t.equal(differs.stdout, 'n1,n3 (2 nodes) exit 0\n\nn2 (1 node) exit 7:\nno\n');
  t.equal(differs.exitCode, 1);
  const none = await lockstep('exec', 'labels.use == "db"', '--', 'true');
  t.equal(none.exitCode, 2);
  t.match(
    none.stderr,
    /no node fits `labels\.use == "db"`: n1, n2, n3 \(it (is false|has no labels\.use)\)\n$/,
  );
});

t.test('a failure in a rolling group is held, and its operator decides', async (t) => {
  const held = await lockstep('run', join(folder, 'rolling.yaml'), '--watch');
  t.equal(held.exitCode, 4);
  const id = /run (r\d+) created/.exec(held.stdout)?.[1] ?? '';
  t.match(held.stdout, /restart n1 failed .*\n {4}\| it did not come up\n/);
  t.match(held.stdout, `lockstep resume ${id} --accept-failed`);
  t.match((await lockstep('why', id)).stdout, new RegExp(`${id}/drain/n2 waits: run ${id} is held`));
  t.match(await json('why', 'n2'), [{ run: id, gate: 'hold' }]);
  const accepted = await lockstep('resume', id, '--accept-failed', '--reason', 'n1 goes back to its vendor');
  t.match(accepted.stdout, `${id} rolling is `);
  const watched = await lockstep('watch', id);
  t.equal(watched.exitCode, 0);
  t.match(watched.stdout, /resumed \(accept-failed\) by operator:/);
  const over = await lockstep('cancel', id);
  t.equal(over.exitCode, 2, 'what is over cannot be cancelled');

  const { stdout: note } = await lockstep('report', id);
  t.match(note, new RegExp(`^# Run ${id} of rolling: succeeded\n`));
  t.match(note, /\| nodes \| role \| .*kernel \| agent .*\|\n\| --- .*\n\| n\[1-3\] \(3 nodes\) \| web \|/);
  t.match(note, /\| restart \| web \| 1 failed, 2 succeeded \|/);
  t.match(note, /\| restart \| n1 \| attempt 1 failed: .*\|\n/);
  t.match(note, /the run was resumed \(accept-failed\): n1 goes back to its vendor \| \S+ \|/);
  t.match(note, /\| upgrade \| slot \| n2 \| [\d.]+s \|/);
  t.match(await json('report', id), {
    run: id,
    state: 'succeeded',
    missing: [],
    nodes: [{ name: 'n1', roles: ['web'], out: /accepted/ }, {}, {}],
  });
});

t.test('two runs are compared, also when one is only in a file', async (t) => {
  const file = join(folder, 'first.json');
  writeFileSync(file, (await lockstep('report', 'r1', '-o', 'json')).stdout);
  const { id } = await json('run', join(folder, 'rolling.yaml'), '--limit', 'n2');
  await lockstep('watch', id);
  const { stdout, exitCode } = await lockstep('diff', file, id);
  t.equal(exitCode, 0);
  t.match(
    stdout,
    new RegExp(`^r1 +r1 of first on default: succeeded.*\\n${id} +${id} of rolling on default: `),
  );
  t.match(stdout, /param +word +tea \(run\) +-\n/);
  t.match(stdout, /nodes +web: nodes +3 +1\n/);
  t.match(stdout, /step +choose +there +-\n/);
  t.notMatch(stdout, secret);
  t.match(await json('diff', 'r1', id), { first: { run: 'r1' }, second: { run: id }, missing: [] });
  const neither = await lockstep('diff', 'r1', 'r99x');
  t.equal(neither.exitCode, 2);
  t.match(neither.stderr, /r99x is neither a run like r17 nor a file that/);
});

t.test('an approval says what was approved, and a generated value stands once, with its layer', async (t) => {
  const { id } = await json('run', join(folder, 'mix.yaml'));
  await until('the question', async () =>
    (await json('why', id))[0]?.gate === 'approval' ? true : undefined,
  );
  t.match(
    (await lockstep('approve', id)).stdout,
    new RegExp(`^approved stir \\("Stir it\\?"\\); ${id} mix is `),
  );
  const layers = async (): Promise<string> => (await lockstep('params', 'n1', '--explain')).stdout;
  t.match(await layers(), /^key = [0-9a-f]{8}\n {2}from generated for mix: [0-9a-f]{8}\n$/);
  await lockstep('params', 'set', 'key=mine');
  t.match(await layers(), /^key = mine\n {2}from cluster: mine\n {2}over generated for mix: [0-9a-f]{8}\n$/);
  t.match((await lockstep('params', 'n1')).stdout, /^key +mine +cluster$/m);
  await lockstep('params', 'unset', 'key');
});

t.test('what cannot be is said in words', async (t) => {
  const state = await lockstep('runs', '--state', 'runing');
  t.equal(state.exitCode, 2);
  t.match(
    state.stderr,
    /^lockstep: no run is ever "runing" \(did you mean "running"\?\): --state takes queued, .*active\n$/,
  );
  const events = await lockstep('events', '--since', '99999');
  t.equal(events.exitCode, 2);
  t.match(
    events.stderr,
    /^lockstep: cannot go on after 99999: there is no event 99999 yet, the last one is \d+\n$/,
  );
});

t.test('nodes, params and tokens are changed and say so', async (t) => {
  t.equal(
    (await lockstep('node', 'label', 'n[1-2]', 'tier=gold')).stdout,
    'n1 has tier=gold\nn2 has tier=gold\n',
  );
  t.match(await json('nodes', '--where', 'labels.tier == "gold"'), [{ name: 'n1' }, { name: 'n2' }]);
  await lockstep('node', 'cordon', 'n3', '--reason', 'its disk is dying');
  t.match(
    (await lockstep('node', 'show', 'n3')).stdout,
    /state +cordoned\nbecause +its disk is dying, by \S+ since .+\n/,
  );
  await lockstep('node', 'uncordon', 'n3');
  t.match(await json('node', 'show', 'n3'), { state: 'ready' });

  await lockstep('params', 'set', 'port=80');
  await lockstep('params', 'set', 'port=8080', '--node', 'n1');
  t.match(await json('params'), [{ name: 'mix/key' }, { name: 'port' }, { name: 'port' }]);
  const explained = (await lockstep('params', 'n1', '--explain')).stdout;
  t.match(explained, /^port = 8080\n {2}from node: 8080\n {2}over cluster: 80\n/m);
  await lockstep('params', 'unset', 'port', '--node', 'n1');
  t.same((await json('params')).map(({ name }: { name: string }) => name).sort(), ['mix/key', 'port']);

  const { id, token } = await json('token', 'create', '--kind', 'operator', '--expires', '1h');
  const { url } = JSON.parse(readFileSync(join(site.data, 'operator.json'), 'utf8'));
  const elsewhere = { LOCKSTEP_DATA: '', LOCKSTEP_URL: url, LOCKSTEP_API_TOKEN: token };
  t.equal((await site.lockstepWith(elsewhere, 'runs')).exitCode, 0);
  await lockstep('token', 'revoke', id);
  t.equal((await site.lockstepWith(elsewhere, 'runs')).exitCode, 2);
  t.match((await lockstep('token', 'list')).stdout, new RegExp(`${id} +operator +revoked`));
});

// Processes would keep this one; tap's own end waits for it.
await t.test('the site closes', async () => site.close());
