/**
 * The README's "Ten minutes", typed as they stand there into one shell, and `scripts/up` around them. Whoever
 * changes that section finds out here whether it is still true.
 *
 * Three things are replaced in its commands, so that nothing outside a temporary folder is touched: the data
 * folder (`$PWD/.lockstep`), the folder for the files (`/tmp/`), and with it where the example writes its page.
 * Between two blocks the test waits, as somebody who reads does, until the run asks for its approval.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { present } from '../../shared/assert.ts';
import { projectRoot } from './hosts.ts';
import { isAlive, processesIn } from './local-cluster.ts';
import { complete, eventually, freePort } from './processes.ts';

const folder = mkdtempSync(join(realpathSync(tmpdir()), 'lockstep-readme-'));
const data = join(folder, 'data');
const names = ['coordinator', 'n1', 'n2', 'n3', 'n4', 'n5', 'n6'];

const adapted = (text: string): string =>
  text.replace(/\$PWD\/\.lockstep|\/tmp\//g, (found) => (found === '/tmp/' ? `${folder}/` : data));

/** The blocks of the section, in order. */
function readBlocks(): string[] {
  const readme = readFileSync(join(projectRoot, 'README.md'), 'utf8');
  const [, after = ''] = readme.split('\n## Ten minutes\n');
  const [section = ''] = after.split('\n## ');
  return [...section.matchAll(/^```(?:sh)?\n(.*?)^```$/gms)].map(([, text = '']) => adapted(text));
}

type Typed = { readonly status: number; readonly output: string };

/** One shell in the project's folder, as somebody has it open in front of him. */
class Shell {
  readonly #child = spawn('bash', ['--norc'], {
    cwd: projectRoot,
    env: { PATH: process.env.PATH, HOME: process.env.HOME },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  #output = '';

