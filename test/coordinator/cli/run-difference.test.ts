/** What two reports differ in: by role and step, never by the name of a node. */
import t from 'tap';
import { drawComparison } from '../../../coordinator/cli/render/difference-text.ts';
import { formatLine, plainPaint } from '../../../coordinator/cli/render/line.ts';
import type { Report } from '../../../coordinator/cli/resources.ts';
import { compareReports, type Difference } from '../../../coordinator/cli/run-difference.ts';

type Node = Report['nodes'][number];
type Step = Report['steps'][number];

const nodeOf = (name: string, kind: Partial<NonNullable<Node['kind']>> = {}): Node => ({
  name,
  roles: ['web'],
  leads: [],
  kind: {
    platform: 'metal',
    system: 'Debian 12',
    kernel: '6.1.0-20',
    architecture: 'x86_64',
    threads: 8,
    memoryBytes: 1_073_741_824,
    agent: '0.2.0',
    ...kind,
  },
  became: null,
  out: null,
});

const stepOf = (id: string, more: Partial<Step> = {}): Step => ({
  id,
  title: null,
  unit: id,
  on: ['web'],
  last: false,
  nodes: 2,
  counts: { succeeded: 2 },
  unchanged: 0,
  attemptsMax: 1,
  startedAt: '2026-03-01T12:00:00.000Z',
  finishedAt: '2026-03-01T12:00:10.000Z',
  tookMs: 10_000,
  medianMs: 4_000,
  longestMs: 5_000,
  slowest: [],
  outputs: [],
  ...more,
});

const reportOf = (more: Partial<Report> = {}): Report => ({
  run: 'r1',
  pipeline: 'web',
  title: null,
  pipelineDigest: 'sha256:a',
  digest: 'sha256:plan',
  modules: {},
  cluster: 'default',
  state: 'succeeded',
  reason: null,
  by: 'operator:ann',
  limit: null,
  checkOnly: false,
  createdAt: '2026-03-01T12:00:00.000Z',
  startedAt: '2026-03-01T12:00:00.000Z',
  finishedAt: '2026-03-01T12:00:10.000Z',
  tookMs: 10_000,
  params: [],
  nodes: [nodeOf('a1'), nodeOf('a2')],
  steps: [stepOf('deploy')],
  waves: [],
  slots: [],
  approvals: [],
  deviations: [],
  deferred: [],
  leftOut: { slots: 0, deviations: 0 },
  missing: [],
  madeAt: '2026-03-01T13:00:00.000Z',
  ...more,
});

const told = (first: Partial<Report>, second: Partial<Report>): readonly (readonly (string | null)[])[] =>
  compareReports(reportOf(first), reportOf(second)).differences.map(
    ({ about, what, first: a, second: b }: Difference) => [about, what, a, b],
  );

t.test('other names and other times are no difference', (t) => {
  t.same(
    told(
      {},
      {
        run: 'r9',
        digest: 'sha256:other',
        nodes: [nodeOf('b1'), nodeOf('b2')],
        steps: [stepOf('deploy', { tookMs: 99_000, medianMs: 8_000 })],
      },
    ),
    [],
  );
  t.end();
});

t.test('revision, params and secrets', (t) => {
  const param = (name: string, value: unknown, from = 'run') => ({ name, from, value, secret: null });
  const secret = (reference: string) => ({ name: 'key', from: 'run', value: '(secret)', secret: reference });
  t.same(
    told(
      {
        params: [param('port', 80), param('old', 1), secret('r1/param/key')],
        modules: { 'm@1': 'sha256:m' },
      },
      {
        params: [param('port', 81), param('size', 'x', 'default'), secret('r2/param/key')],
        pipelineDigest: 'sha256:b',
      },
    ),
    [
      ['pipeline', 'revision', 'sha256:a', 'sha256:b'],
      ['pipeline', 'module m@1', 'sha256:m', null],
      ['param', 'port', '80 (run)', '81 (run)'],
      ['param', 'old', '1 (run)', null],
      ['param', 'size', null, 'x (default)'],
    ],
    'of secrets only that there are such',
  );
  t.end();
});

t.test('kinds of nodes by role', (t) => {
  const others = [
    nodeOf('b1', { platform: 'aws' }),
    nodeOf('b2', { platform: 'aws', kernel: '6.1.0-25' }),
    nodeOf('b3'),
  ];
  t.same(told({}, { nodes: others }), [
    ['nodes', 'web: nodes', '2', '3'],
    ['nodes', 'web: platform', 'metal', 'aws (2), metal (1)'],
    ['nodes', 'web: kernel', '6.1.0-20', '6.1.0-20 (2), 6.1.0-25 (1)'],
  ]);
  t.end();
});

t.test('outcomes, attempts and outputs of steps', (t) => {
  const output = (...values: unknown[]): Step['outputs'] => [
    { name: 'version', leftOut: 0, values: values.map((value) => ({ value, nodes: ['x'] })) },
  ];
  const failed = {
    nodes: [nodeOf('b1'), { ...nodeOf('b2'), out: 'failed' }],
    state: 'failed',
    reason: 'too many',
  };
  t.same(
    told(
      { steps: [stepOf('deploy', { outputs: output('1', '2') }), stepOf('gone')] },
      {
        ...failed,
        steps: [
          stepOf('deploy', { counts: { succeeded: 1, failed: 1 }, attemptsMax: 3, outputs: output('2') }),
        ],
      },
    ),
    [
      ['outcome', 'state', 'succeeded', 'failed'],
      ['outcome', 'reason', null, 'too many'],
      ['outcome', 'nodes that left', null, '1 of 2'],
      ['step', 'deploy: outcome', 'all succeeded', '1/2 succeeded, 1/2 failed'],
      ['step', 'deploy: most attempts', '1', '3'],
      ['step', 'gone', 'there', null],
      ['output', 'deploy: version', '1, 2', '2'],
    ],
  );
  t.end();
});

t.test('the order in which nodes answered is no difference', (t) => {
  const outputs = (...values: string[]): Step['outputs'] => [
    { name: 'id', leftOut: 0, values: values.map((value) => ({ value, nodes: ['x'] })) },
  ];
  t.same(
    told(
      { steps: [stepOf('a', { outputs: outputs('1', '2') })] },
      { steps: [stepOf('a', { outputs: outputs('2', '1') })] },
    ),
    [],
  );
  t.end();
});

t.test('what people see', (t) => {
  const slower = reportOf({
    run: 'r2',
    cluster: 'edge',
    steps: [stepOf('deploy', { medianMs: 8_000, tookMs: 20_000 })],
  });
  const text = drawComparison(compareReports(reportOf(), slower)).map((each) => formatLine(each, plainPaint));
  t.match(text.join('\n'), /^r1 {2}r1 of web on default: succeeded, .*\nr2 {2}r2 of web on edge/);
  t.match(text.join('\n'), /pipeline +cluster +default +edge\n/);
  t.match(text.join('\n'), /deploy +2 +2 +10s +20s +4\.0s +8\.0s +\+100%/);
  const same = drawComparison(compareReports(reportOf(), reportOf())).map((each) =>
    formatLine(each, plainPaint),
  );
  t.match(same.join('\n'), /^r1 \(1\) .*\nr1 \(2\) .*\n\nNothing differs but times\.\n/);
  t.end();
});
