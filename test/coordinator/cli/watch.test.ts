/** Watching a run as somebody without a terminal does, over links that break; and what a terminal gets. */
import { spawn } from 'node:child_process';
import t from 'tap';
import { ContactLines, IterationLines } from '../../../coordinator/cli/render/passing-lines.ts';
import { environmentOf, type Started, start } from './command.ts';
import { CoordinatorDouble } from './coordinator-double.ts';
import { at, sampleRun } from './samples.ts';

const double = new CoordinatorDouble();
await double.open();
const waitMs = 15_000;

async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = Date.now() + waitMs;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const watch = (run: string, ...more: string[]): Started =>
  start(['watch', run, ...more], environmentOf(double));

const logs = { stdout: 0, stderr: 13 };
const ended = {
  attempt: 1,
  final: true,
  unchanged: false,
  exitCode: 0,
  reason: null,
  durationMs: 1_234,
  logs,
};
const firstSeq = (): number => (double.events.at(-1)?.seq ?? 0) + 1;

t.test('a line for each change, over a broken connection, to the exit code of the run', async (t) => {
  const seq = firstSeq();
  double.runs.set('r1', sampleRun([{ steps: { a: '**' } }], { id: 'r1', seq }));
  double.logs.push({
    attempt: 'r1/a/n2#1',
    step: 'a',
    node: 'n2',
    stream: 'stderr',
    offset: 0,
    text: 'no such file\n',
  });
  double.publish('RunCreated', { run: 'r1' });
  double.publish('JobStarted', { run: 'r1', step: 'a', node: 'n1', attempt: 1 });
  double.publish('NodeDisconnected', { run: 'r1', node: 'n1' });
  const watching = watch('r1');
  await until('the first lines', () => watching.stdout().includes('lost its link'));
  const streams = double.cursors.length;
  double.breakConnections();
  double.publish('AttemptEnded', { run: 'r1', step: 'a', node: 'n1', outcome: 'succeeded', ...ended });
  await until('the line after the break', () => watching.stdout().includes('a n1 succeeded'));
  t.equal(double.cursors.length, streams + 1);
  t.equal(double.cursors.at(-1), `l:${seq + 2}`, 'it went on after the last event that it had');

  double.publish('AttemptEnded', {
    run: 'r1',
    step: 'a',
    node: 'n2',
    ...ended,
    outcome: 'failed',
    exitCode: 2,
  });
  double.runs.set(
    'r1',
    sampleRun([{ steps: { a: '+x' } }], {
      id: 'r1',
      seq,
      state: 'failed',
      finishedAt: at(9),
      reason: 'a failed on n2',
    }),
  );
  double.publish('RunEnded', { run: 'r1', state: 'failed', reason: 'a failed on n2' });
  const { exitCode, stdout, stderr } = await watching.ended;
  t.equal(exitCode, 1);
  t.match(stderr, /^no contact with the coordinator at http:.*; trying again\n/);
  t.equal(
    stdout.replace(/^12:00:\d\d /gm, ''),
    [
      'run r1 created',
      'a n1 started',
      'n1 lost its link; a n1 goes on',
      'a n1 succeeded 1.2s',
      'a n2 failed 1.2s: exit 2',
      '    | no such file',
      'run r1 failed: a failed on n2',
      '✗ r1 first-steps failed after 9.0s: a failed on n2',
      '  a on n2 failed: exit 3',
      '    lockstep logs r1 a n2   what it wrote',
      '    lockstep runs show r1   all of it',
      '',
    ].join('\n'),
  );
});

t.test(
  'a line for a link that is lost under a running job, and for each step that repeats itself',
  async (t) => {
    const contacts = new ContactLines();
    const take = (type: string, node: string, more: object = {}): string | undefined =>
      contacts.take({ seq: 1, at: at(4), type, node, ...more })?.replace(/^\S+ /, '');
    const job = { run: 'r1', step: 'a' };
    t.equal(take('NodeDisconnected', 'n1'), undefined, 'it has nothing to do');
    t.equal(take('NodeConnected', 'n1'), undefined);
    take('JobStarted', 'n1', job);
    t.equal(take('NodeDisconnected', 'n1'), 'n1 lost its link; a n1 goes on');
    t.equal(take('NodeConnected', 'n1'), 'n1 has its link again');
    take('AttemptEnded', 'n1', { ...job, final: false });
    t.equal(take('NodeDisconnected', 'n1'), 'n1 lost its link; a n1 goes on');
    take('AttemptEnded', 'n1', { ...job, final: true });
    t.equal(take('NodeConnected', 'n1'), 'n1 has its link again');
    t.equal(take('NodeDisconnected', 'n1'), undefined);

    const iterations = new IterationLines();
    const lines = (number: number): readonly string[] => {
      const iteration = { phase: 'run', number, exitCode: 1, signal: null } as const;
      return iterations.take(sampleRun([{ steps: { a: '**', b: '+ ' } }], {}, { iteration }), 0);
    };
    t.match(lines(3), [/^\d\d:\d\d:\d\d a n1 iteration 3: exit 1, goes on$/]);
    t.strictSame(lines(3), [], 'once');
    t.match(lines(4), [/iteration 4/]);
  },
);