  constructor() {
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#output += text;
    });
    // One stream, so that what was printed comes before the line that says how it ended.
    this.#child.stdin.write('exec 2>&1\n');
  }

  /** Types commands and waits until they have ended. */
  async type(commands: string): Promise<Typed> {
    this.#output = '';
    this.#child.stdin.write(`${commands}\nprintf '\\ntyped: %s\\n' "$?"\n`);
    const status = await eventually(
      `the end of ${commands}`,
      async () => /^typed: (\d+)$/m.exec(this.#output)?.[1],
      { withinMs: 60_000 },
    );
    return { status: Number(status), output: this.#output.replace(/^typed: \d+$/m, '') };
  }

  close(): void {
    this.#child.stdin.end();
  }
}

const linesOf = (block: string | undefined): readonly string[] => present(block, 'block').trim().split('\n');

const pidOf = (name: string): number => Number(readFileSync(join(data, 'pids', name), 'utf8').split(' ')[0]);

t.test('ten minutes', { timeout: 240_000 }, async (t) => {
  const port = await freePort();
  const up = (...more: string[]) =>
    complete([join(projectRoot, 'scripts/up'), '--data', data, ...more], {
      env: { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '' },
      timeoutMs: 120_000,
    });
  const upAgain = () => up('--port', String(port), '--nodes', '6');
  const shell = new Shell();
  t.teardown(async () => {
    shell.close();
    await up('--down');
    rmSync(folder, { recursive: true, force: true });
  });
  const untilAsked = (run: string) =>
    eventually(`${run} to ask for approval`, async () => {
      const { output } = await shell.type('npx lockstep runs');
      return new RegExp(`^${run} .*waiting-for-approval`, 'm').test(output) || undefined;
    });

  const first = await upAgain();
  t.equal(first.status, 0, first.stderr);
  t.match(first.stdout, `coordinator: http://127.0.0.1:${port}\n6 agents in 3 racks\n`);
  t.match(first.stdout, /✓ r1 first succeeded in .*: \d+ jobs on 6 nodes/);
  t.match(first.stdout, `Stop it all: ./scripts/up --down --data ${data}\n`);
  const pids = names.map(pidOf);

  const [writing, approving, breaking, deciding, complaint, ...more] = readBlocks();
  t.strictSame(more, [], 'every block of the section is known here');

  await t.test('a pipeline of your own', async (t) => {
    const written = await shell.type(present(writing, 'block'));
    t.equal(written.status, 0, written.output);
    t.match(written.output, /^web on cluster default: 3 steps on 4 nodes$/m);
    t.match(
      written.output,
      /deploy rolling +n\[1-4\] +secret on every node; approval: Deploy to all of web\?; a slot \(2 at once\)/,
    );
    t.match(written.output, /down at once: 2 nodes; at most per failure domain: rack=a 2 of 2/);
    t.match(written.output, /^r2 is running\. Watch it with: lockstep watch r2$/m);
    await untilAsked('r2');
    const [runs = '', why = '', approve = '', watch = '', logs = '', ...others] = linesOf(approving);
    t.strictSame(others, []);
    t.match((await shell.type(runs)).output, /^r2 +web +default +waiting-for-approval/m);
    t.match(
      (await shell.type(why)).output,
      /^r2\/deploy\/n1 waits for an approval of "Deploy to all of web\?"/m,
    );
    t.match(
      (await shell.type(approve)).output,
      /^approved deploy \("Deploy to all of web\?"\); r2 web is (running|waiting)/m,
    );
    const watched = await shell.type(watch);
    t.equal(watched.status, 0);
    t.match(watched.output, /✓ r2 web succeeded in .*: 9 jobs on 4 nodes/);
    const { output } = await shell.type(logs);
    const printed = output.split('\n').filter((line) => line.includes('│'));
    t.strictSame(
      printed.sort(),
      ['n1', 'n2', 'n3', 'n4'].map((node) => `deploy ${node} │ deployed with a word of 16 letters`),
    );
    t.equal(
      readFileSync(join(folder, 'web-n3/index.html'), 'utf8'),
      '<p>n3 of n1 n2 n3 n4 on port 8000</p>\n',
    );
  });

  await t.test('broken on purpose', async (t) => {
    const broken = await shell.type(present(breaking, 'block'));
    t.match(broken.output, /^r3 is running\./m);
    await untilAsked('r3');
    const [approve = '', watch = '', why = '', resume = '', cancel = '', ...others] = linesOf(deciding);
    t.strictSame(others, []);
    t.equal((await shell.type(approve)).status, 0);
    const watched = await shell.type(watch);
    t.equal(watched.status, 4, 'held for a decision');
    t.match(watched.output, /deploy failed on n\d; none may fail in deploy/);
    t.notMatch(watched.output, /deploy n[23] started/, 'nobody else gets a slot');
    const held = await shell.type(why);
    t.match(
      held.output,
      /^r3\/deploy\/n2 waits: run r3 is held: deploy failed on n\d; none may fail in deploy/m,
    );
    t.match(held.output, 'resume it with lockstep resume r3 --retry-failed|--accept-failed, or cancel it');
    t.match((await shell.type(resume)).output, /^r3 web is (running|held)/m);
    t.match((await shell.type(cancel)).output, /^r3 web is cancell/m);
    t.equal((await shell.type(watch)).status, 1);
  });

  await t.test('a word that is not known', async (t) => {
    const file = join(folder, 'first/web.yaml');
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, text.replace(/^( *)run: mkdir.*$/m, '$&\n$1tiemout: 5m'));
    const refused = await shell.type(`npx lockstep run ${file}`);
    t.equal(refused.status, 2);
    t.match(refused.output, present(complaint, 'block'));
    writeFileSync(file, text);
    const schema = await fetch(`http://127.0.0.1:${port}/schema/pipeline.json`);
    t.match(await schema.json(), { title: 'Lockstep pipeline', properties: { steps: {} } }, 'for editors');
  });

  await t.test('up again, and down', async (t) => {
    const [, , , n3 = 0] = pids;
    process.kill(n3, 'SIGKILL');
    await eventually('n3 to be dead', async () => (isAlive(n3) ? undefined : true));
    const second = await upAgain();
    t.equal(second.status, 0, second.stderr);
    t.match(second.stdout, /^the coordinator runs already$/m);
    t.match(second.stdout, /✓ r4 first succeeded in .*: \d+ jobs on 6 nodes/, 'the killed agent works again');
    const now = names.map(pidOf);
    t.not(now[3], n3, 'as a new process');
    t.strictSame(now.toSpliced(3, 1), pids.toSpliced(3, 1), 'and the others were left alone');
    t.ok(now.every(isAlive));

    const down = await up('--down');
    t.equal(down.status, 0, down.stderr);
    t.equal(down.stdout, `stopped 7 processes; the data is still in ${data}\n`);
    t.strictSame(now.filter(isAlive), []);
    t.strictSame(processesIn(data).filter(isAlive), [], 'no process is left');
    for (const kept of ['coordinator/journal', 'coordinator.key', 'agents/n3', 'join-token'])
      t.ok(existsSync(join(data, kept)), `${kept} is kept`);
    t.match((await up('--down')).stdout, 'stopped 0 processes', 'again, it does nothing');
  });
});

t.test('every test that it names is there', async (t) => {
  const readme = readFileSync(join(projectRoot, 'README.md'), 'utf8');
  const named = new Set(readme.match(/\btest\/[\w./-]+\.(?:ts|txt)\b/g));
  t.ok(named.size > 10, `${named.size} are named`);
  t.strictSame(
    [...named].filter((path) => !existsSync(join(projectRoot, path))),
    [],
  );
});
