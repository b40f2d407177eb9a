/** What a node tells after a restore, case by case; the stories are in test/scenarios/restores.txt. */
import t from 'tap';
import { standingOf } from '../../../coordinator/core/disruption.ts';
import { mayBeCarriedOutByOthers } from '../../../coordinator/core/executors.ts';
import { runStateOf } from '../../../coordinator/core/shown-states.ts';
import { limits } from '../../../shared/limits.ts';
import { parsePipeline } from '../../../shared/pipeline/pipeline.ts';
import { dumpState, throughSnapshot } from './dump.ts';
import { World } from './world.ts';

function run(world: World, text: string): void {
  const parsed = parsePipeline({ file: 'p.yaml', text: `kind: pipeline\nname: p\n${text}\n` });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.diagnostics));
  const fault = world.run(parsed.pipeline);
  if (fault !== undefined) throw new Error(fault);
}

/** n1 has been granted both steps at once when the backup is taken. */
function restoredSegment(): World {
  const world = new World();
  world.credit = 2;
  world.connect('n1');
  run(
    world,
    `roles: { all: { select: 'true' } }\nsteps: [{ id: a, on: all, run: x }, { id: b, on: all, run: x }]`,
  );
  world.restore(world.events.length, 'B');
  return world;
}

const states = (world: World): string[] =>
  world.state.runs.get('r1')?.steps.map(({ jobs }) => jobs.get('n1')?.state ?? '') ?? [];

const typesSince = (world: World, seq: number): string[] =>
  world.events.slice(seq).map((event) => ('step' in event ? `${event.type} ${event.step}` : event.type));

t.test('what was granted to follow a job that went another way does not begin', async (t) => {
  const world = restoredSegment();
  const seq = world.events.length;
  const attempts = [{ attempt: 'r1/a/n1#2', outcome: 'succeeded' as const }];
  world.held.clear();
  world.connect('n1', {}, { held: [], remembered: { attempts, oldest: null } });
  t.same(typesSince(world, seq), ['NodeConnected', 'AttemptDisclosed a', 'JobHeld b']);
  t.same(states(world), ['held', 'held']);
  t.equal(world.attemptOn('n1'), undefined, 'nothing was granted again');
});

t.test('the grant that both histories have counts with all its jobs', async (t) => {
  const world = restoredSegment();
  world.held.clear();
  const remembered = {
    attempts: [
      { attempt: 'r1/a/n1#1', outcome: 'succeeded' as const },
      { attempt: 'r1/b/n1#1', outcome: 'succeeded' as const },
    ],
    oldest: null,
  };
  world.connect('n1', {}, { held: [], remembered });
  t.same(
    world.held.get('n1')?.map(({ attempt }) => attempt),
    ['r1/a/n1#1', 'r1/b/n1#1'],
    'sent again, for the agent to answer with what came of it',
  );
});

t.test('an attempt that never began is no reason to hold its job', async (t) => {
  const world = restoredSegment();
  const seq = world.events.length;
  const attempts = [{ attempt: 'r1/a/n1#2', outcome: 'not-started' as const }];
  world.connect('n1', {}, { remembered: { attempts, oldest: null } });
  t.notOk(typesSince(world, seq).includes('AttemptDisclosed a'));
});

t.test('whoever has forgotten what came after the backup has its jobs held', async (t) => {
  for (const [oldest, held] of [
    ['r1/first/n1#1', false],
    ['r1/second/n1#1', true],
  ] as const) {
    const world = new World();
    world.connect('n1');
    run(
      world,
      `roles: { all: { select: 'true' } }
steps: [{ id: first, on: all, run: x }, { id: second, on: all, approve: sure, run: x }]`,
    );
    world.finish('n1', 'succeeded');
    world.restore(world.events.length, 'B');
    world.connect('n1', {}, { remembered: { attempts: [], oldest } });
    t.equal(world.state.runs.get('r1')?.jobsHeld, held ? 1 : 0, `its memory begins with ${oldest}`);
  }
});

t.test('a node tells once in each lineage, and what is undecided is left alone', async (t) => {
  const world = new World();
  world.connect('n1');
  run(world, `roles: { all: { select: 'true' } }\nsteps: [{ id: a, on: all, run: x, approve: sure }]`);
  const seq = world.events.length;
  world.command({ type: 'ApproveUnit', run: 'r1', unit: null, by: 'x', reason: '' });
  world.restore(seq, 'B');
  world.connect('n1');
  t.same(states(world), ['held']);
  world.connect('n1');
  t.same(world.cancels, [], 'it goes on');
  t.equal(world.events.filter(({ type }) => type === 'AttemptDisclosed').length, 1);
  world.command({ type: 'DecideJob', job: 'r1/a/n1', as: 'succeeded', by: 'x', reason: '' });
  world.connect('n1');
  t.match(world.cancels, [{ attempt: 'r1/a/n1#1' }], 'until it is decided');
});

