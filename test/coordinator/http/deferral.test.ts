/** What operators and programs are told of nodes that were away, in lists, of one run, and in its report. */
import t from 'tap';
import { deferralText } from '../../../coordinator/cli/render/deferral-text.ts';
import { describeRun, listRuns } from '../../../coordinator/cli/render/lists.ts';
import { writeReport } from '../../../coordinator/cli/render/report-text.ts';
import { StoryTeller } from '../../../coordinator/core/run-story.ts';
import * as resources from '../../../coordinator/http/resources.ts';
import { viewReport } from '../../../coordinator/http/views/report.ts';
import { viewArchivedRun, viewRun, viewRunListed } from '../../../coordinator/http/views/run.ts';
import { present } from '../../../shared/assert.ts';
import { parsePipeline } from '../../../shared/pipeline/pipeline.ts';
import { throughSnapshot } from '../core/dump.ts';
import { World } from '../core/world.ts';

const hour = 3_600_000;

function night(world: World, select: string): void {
  const parsed = parsePipeline({
    file: 'nightly.yaml',
    text: `kind: pipeline
name: nightly
concurrency: { group: nightly, policy: replace, per: node }
roles: { site: { select: '${select}' } }
steps:
  - { id: fetch, on: site, run: a, offline: defer, deferUntil: 30h }
`,
  });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.diagnostics));
  world.run(parsed.pipeline);
}

/** s1 is done, s2 later, s3 is superseded by the second night, s4 not back in time, s5 neither yet. */
function twoNights(): World {
  const world = new World();
  for (const site of ['s1', 's2', 's3', 's4', 's5']) world.connect(site);
  for (const site of ['s2', 's3', 's4']) world.disconnect(site);
  world.wait(61_000);
  night(world, 'name != "s5"');
  world.finish('s1', 'succeeded');
  world.connect('s2');
  world.pull('s2');
  world.finish('s2', 'succeeded');
  world.disconnect('s5');
  world.wait(24 * hour);
  night(world, 'name in ["s3", "s5"]');
  world.wait(7 * hour);
  return world;
}

const plain = (lines: ReturnType<typeof listRuns>): string =>
  lines.map((spans) => spans.map(({ text }) => text).join('')).join('\n');

t.test('each node is counted once, as the worst that can be said of it', async (t) => {
  const world = twoNights();
  const [first, second] = [...world.state.runs.values()].map((run) =>
    resources.runListed.parse(JSON.parse(JSON.stringify(viewRunListed(run)))),
  );
  const none = { done: 0, late: 0, deferred: 0, overdue: 0, superseded: 0, open: 0 };
  t.same(first?.deferral, { ...none, nodes: 4, done: 1, late: 1, overdue: 1, superseded: 1 });
  t.same(second?.deferral, { ...none, nodes: 2, deferred: 2 });
  t.equal(
    deferralText(present(first?.deferral, 'counts')),
    '2 of 4 nodes done (1 late), 1 overdue, 1 superseded',
  );
  const list = plain(listRuns([present(second, 'r2'), present(first, 'r1')], world.at));
  t.match(list, /NODES/);
  t.match(list, /0 of 2 nodes done, 2 deferred/);
});

t.test('a run says it of each job, also after a restart and in its report', async (t) => {
  const world = twoNights();
  const restarted = throughSnapshot(world.state);
  for (const state of [world.state, restarted]) {
    const run = present(state.runs.get('r1'), 'r1');
    const view = resources.run.parse(
      JSON.parse(JSON.stringify(viewRun(run, world.lookup, true, () => undefined))),
    );
    const states = (view.jobs ?? []).map(({ node, state, deferral }) => [
      node,
      state,
      deferral?.state,
      deferral?.by,
    ]);
    t.same(states, [
      ['s1', 'succeeded', undefined, undefined],
      ['s2', 'succeeded', 'late', undefined],
      ['s3', 'skipped', 'superseded', 'r2'],
      ['s4', 'skipped', 'overdue', undefined],
    ]);
    const told = plain(describeRun(view));
    t.match(told, /fetch on s3 +deferred .*, superseded by run r2/);
    t.match(told, /fetch on s4 +deferred .*, overdue: its node was not back in time/);
    const { story } = new StoryTeller('r1', run.members.keys());
    const report = resources.report.parse(
      JSON.parse(
        JSON.stringify(
          viewReport({ run: view, note: undefined, story, missing: [], now: world.at, lookup: world.lookup }),
        ),
      ),
    );
    t.same(report.deferral, view.deferral);
    t.same(
      report.deferred.map(({ node, overdue, late, supersededBy }) => [node, overdue, late, supersededBy]),
      [
        ['s2', false, true, undefined],
        ['s3', false, undefined, 'r2'],
        ['s4', true, undefined, undefined],
      ],
    );
    const text = writeReport(report);
    t.match(text, '2 of 4 nodes done (1 late), 1 overdue, 1 superseded.');
    t.match(text, 'Superseded by run r2: fetch on s3.');
  }
});

t.test('the counts outlive the run in the archive', async (t) => {
  const world = twoNights();
  world.command({ type: 'ArchiveRun', run: 'r1', digest: 'sha256:none' });
  const archived = present(throughSnapshot(world.state).archive.get('r1'), 'r1');
  t.match(viewArchivedRun(archived).deferral, { nodes: 4, done: 1, late: 1, overdue: 1, superseded: 1 });
});
