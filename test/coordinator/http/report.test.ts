/** What a report tells of a run, from its events, its jobs and its nodes; and of one that only the archive has. */
import t from 'tap';
import type { Event } from '../../../coordinator/core/events.ts';
import { StoryTeller } from '../../../coordinator/core/run-story.ts';
import { hearEvents } from '../../../coordinator/http/reports.ts';
import * as resources from '../../../coordinator/http/resources.ts';
import { type ReportView, viewReport } from '../../../coordinator/http/views/report.ts';
import { viewRun } from '../../../coordinator/http/views/run.ts';
import { viewNote } from '../../../coordinator/http/views/run-note.ts';
import { present } from '../../../shared/assert.ts';
import { limits } from '../../../shared/limits.ts';
import type { Pipeline } from '../../../shared/pipeline/model.ts';
import { parsePipeline } from '../../../shared/pipeline/pipeline.ts';
import { throughSnapshot } from '../core/dump.ts';
import { World } from '../core/world.ts';

function pipelineOf(text: string): Pipeline {
  const parsed = parsePipeline({ file: 'test.yaml', text: `kind: pipeline\nname: test\n${text}` });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.diagnostics));
  return parsed.pipeline;
}

/** The journal of a world, of which what is before `oldest` is gone but for what operators did. */
const journalOf = (events: readonly Event[], oldest = 1) => ({
  oldest: async () => oldest,
  async *read({ from }: { readonly from: number }) {
    yield events.filter(({ seq }) => seq >= from);
  },
  async *audit(from: number) {
    yield events.filter(({ seq, type }) => seq >= from && seq < oldest && type.startsWith('Approval'));
  },
});

async function reportOf(world: World, id: string, oldest = 1): Promise<ReportView> {
  const run = present(world.state.runs.get(id), id);
  // As it is stored and read again when it is archived.
  const whole = { ...viewRun(run, world.lookup, true, () => undefined), note: viewNote(run, world.lookup) };
  const { note, ...shown } = resources.archivedRun.parse(JSON.parse(JSON.stringify(whole)));
  const teller = new StoryTeller(id, run.members.keys());
  const missing = await hearEvents(teller, run.createdSeq, journalOf(world.events, oldest));
  const report = viewReport({
    run: shown,
    note,
    story: teller.story,
    missing,
    now: world.at,
    lookup: world.lookup,
  });
  return resources.report.parse(JSON.parse(JSON.stringify(report)));
}

const rolling =
  pipelineOf(`params: { word: { type: string, default: hi }, key: { type: string, secret: true } }
roles: { all: { select: 'true' } }
steps:
  - { id: prepare, on: all, outputs: { v: { type: string } }, run: a, retry: { attempts: 2, backoff: 1s }, rerun: idempotent }
  - { id: swap, on: all, approve: 'Swap?', strategy: { rolling: { waves: [1, '100%'] } }, run: b }
finally:
  - { id: tell, on: all.leader, run: c, rerun: idempotent }
`);

function playedOut(): World {
  const world = new World();
  for (const node of ['n1', 'n2', 'n3']) world.connect(node, { platform: node === 'n3' ? 'aws' : 'metal' });
  world.run(rolling, { key: 'hush' });
  for (const node of ['n1', 'n2', 'n3']) world.pull(node);
  world.retry('n1');
  world.wait(2_000);
  for (const node of ['n1', 'n2', 'n3'])
    world.finish(node, 'succeeded', {
      outputs: { v: node === 'n3' ? '2' : '1' },
      durationMs: node === 'n2' ? 9_000 : 10,
    });
  world.command({ type: 'ApproveUnit', run: 'r1', unit: null, by: 'operator:ann', reason: 'change 4711' });
  world.finish('n1', 'succeeded');
  world.wait(1_000);
  world.finish('n2', 'failed');
  world.command({
    type: 'ResumeRun',
    run: 'r1',
    how: { kind: 'retry-failed' },
    by: 'operator:bob',
    reason: 'mended',
  });
  world.finish('n2', 'succeeded');
  world.finish('n3', 'succeeded');
  world.finish('n1', 'succeeded');
  return world;
}