t.test('a run that needs a decision ends it with 4', async (t) => {
  double.runs.set(
    'r2',
    sampleRun([{ steps: { a: 'oo' }, approve: 'Go?' }], {
      id: 'r2',
      seq: firstSeq(),
      state: 'waiting-for-approval',
    }),
  );
  double.publish('ApprovalRequested', { run: 'r2', unit: 'a', text: 'Go?' });
  const approval = await watch('r2').ended;
  t.equal(approval.exitCode, 4);
  t.match(approval.stdout, /a waits for approval: Go\? \(lockstep approve r2 a\)\n/);
  t.match(approval.stdout, 'lockstep reject r2 a --reason');

  double.runs.set(
    'r3',
    sampleRun([{ steps: { a: '!' } }], { id: 'r3', seq: firstSeq(), state: 'held', reason: 'why not' }),
  );
  const held = await watch('r3', '-o', 'json').ended;
  t.equal(held.exitCode, 4);
  t.match(JSON.parse(held.stdout), { id: 'r3', state: 'held', jobs: [{ state: 'held' }] });
});

t.test('a program gets the events, and a run that is over is told at once', async (t) => {
  const seq = firstSeq();
  double.runs.set(
    'r4',
    sampleRun([{ steps: { a: '+' } }], { id: 'r4', seq, state: 'succeeded', finishedAt: at(9) }),
  );
  double.publish('RunCreated', { run: 'r4' });
  double.publish('RunEnded', { run: 'r4', state: 'succeeded', reason: '' });
  const { exitCode, stdout } = await watch('r4', '-o', 'jsonl').ended;
  t.equal(exitCode, 0);
  t.strictSame(
    stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).type),
    ['RunCreated', 'RunEnded'],
  );
});

t.test('Ctrl-C ends watching, not the run', async (t) => {
  double.runs.set('r5', sampleRun([{ steps: { a: '*' } }], { id: 'r5', seq: firstSeq() }));
  double.publish('RunCreated', { run: 'r5' });
  const watching = watch('r5');
  await until('the first line', () => watching.stdout().includes('created'));
  watching.interrupt();
  const { exitCode, stderr } = await watching.ended;
  t.equal(exitCode, 130);
  t.match(stderr, 'r5 goes on. Watch it again with `lockstep watch r5`, stop it with `lockstep cancel r5`.');
  t.notOk(double.asked.some(({ path }) => path.includes('cancel')));
});

t.test('events go on as they come', async (t) => {
  const following = start(['events', '-f', '--since', String(firstSeq() - 1)], environmentOf(double));
  double.publish('NodeConnected', { node: 'n1', address: null });
  await until('the event', () => following.stdout().includes('NodeConnected'));
  t.match(following.stdout(), /^ +\d+ {2}\d\d:\d\d:\d\d {2}NodeConnected {2}node=n1 address=null\n$/);
  following.interrupt();
  t.equal((await following.ended).exitCode, 130);
});

await t.test('a terminal gets a picture that is drawn over itself', async (t) => {
  const seq = firstSeq();
  double.runs.set(
    'r6',
    sampleRun([{ steps: { a: '*.' } }], { id: 'r6', seq, createdAt: new Date().toISOString() }),
  );
  double.publish('RunCreated', { run: 'r6' });
  // script(1) gives the program a terminal.
  const program = `${process.execPath} coordinator/main.ts watch r6`;
  const child = spawn('script', ['-qefc', program, '/dev/null'], {
    env: {
      ...environmentOf(double),
      PATH: process.env.PATH ?? '',
      TERM: 'xterm-256color',
      LANG: 'C.UTF-8',
      TZ: 'UTC',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const code = new Promise((resolve) => child.on('close', resolve));
  const timer = setTimeout(() => child.kill('SIGKILL'), waitMs);
  await until('the first picture', () => output.includes('running'));
  double.runs.set(
    'r6',
    sampleRun([{ steps: { a: '++' } }], { id: 'r6', seq, state: 'succeeded', finishedAt: at(5) }),
  );
  double.publish('RunEnded', { run: 'r6', state: 'succeeded', reason: '' });
  t.equal(await code, 0);
  clearTimeout(timer);
  t.match(output, '\u001b[32m✓\u001b[0m', 'with colours');
  t.match(output, '\u001b[?25l', 'the cursor is hidden');
  const written = output.replaceAll('\u001b', 'ESC');
  t.match(
    written,
    /ESC\[\?25h[\s\S]*r6 first-stepsESC\[0m succeeded in 5\.0s/,
    'and shown again before the end',
  );
  t.notMatch(output, '\u001b[2J', 'the screen is never cleared');
});

// An open socket would keep the process; tap's own end waits for the process.
await double.close();
