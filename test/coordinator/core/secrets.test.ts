/**
 * Secrets that their store cannot take are refused by name of the bound before anything names them, and those
 * that it has lost are the trouble of the jobs that need them.
 */
import t from 'tap';
import { pipelineOf } from '../../shared/pipeline/reading.ts';
import { World } from './world.ts';

const by = 'operator:ann';
const pipeline = (steps: string): ReturnType<typeof pipelineOf> =>
  pipelineOf(`kind: pipeline
name: p
params: { token: { type: string, secret: true, default: hush }, extra: { type: string, default: '' } }
roles: { all: {} }
steps:
${steps}`);

const composing = pipeline("  - { id: a, on: all, with: { word: 'x-${{ params.token }}' }, run: echo }\n");
const making = pipeline(`  - id: make
    on: all.leader
    outputs: { word: { type: string, secret: true } }
    run: echo
  - { id: take, on: all.leader, with: { word: '\${{ steps.make.outputs.word }}' }, run: echo }
`);

function worldOf(...nodes: string[]): World {
  const world = new World();
  for (const node of nodes) world.connect(node);
  for (const node of nodes) world.pull(node);
  return world;
}

t.test(
  'a run that makes more secrets than fit is refused when it is created, and begins when they fit',
  (t) => {
    const world = worldOf('n1', 'n2', 'n3');
    world.secretsMax = 2;
    const before = world.events.length;
    t.match(world.run(composing), /would make 3 secrets .* there is room for 2 \(secretsMax is 500000\)/);
    t.equal(world.events.length, before, 'nothing has happened');
    t.equal(world.secrets.size, 0);
    world.secretsMax = 4;
    t.equal(world.run(composing), undefined);
    t.equal(world.secrets.size, 4, 'the param and one for each node');
    t.end();
  },
);

t.test('a run that waits for nodes fails when those that came are too many for the store', (t) => {
  const world = worldOf('n1');
  world.secretsMax = 2;
  const waiting = pipelineOf(`kind: pipeline
name: p
params: { token: { type: string, secret: true, default: hush } }
roles: { all: { count: 3, waitFor: 5m } }
steps:
  - { id: a, on: all, with: { word: 'x-\${{ params.token }}' }, run: echo }
`);
  t.equal(world.run(waiting), undefined);
  world.connect('n2');
  world.connect('n3');
  t.match(world.events.at(-1), { type: 'RunEnded', state: 'failed', reason: /secretsMax/ });
  t.end();
});

t.test('a job whose values have no room when it is granted fails with the bound', (t) => {
  const full = worldOf('n1');
  t.equal(full.run(composing), undefined);
  t.equal(full.run(composing), undefined);
  full.secretsMax = full.secrets.size;
  full.finish('n1', 'succeeded');
  t.match(
    full.events.find((event) => event.type === 'JobFailed'),
    { run: 'r2', step: 'a', node: 'n1', reason: /secret store is full \(secretsMax is/ },
  );
  t.equal(full.secrets.size, full.secretsMax, 'and nothing was kept for it');
  t.end();
});

t.test('work whose secret outputs have no room stays done, and who needs them fails for that reason', (t) => {
  const world = worldOf('n1');
  t.equal(world.run(making), undefined);
  world.secretsMax = world.secrets.size;
  world.finish('n1', 'succeeded', { outputs: { word: 'mouse' } });
  t.match(
    world.events.find((event) => event.type === 'AttemptEnded'),
    { step: 'make', outcome: 'succeeded', outputs: {}, reason: /secret outputs were not kept: .*secretsMax/ },
  );
  t.match(
    world.events.find((event) => event.type === 'JobFailed'),
    { step: 'take', reason: /^with\.word: make on n1: its secret outputs were not kept: .*secretsMax/ },
  );
  t.notMatch(JSON.stringify(world.events), 'mouse');
  t.end();
});

t.test('secret params without room are refused', (t) => {
  const world = worldOf('n1');
  world.secretsMax = 0;
  const set = { type: 'SetParam', scope: { cluster: 'default' }, name: 'key', value: 'x', by } as const;
  t.match(world.command({ ...set, secret: true }), /param key: the secret store is full \(secretsMax/);
  t.equal(world.command({ ...set, secret: false }), undefined);
  world.secretsMax = 10;
  world.secretBytesLeft = 0;
  t.match(world.run(composing), /params of pipeline p: the secret store is full \(secretsBytesMax/);
  t.end();
});

const handing = pipeline("  - { id: a, on: all, with: { word: '${{ params.token }}' }, run: echo }\n");

t.test('a job whose secret is lost fails and names the doctor; the others go on', (t) => {
  for (const steps of [handing, composing]) {
    const world = worldOf('n1');
    t.equal(world.run(steps), undefined);
    t.equal(world.run(steps), undefined);
    world.secrets.delete('r2/param/token');
    world.finish('n1', 'succeeded');
    t.match(
      world.events.find((event) => event.type === 'JobFailed'),
      { run: 'r2', step: 'a', node: 'n1', reason: /r2\/param\/token is not stored: see lockstep doctor/ },
    );
    t.equal(world.run(pipeline('  - { id: b, on: all, run: echo }\n')), undefined);
    t.equal(world.attemptOn('n1'), 'r3/b/n1#1');
  }
  t.end();
});

t.test('a condition that reads params fails its job when one of them is lost', (t) => {
  const world = worldOf('n1');
  const steps = pipeline(
    "  - { id: w, on: all, run: echo }\n  - { id: a, on: all, if: params.extra == '', run: echo }\n",
  );
  t.equal(world.run(steps), undefined);
  world.secrets.clear();
  world.finish('n1', 'succeeded');
  t.match(
    world.events.find((event) => event.type === 'JobFailed'),
    { step: 'a', reason: /^if: .*see lockstep doctor/ },
  );
  t.end();
});

t.test('a grant that did not arrive and cannot be sent again never began', (t) => {
  const world = new World();
  world.credit = 3;
  world.connect('n1');
  world.pull('n1');
  const steps = pipeline(`  - { id: a, on: all, run: echo }
  - { id: b, on: all, with: { word: '\${{ params.token }}' }, run: echo }
  - { id: c, on: all, run: echo }
`);
  t.equal(world.run(steps), undefined);
  t.same(
    world.held.get('n1')?.map(({ attempt }) => attempt),
    ['r1/a/n1#1', 'r1/b/n1#1', 'r1/c/n1#1'],
  );
  world.held.clear();
  world.secrets.clear();
  world.disconnect('n1');
  world.connect('n1');
  t.same(
    world.held.get('n1')?.map(({ attempt }) => attempt),
    ['r1/a/n1#1'],
  );
  world.finish('n1', 'succeeded');
  t.match(
    world.events.find((event) => event.type === 'JobFailed'),
    { step: 'b', reason: /see lockstep doctor/ },
  );
  t.match(world.events.at(-1), { type: 'RunEnded', state: 'failed' });
  t.end();
});
