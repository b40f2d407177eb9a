/** The other things that are drawn: plans, answers of many nodes, lines for events and logs, movements. */
import t from 'tap';
import { drawAnswers } from '../../../coordinator/cli/render/answers.ts';
import { eventLine } from '../../../coordinator/cli/render/event-line.ts';
import { formatLine, type Line, plainPaint } from '../../../coordinator/cli/render/line.ts';
import { LogLines } from '../../../coordinator/cli/render/log-lines.ts';
import { drawPlan } from '../../../coordinator/cli/render/plan-picture.ts';
import { redraw, wipe } from '../../../coordinator/cli/render/redraw.ts';
import type { LogChunk, Plan } from '../../../coordinator/cli/resources.ts';
import { ServerSentEventReader } from '../../../coordinator/cli/server-sent-events.ts';
import { at, sampleRun } from './samples.ts';

process.env.TZ = 'UTC';
const text = (lines: readonly Line[]): string =>
  lines.map((content) => formatLine(content, plainPaint).trimEnd()).join('\n');
const picture = (content: string): string => content.replace(/^\n/, '').replace(/\n *$/, '');

const plan: Plan = {
  pipeline: 'etcd-cluster',
  cluster: 'prod',
  roles: [
    {
      name: 'member',
      nodes: ['n1', 'n2', 'n3'],
      leader: 'n1',
      waits: false,
      expected: [],
      excluded: [
        { node: 'n4', reason: 'labels.use is "web"' },
        { node: 'n5', reason: 'labels.use is "web"' },
      ],
    },
    { name: 'hv', nodes: [], leader: null, waits: true, expected: ['n7', 'n8'], excluded: [] },
  ],
  units: [
    {
      id: 'install',
      kind: 'step',
      title: null,
      strategy: 'parallel',
      approve: null,
      steps: [{ id: 'install', nodes: ['n1', 'n2', 'n3'], gates: [] }],
      waves: [['n1', 'n2', 'n3']],
      downMax: 3,
      domains: [],
    },
    {
      id: 'upgrade',
      kind: 'group',
      title: 'New kernel',
      strategy: 'rolling',
      approve: 'Upgrade etcd on production?',
      steps: [
        { id: 'drain', nodes: ['n1', 'n2', 'n3'], gates: ['install on every node', 'a slot (1 at once)'] },
        { id: 'upgrade.verify', nodes: ['n1', 'n2', 'n3'], gates: ['drain on the same node'] },
      ],
      waves: [['n1'], ['n2', 'n3']],
      downMax: 1,
      domains: [
        { domain: 'a', nodes: ['n1', 'n2'], downMax: 1 },
        { domain: 'b', nodes: ['n3'], downMax: 1 },
      ],
    },
  ],
  downMax: 3,
  faults: [],
  warnings: [],
};

t.test('a plan: who, in which order, and the worst case', async (t) => {
  t.equal(
    text(drawPlan(plan)),
    picture(`
etcd-cluster on cluster prod: 3 steps on 3 nodes

ROLE    NODES   COUNT  LEADER  REMARK
member  n[1-3]      3  n1      -
hv      (none)      0  -       waits for more nodes; expected: n7,n8
  not in member: n4,n5: labels.use is "web"

   STEP              NODES   WAITS FOR
1  install           n[1-3]  -
2  upgrade rolling   n[1-3]
     drain           n[1-3]  install on every node; a slot (1 at once)
     upgrade.verify  n[1-3]  drain on the same node
     wave 1: n1 (1)
     wave 2: n2,n3 (2)
     down at once: 1 node; at most per failure domain: a 1 of 2 (n1,n2), b 1 of 1 (n3)

Worst case: at most 1 node down at once in rolling steps; the others work on up to 3 nodes at once`),
  );
  const after = { id: 'page', nodes: ['n1'], gates: ['a failure of install on the same node'] };
  const [install] = plan.units;
  if (install !== undefined)
    t.match(
      text(drawPlan({ ...plan, units: [{ ...install, steps: [...install.steps, after] }] })),
      /1 {2}install +n\[1-3\] +-\n {5}page +n1 +a failure of install on the same node\n/,
      'below a step stands what is done after it',
    );
  t.match(
    text(drawPlan({ ...plan, units: plan.units.slice(0, 1) })),
    /Worst case: no rolling steps: they work on up to 3 nodes at once$/,
  );
  t.match(
    text(drawPlan({ ...plan, faults: ['role member has 3 nodes and needs 5'] })),
    /\nIt would not be accepted:\n {2}role member has 3 nodes and needs 5$/,
  );
});

