/** An operator upgrades the agents of a cluster: real programs, from the command line to the journal. */
import t from 'tap';
import * as z from 'zod';
import packageDescription from '../../package.json' with { type: 'json' };
import { deadProgram, goodProgram } from '../agent/upgrade/offered-program.ts';
import { jobOf, LocalCluster, runDocument } from './local-cluster.ts';
import { eventually } from './processes.ts';

const { version: installed } = packageDescription;
const nodeList = z.array(
  z.object({
    name: z.string(),
    version: z.string(),
    contact: z.string(),
    upgrade: z.object({ version: z.string(), state: z.string(), reason: z.string().nullable() }).nullable(),
  }),
);
const offered = z.object({ offer: z.int(), nodes: z.array(z.string()) });

const pipeline = `kind: pipeline
name: long
roles: { all: { select: 'true' } }
steps:
  - { id: work, on: all, run: 'echo begun; while ! [ -e GO ]; do sleep 0.1; done; echo done' }
  - { id: more, on: all, run: 'echo more' }
`;

t.test('agents are upgraded one by one under a running job; a bad one stops at the first', async (t) => {
  const cluster = await LocalCluster.start(t, { n1: {}, n2: {}, n3: {} });
  const versions = async (): Promise<string> =>
    (await cluster.query(nodeList, ['nodes'])).map(({ version }) => version).join();
  const file = cluster.write('long.yaml', pipeline.replace('GO', cluster.path('go')));
  const { id } = await cluster.query(z.looseObject({ id: z.string() }), ['run', file]);
  await eventually('all jobs to run', async () => {
    const { jobs } = await cluster.query(runDocument, ['runs', 'show', id]);
    return jobs.filter(({ state }) => state === 'running').length === 3 ? true : undefined;
  });

  const bad = cluster.write('bad', deadProgram('99.0.0'));
  const refused = await cluster.query(offered, ['upgrade', 'agents', '--file', bad, '--version', '99.0.0']);
  t.same(refused.nodes, ['n1', 'n2', 'n3']);
  await eventually('the failure', async () => {
    const [n1] = await cluster.query(nodeList, ['nodes']);
    return n1?.upgrade?.state === 'failed' ? true : undefined;
  });
  t.match(
    (await cluster.cli(['node', 'show', 'n1'])).stdout,
    /upgrade +99\.0\.0 failed: it ended with 3 before it was healthy/,
  );
  t.match(
    (await cluster.cli(['why', 'n2'])).stdout,
    /nobody else is asked since it failed on n1 \(it ended with 3/,
  );
  t.match((await cluster.cli(['nodes'])).stdout, /AGENT.*n1 .*\(failed: 99\.0\.0\)/s);
  t.equal(await versions(), [installed, installed, installed].join());

  const good = cluster.write('good', goodProgram('99.1.0'));
  const told = await cluster.cli(['upgrade', 'agents', '--file', good, '--version', '99.1.0', '--max', '2']);
  t.match(told.stdout, /agent 99\.1\.0 is offered to n\[1-3\] \(3 nodes\), one first/);
  await eventually('all to have it', async () =>
    (await versions()) === '99.1.0,99.1.0,99.1.0' ? true : undefined,
  );
  const order = (await cluster.events()).filter(({ type }) => type.startsWith('AgentUpgrade'));
  t.same(
    order.map(({ type, node }) => `${type} ${node}`),
    [
      'AgentUpgradeBegan n1',
      'AgentUpgradeFailed n1',
      'AgentUpgradeBegan n1',
      'AgentUpgradeBegan n2',
      'AgentUpgradeBegan n3',
    ],
  );

  cluster.write('go', '');
  const run = await eventually('the run to end', async () => {
    const now = await cluster.query(runDocument, ['runs', 'show', id]);
    return now.state === 'succeeded' ? now : undefined;
  });
  for (const node of ['n1', 'n2', 'n3']) {
    t.match(jobOf(run, 'work', node), { state: 'succeeded', attempt: 1, exitCode: 0 });
    t.match((await cluster.cli(['logs', id, 'work', node])).stdout, /begun\n.*done\n/s);
  }
});
