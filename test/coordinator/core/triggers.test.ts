/** What starts runs by itself: when, how often, and what becomes of it when it cannot. */
import t, { type Test } from 'tap';
import type { Event } from '../../../coordinator/core/events.ts';
import { explainTrigger } from '../../../coordinator/core/triggering.ts';
import type { TriggerCause } from '../../../coordinator/core/triggers.ts';
import { addFromEvent, nothingNamed } from '../../../coordinator/sequence/named-digests.ts';
import { staleSecrets } from '../../../coordinator/sequence/stale-secrets.ts';
import type { Pipeline } from '../../../shared/pipeline/model.ts';
import { parsePipeline } from '../../../shared/pipeline/pipeline.ts';
import { dumpState, throughSnapshot } from './dump.ts';
import { World } from './world.ts';

function pipelineOf(text: string): Pipeline {
  const parsed = parsePipeline({ file: 'test.yaml', text: `kind: pipeline\nname: web\n${text}` });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.diagnostics));
  return parsed.pipeline;
}

const work = pipelineOf(`roles: { edge: { select: 'labels.use == "edge"' } }
steps:
  - { id: work, on: edge, run: ./x }
`);
const minute = 60_000;
const everyNight = { kind: 'cron', cron: '0 2 * * *', timezone: 'Europe/Berlin' } as const;

type More = { everyMs?: number; onlyNew?: boolean; pipeline?: Pipeline; params?: Record<string, unknown> };

function declare(world: World, on: TriggerCause, more: More = {}): string | undefined {
  const { everyMs = minute, onlyNew = false, pipeline = work, params = {} } = more;
  return world.command({
    type: 'DeclareTrigger',
    trigger: 'tr',
    on,
    atMostEveryMs: everyMs,
    onlyNew,
    starts: {
      type: 'CreateRun',
      by: 'operator:ann',
      cluster: 'default',
      pipeline,
      params,
      generated: Object.fromEntries(Object.keys(pipeline.params).map((name) => [name, 'ab'.repeat(16)])),
      limit: null,
      checkOnly: false,
    },
  });
}

function worldOf(...nodes: readonly string[]): World {
  const world = new World();
  for (const node of nodes) {
    world.connect(node, { use: 'edge' });
    world.pull(node);
  }
  return world;
}

const told = (world: World): string[] =>
  world.events.flatMap((event: Event) => {
    if (event.type === 'TriggerFired') return [`${event.started}: ${event.what}`];
    return event.type === 'TriggerFailed' ? [`none: ${event.what}: ${event.reason}`] : [];
  });

const why = ({ state }: World): string => {
  const trigger = state.triggers.get('tr');
  return trigger === undefined ? '' : explainTrigger(state, trigger);
};

/** A new coordinator goes on from a snapshot of the old one. */
function startAnew(t: Test, world: World): void {
  const before = dumpState(world.state);
  world.state = throughSnapshot(world.state);
  t.strictSame(dumpState(world.state), before, 'a snapshot has it all');
  world.command({ type: 'BeginReign', lineage: 'test', epoch: world.state.epoch + 1, version: '0' });
}

t.test('a time, in its zone, once for each time that has come', async (t) => {
  const world = worldOf('n1');
  t.equal(declare(world, everyNight), undefined);
  t.equal(why(world), 'tr waits for its time: 2026-01-01T01:00:00.000Z');
  world.wait(59 * minute);
  t.strictSame(told(world), []);
  world.wait(minute);
  t.strictSame(told(world), ['r1: it was time (2026-01-01T01:00:00.000Z)']);
  t.equal(world.state.runs.get('r1')?.by, 'trigger:tr');
  world.finish('n1', 'succeeded');
  startAnew(t, world);
  // It was off for three nights: that is one run, not three.
  world.connect('n1');
  world.wait(3 * 24 * 60 * minute);
  t.equal(told(world).length, 2);
  t.equal(why(world), 'tr waits for its time: 2026-01-05T01:00:00.000Z');
});

t.test('a time when nothing can be started', async (t) => {
  const world = worldOf();
  declare(world, everyNight);
  world.wait(60 * minute);
  t.match(told(world), [/^none: it was time .*: role edge needs 1 node and none matched/]);
  t.match(world.state.triggers.get('tr'), { lastFailure: { reason: /role edge/ } });
  world.connect('n1', { use: 'edge' });
  world.wait(24 * 60 * minute);
  t.match(told(world)[1], /^r1: it was time/);
  t.match(world.state.triggers.get('tr'), { lastFailure: null });
});

t.test('runs do not pile up behind one that cannot begin', async (t) => {
  const world = worldOf('n1');
  world.run(work);
  declare(world, { kind: 'cron', cron: '* * * * *', timezone: 'UTC' });
  world.wait(minute);
  t.equal(world.state.runs.get('r2')?.startedAt, null, 'r1 has the node');
  world.wait(10 * minute);
  t.equal(world.state.runs.size, 2);
  world.finish('n1', 'succeeded');
  world.finish('n1', 'succeeded');
  world.wait(2 * minute);
  t.equal(world.state.runs.size, 3);
});

