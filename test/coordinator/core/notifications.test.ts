/** What is told, in which words and with which commands; who is told it; and that declarations survive. */
import t from 'tap';
import { firstElectOption } from '../../../coordinator/core/elections.ts';
import { mayBeTold, type Notification, Notifications } from '../../../coordinator/core/notifications.ts';
import { type ReceiverFilter, wants } from '../../../coordinator/core/receivers.ts';
import { clusterOf } from '../../../coordinator/core/state.ts';
import { staleSecrets } from '../../../coordinator/sequence/stale-secrets.ts';
import { limits } from '../../../shared/limits.ts';
import type { Pipeline } from '../../../shared/pipeline/model.ts';
import { parsePipeline } from '../../../shared/pipeline/pipeline.ts';
import { throughSnapshot } from './dump.ts';
import { World } from './world.ts';

function pipelineOf(text: string): Pipeline {
  const parsed = parsePipeline({ file: 'test.yaml', text: `kind: pipeline\nname: web\n${text}` });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.diagnostics));
  return parsed.pipeline;
}

const all = "roles: { all: { select: 'true' } }\nsteps:\n";

/** Everything that there was to tell, as the state is in the end. */
function toldIn(world: World): Notification[] {
  const heard = new Notifications();
  const { runs, nodes } = world.state;
  return world.events.filter(mayBeTold).flatMap((event) => {
    const told = heard.hear(event, {
      runOf: (id) => {
        const run = runs.get(id);
        return (
          run && {
            pipeline: run.pipeline.name,
            cluster: run.cluster,
            failing: run.failing !== null,
            elect: firstElectOption(run),
          }
        );
      },
      clusterOf: (name) => {
        const node = nodes.get(name);
        return node && clusterOf(node);
      },
    });
    return told ?? [];
  });
}

function worldOf(nodes: readonly string[], steps: string): World {
  const world = new World();
  for (const node of nodes) world.connect(node, { cluster: 'prod' });
  world.run(pipelineOf(all + steps), {}, 'prod');
  for (const node of nodes) world.pull(node);
  return world;
}

t.test('a rolling step that failed', (t) => {
  const world = worldOf(['n1', 'n2'], '  - { id: a, on: all, run: x, strategy: { rolling: {} } }\n');
  world.finish('n1', 'failed');
  t.match(toldIn(world), [
    {
      kind: 'held',
      run: 'r1',
      pipeline: 'web',
      cluster: 'prod',
      what: 'Run r1 (web on prod) is held for a decision.',
      why: /a failed on n1/,
      commands: [
        'lockstep why r1',
        'lockstep resume r1 --retry-failed',
        'lockstep resume r1 --accept-failed',
        'lockstep cancel r1',
      ],
    },
  ]);
  t.end();
});

t.test('a leader that failed with something left to do: another one comes first', (t) => {
  const steps =
    '  - { id: a, on: all, run: x, strategy: { rolling: {} } }\n  - { id: b, on: all.leader, run: y }\n';
  const world = worldOf(['n1', 'n2'], steps);
  world.finish('n1', 'failed');
  t.match(toldIn(world), [
    {
      kind: 'held',
      commands: [
        'lockstep why r1',
        'lockstep resume r1 --elect n2',
        'lockstep resume r1 --retry-failed',
        'lockstep resume r1 --accept-failed',
        'lockstep cancel r1',
      ],
    },
  ]);
  t.end();
});

t.test('an approval, then a failure', (t) => {
  const world = worldOf(['n1'], "  - { id: a, on: all, run: x, approve: 'Wipe it?' }\n");
  world.command({ type: 'ApproveUnit', run: 'r1', unit: null, by: 'operator:ann', reason: '' });
  world.finish('n1', 'failed');
  t.match(toldIn(world), [
    {
      kind: 'waiting-for-approval',
      why: 'Wipe it?',
      commands: ['lockstep approve r1 a', /^lockstep reject r1 a/, 'lockstep why r1'],
    },
    {
      kind: 'failed',
      what: 'Run r1 (web on prod) has failed.',
      commands: ['lockstep report r1', 'lockstep logs r1'],
    },
  ]);
  t.end();
});

t.test('of jobs that are held one is told, until somebody has decided', (t) => {
  const world = worldOf(['n1', 'n2', 'n3'], '  - { id: a, on: all, run: x }\n');
  for (const node of ['n1', 'n2']) world.finish(node, 'interrupted');
  const decide = (node: string) =>
    world.command({
      type: 'DecideJob',
      job: `r1/a/${node}`,
      as: 'succeeded',
      by: 'operator:ann',
      reason: 'looked',
    });
  const held = () => toldIn(world).filter(({ kind }) => kind === 'held');
  t.match(held(), [
    { node: 'n1', what: /^a of run r1 is held on n1/, commands: ['lockstep why r1', /r1\/a\/n1 --as/] },
  ]);
  t.equal(held().length, 1);
  decide('n1');
  decide('n2');
  world.finish('n3', 'interrupted');
  t.match(held()[1], { node: 'n3' });
  t.equal(held().length, 2);
  t.end();
});

