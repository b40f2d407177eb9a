/**
 * Machines that do not exist yet: told of in a file, waited for by a run, recognised by their hardware on hosts that
 * are apart, and one of them replaced in the middle of a job.
 */
import t from 'tap';
import * as z from 'zod';
import { present } from '../../shared/assert.ts';
import { Coordinator, startAgent } from './cluster.ts';
import { type Host, type HostProcess, hostsUnavailable, Lab } from './hosts.ts';
import { eventually, waitForEnd } from './processes.ts';

const nodeDocument = z.looseObject({
  name: z.string(),
  state: z.string(),
  labels: z.record(z.string(), z.string()),
  expectation: z.looseObject({ bmc: z.string().nullable() }).nullable(),
  formers: z.array(z.looseObject({ replaced: z.looseObject({ reason: z.string() }).nullable() })),
});
const lines = z.array(z.object({ name: z.string(), line: z.int(), change: z.string(), joined: z.boolean() }));
const runDocument = z.looseObject({ id: z.string(), state: z.string() });
const explanations = z.array(z.looseObject({ sentence: z.string() }));

const pipeline = (name: string, script: string) => `kind: pipeline
name: ${name}
roles: { db: { select: 'labels.use == "db"', waitFor: 10m } }
steps:
  - { id: step, on: db, run: '${script}', rerun: idempotent }
`;

/** Which machine does the work of a node; the one named `a` does not come to an end of the second run's. */
const sign = 'echo "$LOCKSTEP_NODE on $(hostname)" >>/shared/signed';
const linger =
  'echo "$LOCKSTEP_NODE on $(hostname)" >>/shared/lingered; [ "$(hostname)" != a ] || sleep 1000';

const macOf = ({ address }: Host): string =>
  `02:00:00:00:00:${Number(address.split('.').at(-1)).toString(16).padStart(2, '0')}`;

