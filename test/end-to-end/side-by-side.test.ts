/** Runs beside each other on real nodes: the README's examples as they stand there, and what operators are told. */
import t from 'tap';
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
