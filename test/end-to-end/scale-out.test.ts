/**
 * The example of a platform on machines that are to come, as an operator types it: twelve are imported before there
 * are any, six are switched on while a run waits for them, and the same file takes in the other six a month later.
 */
import { join } from 'node:path';
import t from 'tap';
import * as z from 'zod';
import { present } from '../../shared/assert.ts';
import { Coordinator, startAgent } from './cluster.ts';
import { type Host, type HostProcess, hostsUnavailable, Lab, projectRoot } from './hosts.ts';
import { eventually } from './processes.ts';

const folder = join(projectRoot, 'coordinator/catalog/examples/scale-out');
const pipeline = join(folder, 'pipeline.yaml');

const runDocument = z.looseObject({ id: z.string() });
const nodeList = z.array(z.object({ name: z.string(), state: z.string() }));
const explanations = z.array(z.looseObject({ sentence: z.string() }));

const nodesFrom = (first: number, last: number): string[] =>
  Array.from({ length: last - first + 1 }, (_, index) => `m-${String(first + index).padStart(2, '0')}`);

/** What etcd says on a machine. */
const etcdctl = (host: Host, ...words: string[]) => host.run(['etcdctl', ...words]);
const votersOf = async (host: Host): Promise<string[]> =>
  [...(await etcdctl(host, 'member', 'list')).matchAll(/, started, ([^,]+), .*, false$/gm)]
    .map(([, name = '']) => name)
    .sort();
const clusterIdOf = async (host: Host): Promise<string> =>
  present(
    /"cluster_id":(\d+)/.exec(await etcdctl(host, 'endpoint', 'status', '-w', 'json'))?.[1],
    'cluster id',
  );
const registeredOn = async (host: Host): Promise<string[]> =>
  (await etcdctl(host, 'get', 'machines/', '--prefix', '--keys-only')).split('\n').filter(Boolean);

t.test('twelve machines', { skip: hostsUnavailable() ?? false, timeout: 400_000 }, async (t) => {
  const lab = await Lab.start();
  t.teardown(() => lab.dispose());
  const coordinator = await Coordinator.start(await lab.addHost('ground'));
  const token = await coordinator.createToken();
  const lockstep = async (...words: string[]): Promise<string> => {
    const { status, stdout, stderr } = await coordinator.exec(words);
    t.equal(status, 0, `lockstep ${words.join(' ')} ends well ${stderr}`);
    return stdout;
  };
  const begin = async (...words: string[]): Promise<string> =>
    (await coordinator.query(runDocument, ['run', pipeline, ...words])).id;
  const whyOf = async (run: string): Promise<string> =>
    (await coordinator.query(explanations, ['why', run])).map(({ sentence }) => sentence).join('\n');
  const machines: Host[] = [];
  /** Machines know nothing of their names: what they are is told by their hardware. */
  const switchOn = async (count: number): Promise<void> => {
    const agents: HostProcess[] = [];
    for (let more = 0; more < count; more += 1) {
      const host = await lab.addHost(`metal-${machines.length + 1}`);
      machines.push(host);
      agents.push(startAgent(host, coordinator, token));
    }
    await eventually(
      'each to be recognised',
      async () => (agents.every(({ output }) => /joined as node m-/.test(output())) ? true : undefined),
      { withinMs: 90_000 },
    );
  };
  /** The nodes on which a step of a run was carried out or found done, in the order in which they began. */
  const begunIn = async (run: string, step: string): Promise<string[]> =>
    (await coordinator.events())
      .filter((event) => event.type === 'JobStarted' && event.run === run && event.step === step)
      .map(({ node = '' }) => node);
  const initialised = async (): Promise<string[]> =>
    (await Promise.all(machines.map((host) => host.exec(['cat', '/var/lib/etcd/initialised']))))
      .flatMap(({ stdout }) => stdout.split('\n'))
      .filter(Boolean);

  await t.test('are expected before there are any', async (t) => {
    await lockstep('nodes', 'import', join(folder, 'machines.csv'));
    t.strictSame(
      await coordinator.query(nodeList, ['nodes']),
      nodesFrom(1, 12).map((name) => ({ name, state: 'expected' })),
    );
  });

  const first = await begin('--limit', 'labels.delivery == "1"');
  let cluster = '';
  await t.test('six are waited for, and become a platform', async (t) => {
    const why = await whyOf(first);
    t.match(why, /role control waits for .*; expected and not there yet: m-01, m-02, m-03/);
    t.match(why, /role worker waits for .*; expected and not there yet: m-04, m-05, m-06/);
    t.notMatch(why, 'm-07', 'nobody waits for those of the next month');

    await switchOn(5);
    t.match(await whyOf(first), /role worker waits for .*; expected and not there yet: m-06$/m);
    await switchOn(1);
    await lockstep('watch', first);
    const [leader] = machines;
    const host = present(leader, 'first machine');
    t.strictSame(await votersOf(host), nodesFrom(1, 3));
    t.strictSame(
      await registeredOn(host),
      nodesFrom(4, 6).map((name) => `machines/${name}`),
    );
    t.equal((await initialised()).length, 1, 'one of them made it');
    t.strictSame(await begunIn(first, 'init'), ['m-01']);
    cluster = await clusterIdOf(host);
    await etcdctl(host, 'put', 'tenant', 'here since the first month');
  });

  await t.test('the next six are taken in by the same file', async (t) => {
    const second = await begin();
    t.match(await whyOf(second), /role control waits .*: m-07, m-08/);
    await switchOn(6);
    await lockstep('watch', second);
    const newest = present(machines[7], 'last control machine');
    t.strictSame(await votersOf(newest), [...nodesFrom(1, 3), ...nodesFrom(7, 8)]);
    t.strictSame(
      await registeredOn(newest),
      [...nodesFrom(4, 6), ...nodesFrom(9, 12)].map((name) => `machines/${name}`),
    );
    t.strictSame(await begunIn(second, 'init'), [], 'nothing is made a second time');
    t.equal((await initialised()).length, 1);
    t.equal(await clusterIdOf(newest), cluster, 'it is the same cluster');
    t.equal(
      await etcdctl(newest, 'get', 'tenant', '--print-value-only'),
      'here since the first month\n',
      'with what was in it',
    );
  });

  await t.test('once more, it changes nothing', async (t) => {
    const before = await etcdctl(present(machines[0], 'first machine'), 'member', 'list');
    await lockstep('watch', await begin());
    t.equal(await etcdctl(present(machines[0], 'first machine'), 'member', 'list'), before);
    t.equal((await initialised()).length, 1);
  });
});