t.test('a whole run', async (t) => {
  const world = playedOut();
  const report = await reportOf(world, 'r1');
  t.match(report, {
    run: 'r1',
    pipeline: 'test',
    state: 'succeeded',
    by: 'operator:test',
    pipelineDigest: /^sha256:/,
    missing: [],
    params: [
      { name: 'word', from: 'default', value: 'hi', secret: null },
      { name: 'key', from: 'run', value: '(secret)', secret: /^r1\// },
    ],
    approvals: [{ unit: 'swap', text: 'Swap?', state: 'given', by: 'operator:ann', reason: 'change 4711' }],
  });
  t.notMatch(JSON.stringify(report), 'hush');
  t.match(report.steps[0], {
    id: 'prepare',
    on: ['all'],
    last: false,
    counts: { succeeded: 3 },
    attemptsMax: 2,
    longestMs: 9_000,
    slowest: [{ node: 'n2', durationMs: 9_000 }],
    outputs: [
      {
        name: 'v',
        values: [
          { value: '1', nodes: ['n1', 'n2'] },
          { value: '2', nodes: ['n3'] },
        ],
      },
    ],
  });
  t.match(report.steps[2], { id: 'tell', on: ['all.leader'], last: true });
  t.same(
    report.waves.map(({ wave, nodes }) => [wave, nodes]),
    [
      [1, ['n1']],
      [2, ['n2', 'n3']],
    ],
  );
  t.same(
    report.slots.map(({ node, until }) => [node, until !== null]),
    [
      ['n1', true],
      ['n2', true],
      ['n3', true],
    ],
  );
  const told = report.deviations.map(({ kind, node, by }) => [kind, node, by]);
  t.same(told, [
    ['retry', 'n1', null],
    ['failed', 'n2', null],
    ['failed', null, null],
    ['held', null, null],
    ['decision', null, 'operator:bob'],
  ]);
});

t.test('the version of an agent is the one that the run began with', async (t) => {
  const world = new World();
  world.connect('n1', {}, { version: '0.1.0' });
  world.run(pipelineOf("roles: { all: { select: 'true' } }\nsteps: [{ id: a, on: all, run: x }]\n"));
  world.pull('n1');
  world.finish('n1', 'succeeded');
  world.connect('n1', {}, { version: '0.2.0' });
  t.match((await reportOf(world, 'r1')).nodes, [{ name: 'n1', kind: { agent: '0.1.0' }, became: null }]);
  const run = present(throughSnapshot(world.state).runs.get('r1'), 'r1');
  t.equal(viewNote(run, world.lookup).nodes.n1?.found.agent, '0.1.0', 'also after a restart');
});

t.test('a job whose node was away for a while', async (t) => {
  const world = new World();
  world.connect('n1');
  world.run(pipelineOf("roles: { all: { select: 'true' } }\nsteps: [{ id: a, on: all, run: x }]\n"));
  world.pull('n1');
  world.start('n1');
  const since = world.at;
  world.disconnect('n1');
  world.wait(120_000);
  world.connect('n1');
  const until = world.at;
  world.finish('n1', 'succeeded');
  t.match((await reportOf(world, 'r1')).deviations, [
    {
      kind: 'unknown',
      step: 'a',
      node: 'n1',
      at: new Date(since).toISOString(),
      until: new Date(until).toISOString(),
    },
  ]);
});

t.test('what is too much is counted', (t) => {
  const teller = new StoryTeller('r1', []);
  const max = limits.reportDeviationsMax;
  for (let seq = 1; seq <= max + 2; seq += 1)
    teller.hear({ seq, at: 0, type: 'JobHeld', run: 'r1', step: 'a', node: 'n1', reason: '' });
  for (let seq = 1; seq <= limits.reportSlotsMax + 3; seq += 1)
    teller.hear({ seq, at: 0, type: 'SlotTaken', run: 'r1', unit: 'a', node: 'n1' });
  t.match(teller.story, { leftOut: { deviations: 2, slots: 3 } });
  t.equal(teller.story.deviations.length, max);
  t.equal(teller.story.slots.length, limits.reportSlotsMax);
  t.end();
});

t.test('what events no longer tell is said, and what operators did is still there', async (t) => {
  const world = playedOut();
  const report = await reportOf(world, 'r1', world.events.length + 1);
  t.match(report.missing, [/events before seq \d+ are not kept any more/]);
  t.match(report.approvals, [{ by: 'operator:ann', reason: 'change 4711' }]);
  t.same(report.deviations, []);
  t.match(report.steps[0], { counts: { succeeded: 3 }, on: ['all'] }, 'jobs are in the archive itself');
});