t.test('equal answers are told once, failures last', async (t) => {
  const run = sampleRun([{ steps: { exec: 'x++++?' } }]);
  const answers = (run.jobs ?? []).map((job) => ({
    job,
    stdout: job.node === 'n3' ? 'other\n' : job.state === 'succeeded' ? 'up 3 days\n' : '',
    stderr: job.state === 'failed' ? 'no such unit\n' : '',
    missingBytes: job.node === 'n3' ? 100 : 0,
  }));
  t.equal(
    text(drawAnswers(answers, 'r3', true)),
    picture(`
n2,n4,n5 (3 nodes) exit 0:
up 3 days

n3 (1 node) exit 0:
[100 bytes before this: lockstep logs r3 exec n3]
other

n1 (1 node) exit 3:
no such unit

n6 (1 node) unknown`),
  );
});

t.test('a line for each change', async (t) => {
  const lineOf = (type: string, fields: Record<string, unknown>): string | undefined =>
    eventLine({ seq: 1, at: at(184), type, run: 'r3', ...fields });
  const ended = {
    step: 'configure',
    node: 'n2',
    attempt: 1,
    outcome: 'succeeded',
    final: true,
    unchanged: false,
    exitCode: 0,
    reason: null,
    durationMs: 1_234,
    logs: { stdout: 0, stderr: 0 },
  };
  t.equal(lineOf('AttemptEnded', ended), '12:03:04 configure n2 succeeded 1.2s');
  t.equal(
    lineOf('AttemptEnded', { ...ended, unchanged: true }),
    '12:03:04 configure n2 succeeded 1.2s (nothing to do)',
  );
  t.equal(
    lineOf('AttemptEnded', { ...ended, outcome: 'failed', final: false, exitCode: 3 }),
    '12:03:04 configure n2 failed 1.2s: exit 3, tries again',
  );
  t.equal(
    lineOf('AttemptEnded', { ...ended, outcome: 'timed-out', attempt: 2, reason: 'not done after 5m' }),
    '12:03:04 configure n2 timed-out 1.2s (attempt 2): not done after 5m',
  );
  t.equal(
    lineOf('JobStarted', { step: 'configure', node: 'n2', attempt: 1 }),
    '12:03:04 configure n2 started',
  );
  t.equal(
    lineOf('JobUnknown', { step: 'a', node: 'n2' }),
    '12:03:04 a n2 unknown: contact lost while it may be running',
  );
  t.equal(
    lineOf('ApprovalRequested', { unit: 'upgrade', text: 'Go?' }),
    '12:03:04 upgrade waits for approval: Go? (lockstep approve r3 upgrade)',
  );
  t.equal(
    lineOf('JobDeferred', { step: 'a', node: 'n2', until: Date.parse(at(184)) }),
    '12:03:04 a n2 deferred until 2026-03-01 12:03:04: the node is away',
  );
  t.equal(
    lineOf('RunHeld', { reason: 'as it was at 2026-03-01T12:00:00.000Z (seq 3)' }),
    '12:03:04 run r3 held: as it was at 2026-03-01 12:00:00 (seq 3)',
  );
  t.equal(
    lineOf('WaveOpened', { unit: 'upgrade', wave: 0, nodes: ['n1'] }),
    '12:03:04 upgrade wave 1 opened for 1 node',
  );
  t.equal(lineOf('RunEnded', { state: 'failed', reason: 'a failed' }), '12:03:04 run r3 failed: a failed');
  t.equal(lineOf('NodeConnected', { node: 'n1' }), undefined, 'what is no news of the run is not told');
  t.equal(lineOf('JobStarted', { step: 1 }), undefined, 'nor what has another form than is known here');
});