t.test('nodes that join', async (t) => {
  const world = worldOf('old');
  t.match(declare(world, { kind: 'join', where: 'labels.usee == ' }), /cannot be used/);
  t.equal(
    declare(world, { kind: 'join', where: 'labels.use == "edge"' }, { everyMs: 10 * minute, onlyNew: true }),
    undefined,
  );
  t.equal(why(world), 'tr waits for a node to join: labels.use == "edge"');
  world.wait(minute);
  t.strictSame(told(world), [], 'who is there has joined');

  world.connect('other', { use: 'ctl' });
  world.connect('n1', { use: 'edge' });
  t.strictSame(told(world), ['r1: n1 has joined']);
  t.strictSame([...(world.state.runs.get('r1')?.members.keys() ?? [])], ['n1'], 'only on those that are new');
  world.pull('n1');
  world.finish('n1', 'succeeded');

  world.connect('n2', { use: 'edge' });
  world.command({ type: 'LabelNode', node: 'other', set: { use: 'edge' }, unset: [], by: 'operator:ann' });
  world.connect('n1');
  t.equal(told(world).length, 1, 'not more often than it may');
  t.equal(
    why(world),
    'tr: n2 has joined (2 nodes in all); waits until 2026-01-01T00:11:00.000Z, as it was here not long ago',
  );
  startAnew(t, world);
  for (const node of ['n1', 'n2', 'other']) world.connect(node);
  world.wait(10 * minute);
  t.strictSame(told(world), ['r1: n1 has joined', 'r2: n2 has joined']);
  t.strictSame([...(world.state.runs.get('r2')?.members.keys() ?? [])].sort(), ['n2', 'other']);
});

t.test('a service that is provided', async (t) => {
  const world = worldOf('n1');
  declare(world, { kind: 'service', service: 'etcd' });
  const provider = pipelineOf(`roles: { edge: { select: 'true' } }
steps:
  - { id: start, on: edge, run: ./x, provides: { service: etcd, port: 2379 } }
`);
  world.run(provider);
  world.finish('n1', 'succeeded');
  t.strictSame(told(world), ['r2: n1 provides etcd']);
  world.finish('n1', 'succeeded');
  world.wait(10 * minute);
  world.run(provider);
  world.finish('n1', 'succeeded');
  t.equal(told(world).length, 1, 'where it was before: nothing is new');
});

t.test('a call from outside', async (t) => {
  const world = worldOf('n1');
  declare(world, { kind: 'webhook', hash: 'sha256:00' }, { everyMs: 5 * minute });
  for (let call = 0; call < 100; call += 1) world.command({ type: 'MeetTrigger', trigger: 'tr' });
  t.strictSame(told(world), ['r1: its webhook was called']);
  t.equal(world.events.filter(({ type }) => type === 'TriggerMatched').length, 2, 'calls fill no journal');
  world.finish('n1', 'succeeded');
  world.wait(5 * minute);
  t.equal(told(world).length, 2, 'what came meanwhile counts for the next run');
  t.match(world.command({ type: 'MeetTrigger', trigger: 'no' }), /no trigger is named no/);
});

t.test('by hand, and taken away', async (t) => {
  const world = worldOf('n1');
  declare(world, everyNight);
  t.match(declare(world, everyNight), /a trigger named tr is there already/);
  t.equal(world.command({ type: 'FireTrigger', trigger: 'tr', by: 'operator:ann' }), undefined);
  t.strictSame(told(world), ['r1: operator:ann asked for it']);
  world.command({ type: 'RemoveTrigger', trigger: 'tr', by: 'operator:ann' });
  world.wait(48 * 60 * minute);
  t.equal(world.state.runs.size, 1);
});

t.test('params, also secret and generated ones', async (t) => {
  const pipeline = pipelineOf(`params:
  token: { secret: true }
  made: { secret: true, generate: { hex: 16 } }
  site: {}
roles: { edge: { select: 'true' } }
steps:
  - { id: work, on: edge, run: ./x, with: { both: '\${{ params.token + params.made }}', site: '\${{ params.site }}' } }
`);
  const world = worldOf('n1');
  t.match(
    declare(world, everyNight, { pipeline, params: { token: 's3cret' } }),
    /param site \(string\) has no value/,
  );
  t.equal(world.secrets.size, 0, 'what was refused left nothing');
  t.equal(declare(world, everyNight, { pipeline, params: { token: 's3cret', site: 'ber' } }), undefined);
  t.notMatch(JSON.stringify(world.events), /s3cret|abab/);
  t.strictSame(staleSecrets(world.secrets.keys(), world.state), [], 'they are kept until it is taken away');
  startAnew(t, world);
  world.connect('n1');
  world.pull('n1');
  world.wait(60 * minute);
  t.strictSame(told(world), ['r1: it was time (2026-01-01T01:00:00.000Z)']);
  const reference = [...world.secrets.keys()].find((name) => name.includes('/with/both')) ?? '';
  t.equal(world.secrets.get(reference), JSON.stringify(`s3cret${'ab'.repeat(16)}`));
  world.command({ type: 'RemoveTrigger', trigger: 'tr', by: 'operator:ann' });
  const stale = staleSecrets(world.secrets.keys(), world.state);
  t.match(stale, [/^trigger\/tr\/token\/\d+$/], 'then the run has its own');
});

t.test('files of its pipeline are kept', async (t) => {
  const world = worldOf('n1');
  const digest = `sha256:${'0'.repeat(64)}`;
  const [unit] = work.units;
  const [step] = unit?.steps ?? [];
  const [task] = step?.tasks ?? [];
  if (!unit || !step || !task) throw new Error('a step is missing');
  const units = [{ ...unit, steps: [{ ...step, tasks: [{ ...task, bundle: digest }] }] }];
  declare(world, everyNight, { pipeline: { ...work, units } });
  const named = nothingNamed();
  for (const event of world.events) addFromEvent(named, event);
  t.ok(named.naming.has(digest));
});
