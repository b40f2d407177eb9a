/** `scripts/test` closes with one line and a matching exit status, whatever its tests do. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import t from 'tap';

const root = resolve(import.meta.dirname, '../..');
const imported = "import t from 'tap';\n";
const tests = {
  'unit/passes.test.ts': `${imported}t.pass('a');\nt.test('b', async (t) => t.equal(1, 1));\n`,
  'unit/fails.test.ts': `${imported}console.log('seen by the reader');\nt.equal(1, 2, 'one is two');\n`,
  'unit/skips.test.ts': `${imported}t.pass('a');\nt.test('b', { skip: 'needs a moon' }, async () => {});\n`,
  'unit/crashes.test.ts': `${imported}t.pass('a');\nconsole.error('last words');\nprocess.kill(process.pid, 'SIGKILL');\n`,
  'unit/empty.test.ts': 'export {};\n',
  'end-to-end/passes.test.ts': `${imported}t.pass('a');\n`,
};

t.test('the closing line and the exit status', async (t) => {
  const tree = t.testdir({ scripts: {}, none: {}, test: { unit: {}, 'end-to-end': {} } });
  symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'));
  for (const name of ['.taprc', 'package.json', 'scripts/run-tests.ts', 'scripts/count-results.ts']) {
    copyFileSync(join(root, name), join(tree, name));
  }
  for (const [name, text] of Object.entries(tests)) writeFileSync(join(tree, 'test', name), text);
  // The run must not take this one for its parent.
  const outer = Object.entries(process.env).filter(([name]) => !/^(_?TAP|CI$|NODE_OPTIONS$)/.test(name));
  const run = (words: readonly string[], more: Record<string, string> = {}) => {
    const args = ['scripts/run-tests.ts', ...words];
    const env = { ...Object.fromEntries(outer), ...more };
    const { status, stdout, stderr } = spawnSync(process.execPath, args, {
      cwd: tree,
      env,
      encoding: 'utf8',
    });
    return { status, stdout, stderr, closing: stdout.trimEnd().split('\n').at(-1) };
  };

  t.match(run(['test/unit/passes.test.ts', 'end-to-end']), { status: 0, closing: '3 passed, 0 failed' });

  const mixed = run(['unit']);
  t.match(mixed, { status: 1, closing: '4 passed, 3 failed, 1 skipped' });
  t.match(
    mixed.stdout,
    /one is two.*\+1.*seen by the reader/s,
    'what is needed to understand a failure is shown',
  );
  t.match(mixed.stdout, /SIGKILL.*last words/s);
  t.match(mixed.stdout, /^skipped: .*skips\.test\.ts > b: needs a moon$/m);

  const skipping = ['test/unit/skips.test.ts'];
  t.match(run(skipping), { status: 0, closing: '1 passed, 0 failed, 1 skipped' });
  t.match(run(skipping, { CI: 'true' }), { status: 1, closing: '1 passed, 0 failed, 1 skipped' });

  t.match(run(['none']), { status: 1, closing: '0 passed, 0 failed' });
  t.match(run(['test/nowhere']), { status: 2, stderr: /test\/nowhere is neither/ });
});
