/**
 * A real cluster, end to end: etcd on real hosts is formed, restarted rack by rack under load, and grown, by
 * pipelines alone. Order is proved twice: from the journal, and from what the nodes noted as they worked.
 */
import { join } from 'node:path';
import t from 'tap';
import { Coordinator, dataFolder, startAgent } from './cluster.ts';
import { type Host, hostsUnavailable, Lab, projectRoot } from './hosts.ts';
import { inOrder, inOrderPerNode, nodesInTurn, type Witnesses, witnessesOf } from './order.ts';

const folder = join(projectRoot, 'test/end-to-end/etcd');
const memberList = (host: Host) => host.run(['etcdctl', 'member', 'list']);
const read = (host: Host, key: string) => host.run(['etcdctl', 'get', key, '--print-value-only']);
const startOfEtcd = (host: Host) =>
  host.run(['sh', '-c', 'cut -d" " -f22 "/proc/$(cat /run/etcd.pid)/stat"']);

t.test('an etcd cluster', { skip: hostsUnavailable() ?? false }, async (t) => {
  const lab = await Lab.start();
  t.teardown(() => lab.dispose());
  const control = await lab.addHost('control');
  const n1 = await lab.addHost('n1', { use: 'etcd', rack: 'r1' });
  const n2 = await lab.addHost('n2', { use: 'etcd', rack: 'r2' });
  const n3 = await lab.addHost('n3', { use: 'etcd', rack: 'r3' });
  const n4 = await lab.addHost('n4', { use: 'etcd-new', rack: 'r1' });
  const members = [n1, n2, n3];

  const coordinator = await Coordinator.start(control);
  const token = await coordinator.createToken();
  for (const host of [...members, n4]) startAgent(host, coordinator, token);
  await coordinator.nodesReady(['n1', 'n2', 'n3', 'n4']);
  /** Runs a pipeline of the folder to its end, and gives what the journal and the nodes saw of it. */
  const run = async (file: string): Promise<Witnesses> => {
    const id = await coordinator.run(join(folder, file));
    return witnessesOf(id, await coordinator.events(), await lab.readShared('trace'));
  };

  await t.test('is formed', async (t) => {
    const seen = await run('form.yaml');
    for (const [witness, executions] of Object.entries(seen)) {
      t.ok(
        inOrder(executions, 'configure', 'start'),
        `all are configured before any starts, says the ${witness}`,
      );
      t.ok(
        inOrder(executions, 'start', 'healthy'),
        `all have started before health is asked, says the ${witness}`,
      );
      t.ok(
        inOrder(executions, 'healthy', 'first-key'),
        `healthy before it is written to, says the ${witness}`,
      );
    }
    t.ok(
      inOrderPerNode(seen.journal, 'install', 'configure'),
      'each node is configured after its own installation',
    );
    t.equal((await memberList(n2)).match(/, started, .*, false$/gm)?.length, 3, 'three members have a vote');
    t.equal(await read(n3, 'greeting'), 'hello from n1\n', 'what the leader wrote is read elsewhere');

    const configuration = await n1.run(['cat', '/etc/default/etcd']);
    const secret = /^ETCD_INITIAL_CLUSTER_TOKEN=([0-9a-f]{32})$/m.exec(configuration)?.[1] ?? '';
    t.not(secret, '', 'the generated token arrived');
    const { stdout } = await control.exec(['grep', '-rlF', secret, dataFolder]);
    t.equal(stdout, '', 'and stands nowhere in clear on the coordinator');
  });

  await t.test('is restarted rack by rack, and no client notices', async (t) => {
    await control.run(['apt-get', 'install', '-y', '-qq', 'etcd-client'], { timeoutMs: 60_000 });
    const endpoints = members.map(({ address }) => `${address}:2379`).join(',');
    const client = control.spawn([join(folder, 'client.sh'), endpoints]);
    await client.printed(/^ok 5$/m);
    const before = await Promise.all(members.map(startOfEtcd));

    const seen = await run('roll.yaml');

    const written = client.output().trim().split('\n').length;
    await client.printed(new RegExp(`^ok ${written + 5}$`, 'm'));
    await client.end('SIGKILL');
    t.notMatch(client.output(), /lost/, 'every write was there to be read, with two seconds of patience');
    t.ok(written > 20, `it was busy meanwhile (${written} writes)`);
    for (const [witness, executions] of Object.entries(seen)) {
      t.strictSame(
        nodesInTurn(executions)?.toSorted(),
        ['n1', 'n2', 'n3'],
        `one node at a time, says the ${witness}`,
      );
      t.ok(inOrderPerNode(executions, 'stop', 'start'), `each stops before it starts, says the ${witness}`);
      t.ok(
        inOrderPerNode(executions, 'start', 'restart.verify'),
        `and is verified then, says the ${witness}`,
      );
    }
    const after = await Promise.all(members.map(startOfEtcd));
    t.ok(
      after.every((start, index) => start !== before[index]),
      'every member is another process',
    );
  });

  await t.test('takes in a fourth member', async (t) => {
    const seen = await run('grow.yaml');
    for (const [witness, executions] of Object.entries(seen)) {
      t.ok(
        inOrder(executions, 'learner', 'configure'),
        `the cluster knows it before it is configured, says the ${witness}`,
      );
      t.ok(
        inOrder(executions, 'configure', 'start'),
        `it is configured before it starts, says the ${witness}`,
      );
      t.ok(
        inOrder(executions, 'start', 'promote'),
        `it has started before it is promoted, says the ${witness}`,
      );
    }
    t.equal((await memberList(n4)).match(/, started, .*, false$/gm)?.length, 4, 'four members have a vote');
    t.equal(
      await read(n4, 'greeting'),
      'hello from n1\n',
      'the newcomer has what was written before it came',
    );
  });
});