t.test('a run that waited for its nodes waits on when it is resumed', async (t) => {
  const world = new World();
  run(
    world,
    `roles: { all: { select: 'true', count: 1, waitFor: 1m } }\nsteps: [{ id: a, on: all, run: x }]`,
  );
  world.restore(world.events.length, 'B');
  world.wait(120_000);
  const waiting = world.state.runs.get('r1');
  t.equal(waiting === undefined ? '' : runStateOf(waiting), 'held', 'not while it is held');
  world.command({ type: 'ResumeRun', run: 'r1', how: { kind: 'continue' }, by: 'x', reason: '' });
  world.wait(1);
  t.match(world.state.runs.get('r1')?.end, { state: 'failed', reason: /waited 1m/ });
});

t.test('steps are not skipped while nobody has said how the run goes on', async (t) => {
  const world = new World();
  for (const node of ['n1', 'n2']) world.connect(node);
  run(
    world,
    `roles: { all: { select: 'true' } }
steps: [{ id: a, on: all, run: x, approve: sure, offline: skip }]`,
  );
  world.restore(world.events.length, 'B');
  world.connect('n1');
  world.wait(120_000);
  t.equal(world.events.filter(({ type }) => type === 'JobSkipped').length, 0);
});

t.test('numbers of attempts never reach those of the next lineage', async (t) => {
  const world = new World();
  world.connect('n1');
  run(world, `roles: { all: { select: 'true' } }\nsteps: [{ id: a, on: all, run: x, rerun: idempotent }]`);
  const job = world.state.runs.get('r1')?.steps[0]?.jobs.get('n1');
  if (job === undefined) throw new Error('no job');
  for (let count = 1; count < limits.attemptsPerLineageMax; count += 1) {
    world.finish('n1', 'interrupted');
    if (job.state === 'held')
      world.command({ type: 'DecideJob', job: 'r1/a/n1', as: 'again', by: 'x', reason: '' });
  }
  t.equal(world.attemptOn('n1'), `r1/a/n1#${limits.attemptsPerLineageMax}`);
  world.finish('n1', 'interrupted');
  world.command({ type: 'DecideJob', job: 'r1/a/n1', as: 'again', by: 'x', reason: '' });
  t.match(world.state.runs.get('r1')?.end, { state: 'failed' });
  t.equal(world.attemptOn('n1'), undefined);
});

t.test('what a node did at the end of a lost run is decided when it is the turn of that', async (t) => {
  const world = new World();
  world.connect('n1');
  run(
    world,
    `roles: { all: { select: 'true' } }
steps: [{ id: a, on: all, approve: sure, run: x }]
finally: [{ id: z, on: all, run: x }]`,
  );
  const seq = world.events.length;
  world.command({ type: 'ApproveUnit', run: 'r1', unit: null, by: 'x', reason: '' });
  world.finish('n1', 'succeeded');
  world.finish('n1', 'succeeded');
  world.restore(seq, 'B');
  world.connect('n1');
  t.same(states(world), ['held', 'held']);
  const asReported = {
    type: 'ResumeRun',
    run: 'r1',
    how: { kind: 'as-reported' },
    by: 'x',
    reason: '',
  } as const;
  const early = world.command({ type: 'DecideJob', job: 'r1/z/n1', as: 'succeeded', by: 'x', reason: '' });
  t.match(early, /one of the last steps/);
  world.command(asReported);
  t.same(states(world), ['succeeded', 'held']);
  t.match(world.state.runs.get('r1'), { outcome: { state: 'succeeded' }, end: null });
  world.command(asReported);
  t.match(world.state.runs.get('r1'), { end: { state: 'succeeded' } });
});

t.test('whoever is told of a later restore than its own and restores again comes after that', async (t) => {
  const world = new World();
  world.connect('n1');
  world.restore(world.events.length, 'B');
  const later = world.at + 1_000_000;
  const fenced = (epoch: number, begunAt?: number): string[] => {
    const seq = world.events.length;
    world.command({ type: 'ReportNewerReign', node: 'n1', lineage: 'C', epoch, begunAt });
    return typesSince(world, seq);
  };
  t.same(fenced(1), ['ReignFenced']);
  t.same(fenced(2), [], 'once');
  t.same(fenced(3, later), ['ReignFenced'], 'its clock was ahead');
  t.same(fenced(3, later), []);
  world.restore(world.events.length, 'D');
  t.match(world.state, { fence: null, restoration: { begunAt: later + 1 } });
});

