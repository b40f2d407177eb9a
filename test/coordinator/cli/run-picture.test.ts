/** The picture of a run, as somebody at a terminal sees it: what is drawn, and how it fits. */
import t from 'tap';
import {
  cutLine,
  formatLine,
  type Line,
  lineWidth,
  plainPaint,
} from '../../../coordinator/cli/render/line.ts';
import { drawRun, type RunView } from '../../../coordinator/cli/render/run-picture.ts';
import { waitingLines } from '../../../coordinator/cli/render/run-rows.ts';
import { summarise } from '../../../coordinator/cli/render/run-summary.ts';
import type { Run } from '../../../coordinator/cli/resources.ts';
import { at, explanation, sampleRun, start } from './samples.ts';

const text = (lines: readonly Line[]): string =>
  lines.map((content) => formatLine(content, plainPaint).trimEnd()).join('\n');

const draw = (run: Run, more: Partial<RunView> = {}, columns = 100, rows = 40): string =>
  text(
    drawRun(
      { run, now: start + 23_000, explanations: [], tails: new Map(), lost: null, ...more },
      { columns, rows },
    ).map((content) => cutLine(content, columns)),
  );
const picture = (content: string): string => content.replace(/^\n/, '').replace(/\n *$/, '');

const busy = sampleRun(
  [
    { steps: { facts: '++++++' } },
    { steps: { elect: '+     ' } },
    { steps: { configure: '+++x*g' } },
    {
      group: 'upgrade',
      rolling: true,
      slots: ['n1', 'n2', 'n3'],
      wave: [1, 3],
      steps: { drain: '++*...', restart: '+*....', 'upgrade.verify': '*.....' },
    },
    { steps: { summary: '.     ' } },
  ],
  {},
  { attempt: 2 },
);

t.test('steps by nodes, groups, slots, the log of what failed, and what is waited for', async (t) => {
  const explanations = [
    explanation('r3/facts/n1', 'result', 'is running on n1, attempt 1', 'running'),
    explanation('r3/summary/n1', 'barrier', 'waits for upgrade.verify to finish on every node'),
    explanation(
      'r3/drain/n4',
      'slot',
      'waits for a slot in upgrade: n1, n2, n3 are unavailable, and 3 may be',
    ),
    explanation(
      'r3/drain/n5',
      'slot',
      'waits for a slot in upgrade: n1, n2, n3 are unavailable, and 3 may be',
    ),
  ];
  const tails = new Map([
    ['r3/configure/n4#2', ['+ apt-get install etcd', 'E: Unable to locate package etcd']],
  ]);
  t.equal(
    draw(busy, { explanations, tails }),
    picture(`
r3 first-steps  running  23s  14 of 32 jobs

                         n1 n2 n3 n4 n5 n6
✓ facts             6/6  ✓  ✓  ✓  ✓  ✓  ✓     7.0s
✓ elect             1/1  ✓                    2.0s
✗ configure         4/6  ✓  ✓  ✓  ✗  ●  ◌      23s  1 failed, attempt 2 on n5
● upgrade           0/6                        23s  wave 1 of 3, slots n[1-3]
  ● drain           2/6  ✓  ✓  ●  ·  ·  ·      23s  attempt 2 on n3
  ● restart         1/6  ✓  ●  ·  ·  ·  ·      23s  attempt 2 on n2
  ● upgrade.verify  0/6  ●  ·  ·  ·  ·  ·      23s  attempt 2 on n1
· summary           0/1  ·

✗ configure on n4 failed: exit 3, attempt 2
  │ + apt-get install etcd
  │ E: Unable to locate package etcd

waits  drain on n4,n5 waits for a slot in upgrade: n1, n2, n3 are unavailable, and 3 may be
`),
  );
});

t.test('what is done after a step stands under it, whatever the step is', async (t) => {
  const run = sampleRun([{ slots: ['n1'], steps: { patch: '+x', page: '-+', undrain: '*.' } }]);
  const parts = [null, 'rescue', 'always'] as const;
  const units = run.units.map((unit) => ({
    ...unit,
    strategy: 'rolling' as const,
    steps: unit.steps.map((step, index) => ({ ...step, part: parts[index] ?? null })),
  }));
  const rows = draw({ ...run, units }).split('\n');
  t.match(rows.find((row) => row.includes('page')) ?? '', /^ {2}. page \(rescue\) +2\/2/);
  t.match(rows.find((row) => row.includes('undrain')) ?? '', /^ {2}● undrain \(always\) +0\/2/);
});

