/** Nodes that are expected and nodes that get another machine: what the state keeps of them, and through snapshots. */
import t from 'tap';
import type { Expectation } from '../../../coordinator/core/expectation.ts';
import { limits } from '../../../shared/limits.ts';
import { dumpState, throughSnapshot } from './dump.ts';
import { World } from './world.ts';

const by = 'operator:ann';

const expectation = (node: string, more: Partial<Expectation> = {}): Expectation => ({
  node,
  serial: `S-${node}`,
  uuid: null,
  macs: [],
  labels: { rack: 'a' },
  address: null,
  bmc: null,
  ...more,
});

const expectIn = (world: World, ...nodes: Expectation[]): string | undefined =>
  world.command({ type: 'ExpectNodes', nodes, by });

const replace = (world: World, node: string): string | undefined =>
  world.command({ type: 'ReplaceNode', node, by, reason: 'it burnt' });

t.test('labels that are expected lie between those of the agent and those of operators', (t) => {
  const world = new World();
  expectIn(world, expectation('n1', { labels: { rack: 'a', site: 'x' } }));
  world.connect('host', { rack: 'agent', own: 'yes' }, { hardware: { serial: 's-n1 ' } });
  const labels = (): unknown => world.state.nodes.get('n1')?.labels;
  t.same(labels(), { rack: 'a', site: 'x', own: 'yes' });
  world.command({ type: 'LabelNode', node: 'n1', set: { site: 'y' }, unset: [], by });
  expectIn(world, expectation('n1', { labels: { rack: 'b', site: 'z' } }));
  t.same(labels(), { rack: 'b', site: 'y', own: 'yes' }, 'a changed line changes the node');
  const { seq } = world.state;
  expectIn(world, expectation('n1', { serial: 's-N1', labels: { site: 'z', rack: 'b' } }));
  t.equal(world.state.seq, seq, 'the same in other words is not journaled');
  t.end();
});

t.test('an expected node is no node yet', (t) => {
  const world = new World();
  expectIn(world, expectation('n1'));
  const administer = world.command({
    type: 'AdministerNode',
    node: 'n1',
    administration: 'cordoned',
    by,
    reason: '',
  });
  t.match(administer, /n1 is expected and has not joined yet: change its line/);
  t.match(replace(world, 'n1'), /n1 is expected and has not joined yet/);
  t.equal(world.command({ type: 'RemoveNode', node: 'n1', by, reason: '' }), undefined);
  world.connect('host', {}, { hardware: { serial: 'S-n1' } });
  t.ok(world.state.nodes.has('host'), 'nobody is expected any more');
  t.match(
    expectIn(world, expectation('n1', { serial: 'S-N1' })),
    /serial S-N1 is that of node host, which is there/,
  );
  t.end();
});

t.test('a node that is there is not expected to be another machine, unless it is to be replaced', (t) => {
  const world = new World();
  world.connect('n1', {}, { hardware: { serial: 'S-1' } });
  t.match(
    expectIn(world, expectation('n1', { serial: 'S-2' })),
    /another machine \(serial S-1\): say lockstep node replace n1/,
  );
  world.disconnect('n1');
  t.equal(replace(world, 'n1'), undefined);
  t.equal(expectIn(world, expectation('n1', { serial: 'S-2' })), undefined);
  world.incarnations.set('spare', 'inc-spare');
  world.connect('spare', {}, { hardware: { serial: 'S-2' } });
  t.equal(world.state.nodes.get('n1')?.incarnation, 'inc-spare');
  t.notOk(world.state.nodes.has('spare'));
  t.end();
});

t.test('who had the name before is kept, within a bound, those who are refused the longest', (t) => {
  const world = new World();
  world.connect('n1', {}, { hardware: { serial: 'S-0' } });
  const next = (incarnation: string): void => {
    world.incarnations.set('n1', incarnation);
    world.counters.set('n1', 0);
    world.connect('n1');
  };
  world.disconnect('n1');
  replace(world, 'n1');
  next('inc-second');
  for (let count = 0; count < limits.formersKept + 5; count += 1) {
    world.disconnect('n1');
    world.wait(61_000);
    next(`inc-reimaged-${count}`);
  }
  const formers = world.state.nodes.get('n1')?.formers ?? [];
  t.equal(formers.length, limits.formersKept);
  t.match(formers[0], { incarnation: 'inc-n1-1', replaced: { by, reason: 'it burnt' } });
  t.match(formers.at(-1), { replaced: null });
  t.end();
});

t.test('what replace does to a retired node, and what it says twice', (t) => {
  const world = new World();
  world.connect('n1');
  world.disconnect('n1');
  world.command({ type: 'AdministerNode', node: 'n1', administration: 'retired', by, reason: 'old' });
  t.equal(replace(world, 'n1'), undefined);
  const { seq } = world.state;
  t.equal(replace(world, 'n1'), undefined);
  t.equal(world.state.seq, seq, 'once is enough');
  t.match(world.state.nodes.get('n1'), { administration: 'in-service', administrationBy: by });
  t.end();
});

t.test('snapshots keep expectations, vacancies and former machines', (t) => {
  const world = new World();
  expectIn(world, expectation('n1'), expectation('n2', { serial: null, macs: ['52:54:00:00:00:01'] }));
  world.connect('host', {}, { hardware: { serial: 'S-n1' } });
  world.disconnect('n1');
  replace(world, 'n1');
  const again = throughSnapshot(world.state);
  t.equal(dumpState(again), dumpState(world.state));
  t.same([...again.expectedMarks], [...world.state.expectedMarks]);
  t.end();
});