t.test('log chunks become whole lines, whatever their cuts', async (t) => {
  const chunk = (stream: 'stdout' | 'stderr', offset: number, more: Partial<LogChunk>): LogChunk => ({
    attempt: 'r3/a/n1#2',
    step: 'a',
    node: 'n1',
    stream,
    offset,
    ...more,
  });
  const lines = new LogLines();
  const bytes = Buffer.from('grün\nx');
  t.strictSame(lines.push(chunk('stdout', 0, { base64: bytes.subarray(0, 3).toString('base64') })), []);
  t.strictSame(
    lines.push(chunk('stderr', 0, { text: 'warn\n' })).map((line) => line.text),
    ['warn'],
  );
  t.strictSame(lines.push(chunk('stdout', 3, { base64: bytes.subarray(3).toString('base64') })), [
    { step: 'a', node: 'n1', attempt: 2, stream: 'stdout', text: 'grün' },
  ]);
  t.strictSame(
    lines.push(chunk('stdout', 0, { text: 'grün\nx' })),
    [],
    'a second reading brings nothing new',
  );
  t.strictSame(
    lines.push(chunk('stdout', 0, { text: 'grün\nxy\n' })).map((line) => line.text),
    ['xy'],
    'but what is new',
  );
  t.strictSame(
    lines.push(chunk('stdout', 9, { gapBytes: 5 })).map((line) => line.text),
    ['[5 bytes were cut here]'],
  );
  lines.push(chunk('stdout', 14, { text: 'end' }));
  t.strictSame(
    lines.end().map((line) => line.text),
    ['end'],
  );
});

t.test('server-sent events come in pieces of any size', async (t) => {
  const stream =
    ': beat\n\nid: l:1\nevent: A\ndata: {"x":1}\n\nid: l:2\r\ndata: one\r\ndata: two\r\n\r\nid: l:3\ndata: cut';
  const whole = new ServerSentEventReader().push(stream);
  t.strictSame(whole, [
    { id: 'l:1', event: 'A', data: '{"x":1}' },
    { id: 'l:2', event: 'message', data: 'one\ntwo' },
  ]);
  const reader = new ServerSentEventReader();
  t.strictSame(
    [...stream].flatMap((piece) => reader.push(piece)),
    whole,
  );
});

/** As much of a terminal as the movements need: what stands on its lines afterwards. */
function show(writes: readonly string[]): string[] {
  const screen: string[] = [];
  let row = 0;
  let column = 0;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the sequences of a terminal
  for (const [token] of writes.join('').matchAll(/\u001b\[\??[0-9]*[a-zA-Z]|[\s\S]/g)) {
    if (token.startsWith('\u001b') && token.endsWith('A')) row -= Number(token.slice(2, -1));
    else if (token === '\u001b[K') screen[row] = (screen[row] ?? '').slice(0, column);
    else if (token === '\u001b[J') screen.splice(row);
    else if (token === '\r') column = 0;
    else if (token === '\n') {
      row += 1;
      column = 0;
    } else if (!token.startsWith('\u001b')) {
      const line = (screen[row] ?? '').padEnd(column);
      screen[row] = line.slice(0, column) + token + line.slice(column + 1);
      column += 1;
    }
  }
  return screen;
}

t.test('a picture drawn over another is the new picture, and nothing above is touched', async (t) => {
  const pictures = [
    ['head', 'a', 'b'],
    ['head', 'a longer', 'b', 'c'],
    ['head', 'x'],
    ['h'],
    [],
    ['head', 'y', 'z'],
  ];
  const writes = ['$ lockstep watch r3\n'];
  let before: readonly string[] = [];
  for (const after of pictures) {
    writes.push(redraw(before, after));
    t.strictSame(show(writes), ['$ lockstep watch r3', ...after]);
    before = after;
  }
  t.equal(redraw(before, before), '', 'no change, no movement');
  t.notMatch(redraw(['head', 'a'], ['head', 'b']), 'head', 'what stays is not written again');
  // After the terminal became 10 columns narrow, the line of 25 takes three rows.
  t.equal(wipe([4, 25], 10), '\u001b[4A\r\u001b[J');
});