t.test('a run that stands in line ends when it is decided that its lost part failed', async (t) => {
  const world = new World();
  world.connect('n1');
  const roles = "roles: { all: { select: 'true' } }";
  run(world, `${roles}\nsteps: [{ id: a, on: all, run: x }]`);
  run(world, `${roles}\nsteps: [{ id: b, on: all, run: x }]`);
  const seq = world.events.length;
  world.finish('n1', 'succeeded');
  world.finish('n1', 'failed');
  world.restore(seq, 'B');
  world.connect('n1');
  world.command({ type: 'DecideJob', job: 'r2/b/n1', as: 'failed', by: 'x', reason: '' });
  t.match(world.state.runs.get('r2'), { startedAt: null, end: { state: 'failed' } });
});

t.test('what another restore of the same backup has used as numbers is used by nobody else', async (t) => {
  const world = new World();
  world.connect('n1');
  const text = `roles: { all: { select: 'true' } }\nsteps: [{ id: a, on: all, run: x }]`;
  const seq = world.events.length;
  world.restore(seq, 'B');
  world.connect('n1');
  run(world, text);
  t.equal(world.attemptOn('n1'), 'r1/a/n1#1001');
  world.restore(seq, 'C');
  world.connect('n1');
  world.finish('n1', 'succeeded');
  world.held.clear();
  run(world, text);
  t.equal(world.attemptOn('n1'), 'r1/a/n1#2001', 'it is another run');
});

t.test('whoever carried something out for others in a lost run may still speak of it', async (t) => {
  const world = new World();
  world.connect('n1');
  const seq = world.events.length;
  world.restore(seq, 'B');
  t.equal(mayBeCarriedOutByOthers(world.state, 'r1/a/n2#1'), true);
  t.equal(
    mayBeCarriedOutByOthers(world.state, 'r1/a/n2#1001'),
    false,
    'of this history there is no such run',
  );
  world.connect('n1', {}, { held: [{ attempt: 'r1/a/n2#1001', state: 'ended' }] });
  t.equal(mayBeCarriedOutByOthers(world.state, 'r1/a/n2#1001'), true, 'of another one there is');
});

t.test('an end that comes after a later attempt made in the new lineage is noted', async (t) => {
  const world = new World();
  world.connect('n1');
  const seq = world.events.length + 3;
  run(
    world,
    `roles: { all: { select: 'true' } }\nsteps: [{ id: a, on: all, run: x }, { id: b, on: all, run: x }]`,
  );
  world.restore(seq, 'B');
  world.command({ type: 'ResumeRun', run: 'r1', how: { kind: 'continue' }, by: 'x', reason: '' });
  world.held.clear();
  world.connect('n1');
  world.finish('n1', 'succeeded');
  const before = world.events.length;
  world.report('n1', 'r1/a/n1#1', 'failed');
  t.match(world.events.slice(before), [{ type: 'StaleResultReported', attempt: 'r1/a/n1#1' }]);
});

t.test('an end that comes after that of a later attempt of the same grant is noted', async (t) => {
  const world = new World();
  world.connect('n1');
  run(
    world,
    `roles: { all: { select: 'true' } }\nsteps: [{ id: a, on: all, run: x, rerun: idempotent, retry: { attempts: 3 } }]`,
  );
  world.restore(world.events.length, 'B');
  world.connect('n1');
  world.report('n1', 'r1/a/n1#2', 'succeeded');
  const before = world.events.length;
  world.report('n1', 'r1/a/n1#1', 'failed', { final: false });
  t.match(world.events.slice(before), [{ type: 'StaleResultReported', attempt: 'r1/a/n1#1' }]);
});

t.test('what a node tells of a run that has ended changes nothing in it', async (t) => {
  const world = new World();
  world.connect('n1');
  run(world, `roles: { all: { select: 'true' } }\nsteps: [{ id: a, on: all, run: x }]`);
  world.finish('n1', 'failed');
  t.equal(world.state.runs.get('r1')?.end?.state, 'failed');
  world.restore(world.events.length, 'B');
  const before = world.events.length;
  world.held.clear();
  const attempts = [{ attempt: 'r1/a/n1#2', outcome: 'succeeded' as const }];
  world.connect('n1', {}, { held: [], remembered: { attempts, oldest: null } });
  t.same(typesSince(world, before), ['NodeConnected']);
  t.equal(dumpState(throughSnapshot(world.state)), dumpState(world.state));
});

t.test('asking for room in a cluster without nodes changes nothing', async (t) => {
  const world = new World();
  const by = 'operator:ann';
  world.connect('n1');
  world.command({ type: 'SetDisruptionBudget', cluster: 'default', maxUnavailable: { count: 1 }, by });
  world.command({ type: 'AdministerNode', node: 'n1', administration: 'retired', by, reason: '' });
  t.same(standingOf(world.state, 'default').nodes, new Set());
  t.equal(dumpState(throughSnapshot(world.state)), dumpState(world.state));
});
