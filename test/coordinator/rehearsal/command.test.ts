/** `lockstep rehearse` as an operator gives it: without a coordinator, and on the nodes and the past of one. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { type Ended, start } from '../cli/command.ts';
import { Site, until } from '../cli/site.ts';

const folder = t.testdir({
  'web.yaml': `kind: pipeline
name: web
params: { key: { type: string, secret: true } }
roles: { web: { select: labels.use == "web" } }
steps:
  - { id: look, on: web, run: echo, rerun: idempotent }
  - { id: roll, on: web, run: echo, strategy: { rolling: { maxUnavailable: 25%, by: { label: rack } } } }
`,
  'nightly.yaml': `kind: pipeline
name: nightly
window: { cron: 0 22 * * *, duration: 1h, timezone: Europe/Prague }
roles: { web: { select: labels.use == "web", count: 3 } }
steps:
  - { id: roll, on: web, run: echo, strategy: rolling }
`,
  'nodes.yaml': 'nodes: [{ name: w, count: 20, labels: { use: web, rack: [r1, r2] } }]\n',
});
const at = (name: string): string => join(folder, name);

const alone = (...words: string[]): Promise<Ended> => start(['rehearse', ...words], { HOME: folder }).ended;

t.test('nodes of a file, without a coordinator', async (t) => {
  const words = [at('web.yaml'), '--nodes-file', at('nodes.yaml')];
  const { exitCode, stdout, stderr } = await alone(...words, '--duration', 'roll=6m');
  t.equal(stderr, '');
  t.equal(exitCode, 0);
  t.match(stdout, /^web on cluster default, rehearsed on 20 nodes: 0 % of the jobs fail/);
  t.match(stdout, /^roll: at most 5 of 20 nodes unavailable at once \(after .*: r1 5\)$/m);
  t.match(stdout, /^succeeded after \d+m\d\ds: every step is done$/m);
  t.match(stdout, /^How long look takes is not known: say it with --duration STEP=TIME\.$/m);
  t.equal((await alone(...words, '--duration', 'roll=6m')).stdout, stdout, 'the same seed, the same story');

  const held = await alone(...words, '--fail', '10%', '--seed', '7', '-o', 'json');
  t.equal(held.exitCode, 1);
  const story = JSON.parse(held.stdout);
  t.match(story, { seed: 7, faults: { fail: 0.1 }, nodes: 20, state: 'failed', reason: /look failed on/ });
});

t.test('windows go by the time at which it would begin', async (t) => {
  const words = [at('nightly.yaml'), '--nodes-file', at('nodes.yaml'), '--duration', 'roll=25m'];
  const { exitCode, stdout, stderr } = await alone(...words, '--at', '2026-01-07T20:59:00Z');
  t.equal(exitCode, 0, stderr);
  t.match(stdout, 'roll is parked outside of its window until 2026-01-07T21:00:00.000Z');
  t.match(stdout, 'roll may begin: its window is open');
  t.notMatch(stdout, 'until 2026-01-08T21', 'the third node begins in time and goes on to its end');
  t.equal((await alone(...words, '--at', '2026-01-07T20:59:00Z')).stdout, stdout, 'whenever it is played');
  const late = await alone(...words, '--at', '2026-01-07T21:30:00Z');
  t.match(late.stdout, 'roll is parked outside of its window until 2026-01-08T21:00:00.000Z');
});

t.test('wrong use is told without a stack', async (t) => {
  const words = [at('web.yaml'), '--nodes-file', at('nodes.yaml')];
  const faults: readonly (readonly [readonly string[], RegExp])[] = [
    [['--fail', '2'], /It is not a percentage like 2% or 0\.5%\./],
    [['--fail', '200%'], /It is not a percentage/],
    [['--at', 'tonight'], /It is not a time like/],
    [['--seed', 'x'], /It is not a whole number\./],
    [['--away', 'long'], /It is not a duration like/],
    [['--duration', 'rol=6m'], /--duration names rol, which is no step of web; it has look, roll/],
    [['--duration', 'roll'], /write it as STEP=VALUE/],
    [['--duration', 'roll=6'], /6 is not a duration like/],
    [['--step-output', 'look=1'], /write it as STEP\.NAME=VALUE/],
    [['--nodes-file', at('missing.yaml')], /cannot read .*missing\.yaml/],
    [['--nodes', '99999'], /99999 nodes are too many to rehearse with: at most 5000/],
  ];
  for (const [more, message] of faults) {
    const { exitCode, stderr } = await alone(...words, ...more);
    t.match(stderr, message, more.join(' '));
    t.notMatch(stderr, /\n {4}at /);
    t.ok(exitCode === 2, `${more.join(' ')}: ${exitCode}`);
  }
  const without = await alone(at('web.yaml'));
  t.equal(without.exitCode, 3);
  t.match(without.stderr, /found no coordinator on this machine/);
});

t.test('on the nodes of a cluster, with what its runs took', async (t) => {
  const site = new Site(join(folder, 'site'));
  t.teardown(() => site.close());
  await site.open();
  const { stdout } = await site.lockstep('token', 'create', '-o', 'json');
  const { token } = JSON.parse(stdout);
  const { url } = JSON.parse(readFileSync(join(site.data, 'operator.json'), 'utf8'));
  site.join('n1', token, url, ['use=web', 'rack=a']);
  await until('the node', async () => {
    const { stdout: nodes } = await site.lockstep('nodes', '-o', 'json');
    return JSON.parse(nodes).length === 1 ? true : undefined;
  });
  const run = await site.lockstep('run', at('web.yaml'), '--param', 'key=x', '--watch');
  t.equal(run.exitCode, 0, run.stderr);

  const many = await site.lockstep('rehearse', at('web.yaml'), '--nodes', '40', '-o', 'json');
  t.equal(many.exitCode, 0, many.stderr);
  const story = JSON.parse(many.stdout);
  t.match(story, { nodes: 40, state: 'succeeded', downMax: 10, roles: { web: { nodes: 40 } } });
  t.same(
    story.steps.map(({ assumed }: { assumed: boolean }) => assumed),
    [false, false],
  );
  t.equal(JSON.parse((await site.lockstep('runs', '-o', 'json')).stdout).length, 1, 'nothing was run');
});