t.test(
  'machines that do not exist yet',
  { skip: hostsUnavailable() ?? false, timeout: 240_000 },
  async (t) => {
    const lab = await Lab.start();
    t.teardown(() => lab.dispose());
    const [ground, a, b, spare] = [
      await lab.addHost('ground'),
      await lab.addHost('a'),
      await lab.addHost('b'),
      await lab.addHost('spare'),
    ];
    const coordinator = await Coordinator.start(ground);
    const token = await coordinator.createToken();
    const inventory = (first: Host): string => `name,mac,site,rack,bmc,labels.use
db-1,${macOf(first)},north,r1,10.9.0.1,db
db-2,${macOf(b).toUpperCase().replaceAll(':', '-')},north,r2,10.9.0.2,db
`;
    const signed = async (name: string): Promise<string[]> =>
      (await lab.readShared(name))
        .split('\n')
        .filter((line) => line !== '')
        .sort();
    const agents = new Map<Host, HostProcess>();
    const begin = (host: Host): HostProcess => {
      const agent = startAgent(host, coordinator, token);
      agents.set(host, agent);
      return agent;
    };
    const end = (host: Host, signal: NodeJS.Signals): Promise<void> =>
      present(agents.get(host), `agent on ${host.name}`).end(signal);

    await t.test('a file is judged line by line, and imported once', async (t) => {
      const wrong = lab.writeShared('wrong.csv', inventory(b).replace('labels.use', 'lables.use'));
      const refused = await coordinator.exec(['nodes', 'import', wrong]);
      t.equal(refused.status, 2);
      t.match(refused.stderr, '/shared/wrong.csv:1:24: error: there is no column "lables.use"');
      const twice = lab.writeShared('twice.csv', inventory(b));
      t.match(
        (await coordinator.exec(['nodes', 'import', twice])).stderr,
        `/shared/twice.csv:3:6: error: mac ${macOf(b)} is that of node db-1, which is expected`,
      );
      const file = lab.writeShared('racks.csv', inventory(a));
      t.match(await coordinator.query(lines, ['nodes', 'import', file, '--dry-run']), [
        { name: 'db-1', line: 2, change: 'expected', joined: false },
        { name: 'db-2', line: 3, change: 'expected' },
      ]);
      t.same(await coordinator.query(z.array(nodeDocument), ['nodes']), [], 'a dry run changes nothing');
      t.equal((await coordinator.exec(['nodes', 'import', file])).status, 0);
      t.match(await coordinator.query(lines, ['nodes', 'import', file]), [
        { change: 'unchanged' },
        { change: 'unchanged' },
      ]);
      t.match(await coordinator.query(z.array(nodeDocument), ['nodes']), [
        { name: 'db-1', state: 'expected', labels: { site: 'north', rack: 'r1', use: 'db' } },
        { name: 'db-2', state: 'expected', expectation: { bmc: '10.9.0.2' } },
      ]);
      t.match(
        (await coordinator.exec(['why', 'db-1'])).stdout,
        `no machine with mac ${macOf(a)} has connected yet`,
      );
    });

    await t.test('a run waits for them, and each becomes the node that is expected', async (t) => {
      const file = lab.writeShared('first.yaml', pipeline('first', sign));
      t.match(
        (await coordinator.exec(['plan', file])).stdout,
        /db .* waits for more nodes; expected: db-\[1,2\]/,
      );
      const { id } = await coordinator.query(runDocument, ['run', file]);
      const [why] = await coordinator.query(explanations, ['why', id]);
      t.match(
        why?.sentence,
        /role db waits for 1 connected node and all that are expected until .*; expected and not there yet: db-1, db-2/,
      );
      begin(b);
      await begin(a).printed(/joined as node db-1/);
      t.equal((await coordinator.exec(['watch', id])).status, 0);
      t.same(await signed('signed'), ['db-1 on a', 'db-2 on b']);
    });

    await t.test('the name stays when the agent starts again', async (t) => {
      await end(b, 'SIGTERM');
      await begin(b).printed(/lockstep-agent .* as db-2, state in/);
      await coordinator.nodesReady(['db-1', 'db-2']);
      t.equal((await coordinator.query(z.array(nodeDocument), ['nodes'])).length, 2);
    });

    await t.test('a dead machine is replaced in the middle of a job', async (t) => {
      const file = lab.writeShared('second.yaml', pipeline('second', linger));
      const { id } = await coordinator.query(runDocument, ['run', file]);
      await eventually('both to have begun', async () =>
        (await signed('lingered')).length === 2 ? true : undefined,
      );
      const refused = await coordinator.exec(['node', 'replace', 'db-1']);
      t.equal(refused.status, 2);
      t.match(refused.stderr, 'node db-1 is connected: stop its agent first');
      await end(a, 'SIGKILL');
      await a.powerOff();
      await eventually('the link to be lost', async () => {
        const { status } = await coordinator.exec(['node', 'replace', 'db-1', '--reason', 'board is dead']);
        return status === 0 ? true : undefined;
      });
      t.match((await coordinator.exec(['why', 'db-1'])).stdout, 'db-1 is to be another machine');
      const changed = lab.writeShared('racks.csv', inventory(spare));
      t.match(await coordinator.query(lines, ['nodes', 'import', changed]), [
        { name: 'db-1', change: 'changed', joined: false },
        { name: 'db-2', change: 'unchanged', joined: true },
      ]);
      begin(spare);
      t.equal((await coordinator.exec(['watch', id])).status, 0);
      t.same(await signed('lingered'), ['db-1 on a', 'db-1 on spare', 'db-2 on b']);
    });

    await t.test('the old machine is refused when it comes back, and history says who was who', async (t) => {
      await a.powerOn();
      const back = begin(a);
      await waitForEnd(back.child, 'the agent that is refused');
      t.equal(back.child.exitCode, 2);
      t.match(back.output(), /this host was node db-1 and was replaced by operator:.* \(board is dead\)/);
      const node = await coordinator.query(nodeDocument, ['nodes', 'show', 'db-1']);
      t.match(node.formers, [{ replaced: { reason: 'board is dead' } }]);
      const shown = (await coordinator.exec(['nodes', 'show', 'db-1'])).stdout;
      t.match(
        shown,
        new RegExp(`formerly +incarnation .*mac ${macOf(a)}.*replaced by operator:.*: board is dead`),
      );
      const replaced = present(
        (await coordinator.events()).find(({ type }) => type === 'NodeReplaced'),
        'event',
      );
      t.match(replaced, { node: 'db-1', reason: 'board is dead', by: /^operator:/ });
    });
  },
);
