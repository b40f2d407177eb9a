/**
 * Runs the checks and tests of this tree stage by stage, and says in one closing line how many passed and
 * failed. Called by `scripts/test`, which installs what is needed first. How results are counted does not
 * belong here.
 */
import { spawn } from 'node:child_process';
import { globSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { stringify } from 'yaml';
import { countResults, type FileResult, type Skip } from './count-results.ts';

const root = resolve(import.meta.dirname, '..');
const outputBytesMax = 4 * 1024 * 1024;

const staticStages = {
  types: ['tsc', '-p', '.'],
  'lint and format': ['biome', 'ci', '--colors=off', '.'],
  'dependency rules': ['depcruise', 'agent', 'coordinator', 'shared', 'scripts', 'test'],
  'dead code': ['knip', '--no-progress'],
} as const satisfies Record<string, readonly [string, ...string[]]>;

/**
 * Hosts and clusters share the machine badly with each other, so their tests run one by one; a simulation keeps all
 * of it busy by itself.
 */
const suites = {
  unit: { jobs: 2, timeoutSeconds: 120 },
  simulation: { jobs: 1, timeoutSeconds: 600 },
  'end-to-end': { jobs: 1, timeoutSeconds: 600 },
} as const;

/** Suites whose tests have a folder of their own. */
const ownFolders = ['simulation', 'end-to-end'] as const;
const suiteNames = ['unit', ...ownFolders] as const;

type Part = 'static' | keyof typeof suites;
const isPart = (word: string): word is Part => word === 'static' || Object.hasOwn(suites, word);

const totals = { passed: 0, failed: 0 };
const skips: Skip[] = [];

function line(ok: boolean, name: string, durationMs: number, note = ''): void {
  const seconds = `${(durationMs / 1000).toFixed(1)} s`;
  console.log(`${ok ? 'ok  ' : 'FAIL'}  ${name.padEnd(60)} ${seconds.padStart(7)}  ${note}`.trimEnd());
}

const indent = (text: string): string => text.trimEnd().replace(/^/gm, '      ');

/** Ends with the exit status, or the name of the signal. */
function ended(child: ReturnType<typeof spawn>): Promise<string> {
  return new Promise((fulfil, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) => fulfil(signal ?? String(status)));
  });
}

async function runStatic(name: string, [command, ...args]: readonly [string, ...string[]]): Promise<void> {
  const startedAt = performance.now();
  const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-outputBytesMax);
    });
  }
  const ok = (await ended(child)) === '0';
  totals[ok ? 'passed' : 'failed'] += 1;
  line(ok, name, performance.now() - startedAt);
  if (!ok) console.log(indent(output));
}

function reportFile({ name, passed, failures, skips: skipped, durationMs, printed }: FileResult): void {
  totals.passed += passed;
  totals.failed += failures.length;
  skips.push(...skipped);
  const notes = [
    `${passed} passed`,
    ...(failures.length > 0 ? [`${failures.length} failed`] : []),
    ...(skipped.length > 0 ? [`${skipped.length} skipped`] : []),
  ];
  line(failures.length === 0, name, durationMs, notes.join(', '));
  if (failures.length === 0) return;
  for (const failure of failures) {
    console.log(indent(`✗ ${failure.name}`));
    if (failure.diagnostic !== null) console.log(indent(indent(stringify(failure.diagnostic))));
  }
  if (printed !== '') console.log(`${indent('printed by the test:')}\n${indent(indent(printed))}`);
}

async function runSuite(suite: keyof typeof suites, files: readonly string[]): Promise<void> {
  const { jobs, timeoutSeconds } = suites[suite];
  const options = ['run', '--reporter=tap', `--jobs=${jobs}`, `--timeout=${timeoutSeconds}`];
  const child = spawn('tap', [...options, ...files], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-outputBytesMax);
  });
  const failedBefore = totals.failed;
  const end = ended(child);
  await countResults(child.stdout, reportFile);
  const status = await end;
  if (status !== '0' && totals.failed === failedBefore) {
    totals.failed += 1;
    line(false, `tap (${suite})`, 0, `ended with ${status} though no test failed`);
  }
  if (totals.failed > failedBefore && errors !== '')
    console.log(`errors printed by tests:\n${indent(errors)}`);
}

const testFiles = (folder: string): string[] =>
  globSync(join(folder, '**/*.test.ts'), { cwd: root })
    .filter((path) => !path.includes('node_modules'))
    .sort();

/** What the words on the command line ask for: parts by name, or test files by path. */
function selected(words: readonly string[]): { readonly parts: Set<Part>; readonly files: string[] } {
  const parts = new Set(words.filter(isPart));
  const paths = words.filter((word) => !isPart(word));
  if (words.length === 0) return { parts: new Set(['static', ...suiteNames]), files: testFiles('test') };
  const files = paths.flatMap((path) => {
    const stats = statSync(resolve(root, path), { throwIfNoEntry: false });
    if (stats === undefined) {
      console.error(
        `scripts/test: ${path} is neither a part (static, ${suiteNames.join(', ')}) nor a file or folder`,
      );
      process.exit(2);
    }
    return stats.isDirectory() ? testFiles(path) : [path];
  });
  const whole = testFiles('test').filter((file) => parts.has(suiteOf(file)));
  return { parts: new Set([...parts, ...files.map(suiteOf)]), files: [...new Set([...whole, ...files])] };
}

function suiteOf(file: string): keyof typeof suites {
  const path = resolve(root, file);
  return ownFolders.find((suite) => path.startsWith(join(root, 'test', suite, '/'))) ?? 'unit';
}

const { parts, files } = selected(process.argv.slice(2));
if (parts.has('static')) {
  for (const [name, argv] of Object.entries(staticStages)) await runStatic(name, argv);
}
for (const suite of suiteNames) {
  if (!parts.has(suite)) continue;
  const own = files.filter((file) => suiteOf(file) === suite);
  if (own.length > 0) await runSuite(suite, own);
  else {
    totals.failed += 1;
    line(false, suite, 0, 'there is no test to run');
  }
}

for (const { name, reason } of skips) console.log(`skipped: ${name}: ${reason}`);
const forbidden = process.env.CI === 'true' && skips.length > 0;
if (forbidden) console.log('under CI=true nothing may be skipped, so this is a failure');
if (totals.passed + totals.failed === 0) console.log('nothing was run, so this is a failure');
const skippedNote = skips.length > 0 ? `, ${skips.length} skipped` : '';
console.log(`${totals.passed} passed, ${totals.failed} failed${skippedNote}`);
process.exit(totals.failed > 0 || totals.passed === 0 || forbidden ? 1 : 0);
