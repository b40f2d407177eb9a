/** Runs beside each other on real nodes: the README's examples as they stand there, and what operators are told. */
import t from 'tap';
import * as z from 'zod';
import { present } from '../../shared/assert.ts';
import { pipelinesUnder } from './language/readme-examples.ts';
import { jobOf, LocalCluster, runDocument } from './local-cluster.ts';
import { eventually } from './processes.ts';

t.test('a nightly run, and one that may not be beside it', { timeout: 60_000 }, async (t) => {
  const cluster = await LocalCluster.start(t, { n1: { demo: 'yes' }, n2: { demo: 'yes' } });
  const [nightly = ''] = pipelinesUnder('Beside other runs');
  const done = await cluster.run(cluster.write('nightly.yaml', nightly));
  t.equal(done.state, 'succeeded');
  t.match(jobOf(done, 'apply', 'n2'), { state: 'succeeded' });

  const held = cluster.write(
    'held.yaml',
    `kind: pipeline
name: held
concurrency: switch
roles: { all: { select: 'name == "n1"' } }
steps:
  - { id: ask, on: all, approve: Now?, run: 'true' }
`,
  );
  const first = await cluster.cli(['run', held, '-o', 'json']);
  t.equal(first.status, 0, first.stderr);
  const { id } = runDocument.partial({ jobs: true }).parse(JSON.parse(first.stdout));
  const other = (policy: string): string =>
    cluster.write(
      `${policy}.yaml`,
      `kind: pipeline
name: ${policy}
concurrency: { group: switch, policy: ${policy} }
roles: { all: { select: 'name == "n2"' } }
steps:
  - { id: a, on: all, run: 'true' }
`,
    );
  const refused = await cluster.cli(['run', other('reject')]);
  t.not(refused.status, 0);
  t.match(refused.stderr, `run ${id} (held, waiting-for-approval) of it has not ended`);
  const replacing = await cluster.run(other('replace'));
  t.equal(replacing.state, 'succeeded');
  const replaced = await eventually('the older one to be cancelled', async () => {
    const shown = await cluster.query(runDocument, ['runs', 'show', id]);
    return shown.state === 'cancelled' ? shown : undefined;
  });
  t.match(present(replaced.reason, 'reason'), `run ${replacing.id} takes its place`);
});

t.test('a disruption budget over all runs', { timeout: 60_000 }, async (t) => {
  const cluster = await LocalCluster.start(t, { n1: {}, n2: {}, n3: {} });
  const pipeline = (name: string, node: string): string =>
    cluster.write(
      `${name}.yaml`,
      `kind: pipeline
name: ${name}
roles: { all: { select: 'name == "${node}"' } }
steps:
  - { id: work, on: all, run: 'true', strategy: rolling }
`,
    );
  const set = await cluster.cli(['cluster', 'set', 'default', '--max-unavailable', '50%']);
  t.equal(set.status, 0, set.stderr);
  t.match(set.stderr, 'of 3 nodes of cluster default, 1 may be unavailable; none is now');
  const wrong = await cluster.cli(['cluster', 'set', 'default', '--max-unavailable', '0%']);
  t.equal(wrong.status, 2);
  t.match(wrong.stderr, '--max-unavailable cannot be "0%"');

  await cluster.cli(['node', 'cordon', 'n3', '--reason', 'disk']);
  const started = await cluster.cli(['run', pipeline('waits', 'n1'), '-o', 'json']);
  const { id } = runDocument.partial({ jobs: true }).parse(JSON.parse(started.stdout));
  const why = await cluster.cli(['why', id]);
  t.match(
    why.stdout,
    'the disruption budget of cluster default allows 1 of 3 nodes (50%) to be unavailable, and 1 is: 1 cordoned (n3)',
  );
  const listed = await cluster.cli(['clusters', '-o', 'json']);
  t.match(JSON.parse(listed.stdout), [
    { name: 'default', nodes: 3, unavailable: 1, allowed: 1, causes: [{ cause: 'cordoned', nodes: ['n3'] }] },
  ]);
  t.match((await cluster.cli(['clusters'])).stdout, /default +3 +1 +1 \(50%\) +1 cordoned \(n3\)/);
  await cluster.cli(['node', 'uncordon', 'n3']);
  await eventually('the run to go on', async () => {
    const shown = await cluster.query(runDocument, ['runs', 'show', id]);
    return shown.state === 'succeeded' ? shown : undefined;
  });
});

t.test('a step outside of its window', { timeout: 60_000 }, async (t) => {
  const cluster = await LocalCluster.start(t, { n1: { demo: 'yes' }, n2: { demo: 'yes' } });
  const [patch = ''] = pipelinesUnder('Maintenance windows');
  const plan = await cluster.cli(['plan', cluster.write('patch.yaml', patch)]);
  t.equal(plan.status, 0, plan.stderr);
  t.match(plan.stdout, 'its window "0 22 * * mon-fri" for 6h (Europe/Prague)');

  // Whatever the time is: one window is always open, and one opens in half a year.
  const month = ((new Date().getUTCMonth() + 6) % 12) + 1;
  const far = patch.replace('0 22 * * mon-fri', `0 0 1 ${month} *`);
  const started = await cluster.cli(['run', cluster.write('patch.yaml', far), '-o', 'json']);
  t.equal(started.status, 0, started.stderr);
  const { id } = runDocument.partial({ jobs: true }).parse(JSON.parse(started.stdout));
  const parked = await eventually('the run to be parked', async () => {
    const shown = await cluster.query(runDocument, ['runs', 'show', id]);
    return shown.state === 'paused' ? shown : undefined;
  });
  t.match(jobOf(parked, 'fetch', 'n2'), { state: 'succeeded' }, 'its own window is open');
  t.match(parked.reason, /^swap is outside of its window until \d{4}-/);
  const { units } = await cluster.query(
    z.looseObject({ units: z.array(z.looseObject({ id: z.string() })) }),
    ['runs', 'show', id],
  );
  t.match(
    units.find((unit) => unit.id === 'swap'),
    { window: { timezone: 'Europe/Prague', open: false, until: /^\d{4}-/ } },
  );
  const why = await cluster.cli(['why', id]);
  t.match(why.stdout, /drain\/n1 is parked until .*: swap begins in its window "0 0 1 \d+ \*" for 6h/);
  const cancelled = await cluster.cli(['cancel', id]);
  t.equal(cancelled.status, 0, cancelled.stderr);
});