t.test('a node that is quarantined, and one that is away too long', (t) => {
  const world = new World();
  world.connect('n1', { cluster: 'edge' });
  world.counters.set('n1', 0);
  world.connect('n1');
  t.match(toldIn(world), [
    {
      kind: 'quarantined',
      node: 'n1',
      run: null,
      cluster: 'edge',
      commands: [/node show n1/, /node accept n1/],
    },
  ]);
  world.disconnect('n1');
  world.wait(10 * 60_000);
  t.match(toldIn(world)[1], { kind: 'unreachable', node: 'n1', commands: ['lockstep why n1'] });
  t.end();
});

t.test('deferred, then overdue, then done', (t) => {
  const world = new World();
  for (const node of ['n1', 'n2']) world.connect(node);
  world.disconnect('n2');
  world.wait(120_000);
  world.run(
    pipelineOf(`${all}  - { id: a, on: all, run: x, offline: defer, deferUntil: 1h, rerun: idempotent }\n`),
  );
  world.pull('n1');
  world.finish('n1', 'succeeded');
  world.wait(2 * 3_600_000);
  t.same(
    toldIn(world)
      .filter(({ run }) => run !== null)
      .map(({ kind, node }) => [kind, node]),
    [
      ['deferred', null],
      ['overdue', 'n2'],
      ['succeeded', null],
    ],
  );
  t.end();
});

t.test('who wants to be told', (t) => {
  const about = { kind: 'held', cluster: 'prod', pipeline: 'etcd-upgrade' } as const;
  const filter = (more: Partial<ReceiverFilter>): ReceiverFilter => ({
    kinds: ['held'],
    clusters: [],
    pipelines: [],
    ...more,
  });
  t.ok(wants(filter({}), about));
  t.notOk(wants(filter({ kinds: ['failed'] }), about));
  t.ok(wants(filter({ clusters: ['lab', 'prod'] }), about));
  t.notOk(wants(filter({ clusters: ['lab'] }), about));
  t.ok(wants(filter({ pipelines: ['web', 'etcd-*'] }), about));
  t.notOk(wants(filter({ pipelines: ['web'] }), about));
  t.notOk(wants(filter({ pipelines: ['*'] }), { ...about, pipeline: null }), 'nodes have no pipeline');
  t.end();
});

t.test('declarations: what the journal has of them, and what is refused', (t) => {
  const world = new World();
  const filter = { kinds: ['held'], clusters: [], pipelines: [] } as const;
  const url = 'https://User:pw@Hooks.example/T0/secret-token?x=1';
  const declare = (receiver: string, address = url) =>
    world.command({
      type: 'DeclareReceiver',
      receiver,
      target: { kind: 'webhook', url: address, key: 'k'.repeat(20) },
      filter,
      by: 'operator:ann',
    });
  t.equal(declare('chat'), undefined);
  t.notMatch(JSON.stringify(world.events), /secret-token|kkkk|pw@/);
  t.match(world.state.receivers.get('chat'), {
    target: { kind: 'webhook', origin: 'https://hooks.example', secret: /^receiver\/chat\/\d+$/ },
  });
  t.match(declare('chat'), /is there already: .*lockstep notify rm chat/);
  t.match(declare('Chat!'), /is not a name/);
  t.match(declare('ftp', 'ftp://x/'), /needs an address like/);
  t.same([...throughSnapshot(world.state).receivers], [...world.state.receivers], 'also after a restart');
  const remove = (receiver: string) =>
    world.command({ type: 'RemoveReceiver', receiver, by: 'operator:ann' });
  t.match(remove('nobody'), /no receiver is named nobody: see lockstep notify list/);
  const reference = world.events.flatMap((event) =>
    event.type === 'ReceiverDeclared' && event.target.kind === 'webhook' ? event.target.secret : [],
  );
  t.same(staleSecrets(reference, world.state), [], 'its secret is kept as long as it is there');
  t.equal(remove('chat'), undefined);
  t.same(staleSecrets(reference, world.state), reference);
  t.equal(world.state.receivers.size, 0);
  for (let number = 0; number < limits.receiversMax; number += 1) declare(`r${number}`);
  t.match(declare('more'), /receiversMax is 32/);
  t.end();
});