t.test("times in sentences are the reader's", async (t) => {
  process.env.TZ = 'Asia/Kolkata';
  const pause = explanation('r3/a/n1', 'pause', 'waits for the pause until 2026-03-01T12:00:09.5Z');
  t.strictSame(waitingLines([pause]), ['a on n1 waits for the pause until 2026-03-01 17:30:09']);
  process.env.TZ = 'UTC';
});

t.test('a lost link of a running job, and how its iterations go', async (t) => {
  const iteration = { phase: 'run', number: 12, exitCode: 1, signal: null } as const;
  const one = sampleRun([{ steps: { wait: '*' } }], {}, { iteration, awaySince: at(11) });
  t.match(draw(one), /0\/1 .* n1 lost its link 12s ago, its job goes on, n1 iteration 12: exit 1, goes on$/m);
  const verify = { phase: 'verify', number: 2, exitCode: 137, signal: 'SIGKILL' } as const;
  const two = sampleRun([{ steps: { wait: '**' } }], {}, { iteration: verify, awaySince: at(22) });
  t.match(
    draw(two, {}, 200),
    /0\/2 .* n1,n2 lost their link 1\.0s ago, their jobs go on, n1 verify 2: ended by SIGKILL, goes on$/m,
  );
});

t.test('a small terminal gets what matters, never more than fits', async (t) => {
  t.equal(
    draw(busy, {}, 60, 9),
    picture(`
r3 first-steps  running  23s  14 of 32 jobs

✓ 2 steps done
✗ configure         4/6  ✓✓✓✗●◌    23s  1 failed, attempt 2…
● upgrade           0/6            23s  wave 1 of 3, slots …
…
· summary           0/1  ·

✗ configure on n4 failed: exit 3, attempt 2`),
  );
  for (const columns of [12, 20, 40, 80, 200])
    for (const rows of [4, 6, 8, 12, 24]) {
      const lines = drawRun(
        {
          run: busy,
          now: start,
          explanations: [],
          tails: new Map([['r3/configure/n4#2', ['x']]]),
          lost: 'gone',
        },
        { columns, rows },
      );
      t.ok(lines.length <= rows, `${rows} rows`);
      t.ok(
        lines.every((content) => lineWidth(cutLine(content, columns)) <= columns),
        `${columns} columns`,
      );
      t.match(
        lines.map((content) => formatLine(content, { ...plainPaint, asciiOnly: true })).join(''),
        /^[\x20-\x7e]*$/,
        'ASCII where nothing else can be shown',
      );
    }
});

t.test('many nodes are a strip, very many are numbers', async (t) => {
  const strip = sampleRun([{ steps: { work: `${'+'.repeat(20)}${'*'.repeat(10)}${'.'.repeat(10)}` } }]);
  t.match(draw(strip), /● work {2}20\/40 {2}✓{20}●{10}·{10} {4}23s/);
  const numbers = sampleRun([{ steps: { work: `${'+'.repeat(70)}${'x'.repeat(3)}${'.'.repeat(27)}` } }]);
  t.match(draw(numbers), /✗ work {2}73\/100 {2}✓ 70 {2}✗ 3 {2}· 27 {6}23s {2}3 failed/);
  t.match(draw(numbers), /✗ work on n\[71-73\] failed: exit 3/);
});

t.test('long names share their beginning', async (t) => {
  const run = sampleRun([{ steps: { work: '+*' } }]);
  const renamed = {
    ...run,
    units: run.units.map((unit) => ({ ...unit, nodes: ['edge-berlin-1', 'edge-berlin-2'] })),
    jobs: run.jobs?.map((job) => ({ ...job, node: `edge-berlin-${job.node.slice(1)}` })) ?? [],
  };
  t.match(draw(renamed, {}, 80), 'edge-berlin-1 edge-berlin-2');
  t.match(draw(renamed, {}, 52), /\n +1 2\n● work {2}1\/2 {2}✓ ●/);
});

t.test('a run that needs somebody says how', async (t) => {
  const run = sampleRun(
    [{ group: 'upgrade', rolling: true, approve: 'Upgrade production?', steps: { drain: 'oo' } }],
    {
      state: 'waiting-for-approval',
    },
  );
  t.equal(
    draw(run),
    picture(`
r3 first-steps  waiting-for-approval  23s  0 of 2 jobs

                n1 n2
○ upgrade  0/2                 waits for approval: Upgrade production?
  ○ drain  0/2  ○  ○

       lockstep approve r3 upgrade   or   lockstep reject r3 upgrade`),
  );
  t.match(draw(run, { lost: 'no contact' }), '\nno contact\n');
  const gathering = sampleRun([], { state: 'queued', startedAt: null });
  const waits = [
    { ...explanation('r3', 'nodes', ''), job: null, node: null, sentence: 'run r3 has not begun' },
  ];
  t.equal(
    draw(gathering, { explanations: waits }),
    'r3 first-steps  queued  23s\n\n\nwaits  run r3 has not begun',
  );
});

