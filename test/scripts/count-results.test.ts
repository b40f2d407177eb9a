/** The numbers of the closing line are honest: every way in which a test file can end badly is a failure. */
import t from 'tap';
import { countResults, type FileResult } from '../../scripts/count-results.ts';

/** Fed in pieces of seven characters: results must not depend on how output is cut into chunks. */
async function count(tap: string): Promise<FileResult[]> {
  const files: FileResult[] = [];
  await countResults(
    (async function* () {
      for (let at = 0; at < tap.length; at += 7) yield tap.slice(at, at + 7);
    })(),
    (file) => files.push(file),
  );
  return files;
}

const brief = (files: readonly FileResult[]) =>
  files.map(({ name, passed, failures, skips }) => ({
    name,
    passed,
    failures: failures.map((failure) => failure.name),
    skips: skips.map((skip) => `${skip.name}: ${skip.reason}`),
  }));

/** TAP of a run of files: each has a name, the lines of its own TAP, and its closing point. */
const run = (...files: readonly [lines: readonly string[], close: string][]): string =>
  [
    'TAP version 14',
    ...files.flatMap(([lines, close]) => [
      `# Subtest: ${close.replace(/^(not )?ok \d+ - | #.*$/g, '')}`,
      ...lines.map((line) => `    ${line}`),
      close,
    ]),
    `1..${files.length}`,
    '',
  ].join('\n');

const subtest = ['# Subtest: inner', '    ok 1 - one', '    ok 2 - two', '    1..2', 'ok 1 - inner'];

t.test('only innermost assertions count', async (t) => {
  const files = await count(
    run(
      [[...subtest, 'ok 2 - three', '1..2'], 'ok 1 - a.ts # time=12.5ms'],
      [['ok 1', '1..1'], 'ok 2 - b.ts'],
    ),
  );
  t.strictSame(brief(files), [
    { name: 'a.ts', passed: 3, failures: [], skips: [] },
    { name: 'b.ts', passed: 1, failures: [], skips: [] },
  ]);
  t.equal(files[0]?.durationMs, 12.5);
});

t.test('failures carry their full name and diagnostic', async (t) => {
  const lines = [
    '# Subtest: inner',
    '    ok 1 - fine',
    '    not ok 2 - same',
    '      ---',
    '      diff: "-1 +2"',
  ];
  const files = await count(
    run([[...lines, '      ...', '    1..2', 'not ok 1 - inner', '1..1'], 'not ok 1 - a.ts']),
  );
  t.strictSame(brief(files), [{ name: 'a.ts', passed: 1, failures: ['a.ts > inner > same'], skips: [] }]);
  t.strictSame(files[0]?.failures[0]?.diagnostic, { diff: '-1 +2' });
});

t.test('skips and to-dos are neither passed nor failed, and keep their reason', async (t) => {
  const lines = [
    'ok 1 - no root # SKIP needs root',
    'not ok 2 - later # TODO soon',
    'ok 3 - bare # SKIP',
    'ok 4',
    '1..4',
  ];
  const files = await count(
    run([lines, 'ok 1 - a.ts'], [['1..0 # needs a network'], 'ok 2 - b.ts # SKIP needs a network']),
  );
  t.strictSame(brief(files), [
    {
      name: 'a.ts',
      passed: 1,
      failures: [],
      skips: ['a.ts > no root: needs root', 'a.ts > later: to do: soon', 'a.ts > bare: no reason given'],
    },
    { name: 'b.ts', passed: 0, failures: [], skips: ['b.ts: needs a network'] },
  ]);
});

t.test('a file that crashes, times out or is killed has failed', async (t) => {
  const crashed = ['ok 1 - one', '# Subtest: inner', '    ok 1 - two', '# test count(1) != plan(null)'];
  const files = await count(
    run([crashed, 'not ok 1 - a.ts'], [['ok 1 - one', '1..1'], 'not ok 2 - b.ts'], [[], 'not ok 3 - c.ts']),
  );
  for (const { name, failures } of files) t.not(failures.length, 0, name);
  t.equal(files.length, 3);
});

t.test('a file without any assertion has failed', async (t) => {
  const files = await count(run([['1..0 # no tests found'], 'ok 1 - a.ts # SKIP no tests found']));
  t.strictSame(brief(files), [{ name: 'a.ts', passed: 0, failures: ['a.ts'], skips: [] }]);
});

t.test('nothing at all has failed', async (t) => {
  for (const tap of ['', 'TAP version 14\n', 'TAP version 14\n1..0\n', 'command not found\n']) {
    t.match(brief(await count(tap)), [{ name: 'tap', passed: 0, failures: ['tap'] }], JSON.stringify(tap));
  }
});

t.test('output cut short has failed, wherever the cut is', async (t) => {
  const whole = run([[...subtest, '1..1'], 'ok 1 - a.ts'], [[...subtest, '1..1'], 'ok 2 - b.ts']);
  const end = whole.indexOf('1..2\n', whole.indexOf('ok 2 - b.ts'));
  const unnoticed: number[] = [];
  for (let length = 0; length < end; length += 1) {
    if ((await count(whole.slice(0, length))).every((file) => file.failures.length === 0))
      unnoticed.push(length);
  }
  t.strictSame(unnoticed, [], 'lengths after which a cut goes unnoticed');
  t.strictSame(
    (await count(whole)).flatMap((file) => file.failures),
    [],
  );
});

t.test('a bail-out has failed', async (t) => {
  const files = await count(
    'TAP version 14\n# Subtest: a.ts\n    ok 1\n    Bail out! no disk\nBail out! no disk\n',
  );
  t.match(files.at(-1)?.failures.at(-1), { name: 'bail out', diagnostic: 'no disk' });
});