t.test('reasons that many share are told once, the pressing ones first', async (t) => {
  const held = 'waits: run r3 is held: too many failures';
  const barriers = [
    explanation('r3/b/n1', 'barrier', 'waits for a to finish on every node'),
    explanation('r3/b/n2', 'barrier', 'waits for a to finish on every node'),
    explanation('r3/e/n1', 'need', 'waits for b on the same node, which is waiting itself'),
  ];
  t.strictSame(
    waitingLines([
      ...barriers,
      explanation('r3/a/n3', 'contact', 'waits: n3 is unreachable'),
      explanation('r3/a/n2', 'contact', 'waits: n2 is unreachable'),
      explanation('r3/c/n1', 'hold', held),
      explanation('r3/d/n1', 'hold', held),
    ]),
    ['run r3 is held: too many failures', 'a on n2,n3 waits: it is unreachable'],
  );
  t.strictSame(
    waitingLines(barriers),
    ['b on n1,n2 waits for a to finish on every node'],
    'the order of steps only when there is nothing else, and then the next step',
  );
});

const told = (run: Run): string => text(summarise(run, start + 41_000));

t.test('the end says what came of it and what leads further', async (t) => {
  t.strictSame(summarise(busy, start), [], 'nothing while it goes on');
  t.equal(
    told(
      sampleRun([{ steps: { a: '+++' } }, { steps: { b: '+--' } }], {
        state: 'succeeded',
        finishedAt: at(41),
      }),
    ),
    '✓ r3 first-steps succeeded in 41s: 6 jobs on 3 nodes (2 skipped)',
  );
  t.equal(
    told(sampleRun([{ steps: { a: '+++' } }], { state: 'succeeded', finishedAt: at(41), checkOnly: true })),
    '✓ r3 first-steps succeeded in 41s: 3 jobs on 3 nodes (3 would change something)',
  );
  t.equal(
    told(
      sampleRun([{ steps: { a: '+xx' } }], {
        state: 'failed',
        finishedAt: at(41),
        reason: 'a failed on 2 nodes',
      }),
    ),
    picture(`
✗ r3 first-steps failed after 41s: a failed on 2 nodes
  a on n2,n3 failed: exit 3
    lockstep logs r3 a n2   what it wrote
    lockstep runs show r3   all of it`),
  );
  t.equal(
    told(
      sampleRun(
        [{ steps: { a: '+!' } }],
        { state: 'held', reason: 'a needs a decision' },
        { reason: 'interrupted' },
      ),
    ),
    picture(`
! r3 first-steps is held for a decision: a needs a decision
  a on n2 is held: interrupted
    lockstep resume r3/a/n2 --as succeeded|failed|again --reason …   say what became of it
    lockstep cancel r3                                               give it up`),
  );
  t.match(
    told(sampleRun([{ steps: { a: '+x' }, rolling: true }], { state: 'held', reason: 'a failed' })),
    /lockstep resume r3 --retry-failed .*\n.*lockstep resume r3 --accept-failed/,
  );
  t.match(
    told(
      sampleRun([{ steps: { a: '+x' }, rolling: true }], {
        state: 'held',
        reason: 'a failed',
        elections: [{ role: 'db', leader: 'n2', step: 'init', candidates: ['n1', 'n3'] }],
      }),
    ),
    /lockstep resume r3 --elect n1\|n3 +first give db another leader, whose leader n2 has init still to do\n.*--retry-failed .*\n.*--accept-failed/,
  );
  t.equal(
    told(sampleRun([{ approve: 'Go?', steps: { a: 'oo' } }], { state: 'waiting-for-approval' })),
    picture(`
! r3 first-steps waits for approval
  a: Go?
    lockstep approve r3 a
    lockstep reject r3 a --reason …`),
  );
  t.match(
    told(sampleRun([{ steps: { a: '//' } }], { state: 'cancelled', finishedAt: at(5), reason: 'by admin' })),
    '⊘ r3 first-steps was cancelled after 5.0s: by admin',
  );
});
