/** The two commands start on the pinned runtime from any folder, through symlinks and through npx. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import t from 'tap';

const root = resolve(import.meta.dirname, '../..');
/** In place of the program: tells how it was started. The type annotation needs a runtime that strips it. */
const program = `const seen: object = {
  version: process.versions.node.split('.')[0], args: process.argv.slice(2), cwd: process.cwd(),
  leaked: process.env.NODE_COMPILE_CACHE };
console.log(JSON.stringify(seen));
`;

/** A project folder with the real launchers, and a program that reports instead of the real one. */
function project(folder: string, packages: 'installed' | 'missing'): string {
  mkdirSync(join(folder, 'scripts'));
  mkdirSync(join(folder, 'elsewhere'));
  for (const name of ['lockstep', 'lockstep-agent', 'launch.sh', 'compile-cache.cjs']) {
    copyFileSync(join(root, 'scripts', name), join(folder, 'scripts', name));
  }
  for (const side of ['coordinator', 'agent']) {
    mkdirSync(join(folder, side));
    writeFileSync(join(folder, side, 'main.ts'), program);
  }
  copyFileSync(join(root, 'package.json'), join(folder, 'package.json'));
  if (packages === 'installed') symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  return folder;
}

function run(command: string, args: readonly string[], cwd: string, path = process.env.PATH ?? '') {
  const { NODE_OPTIONS: _, ...env } = process.env;
  return spawnSync(command, args, { cwd, encoding: 'utf8', env: { ...env, PATH: path }, timeout: 60_000 });
}

for (const name of ['lockstep', 'lockstep-agent']) {
  t.test(`${name} starts`, async (t) => {
    const folder = project(t.testdir(), 'installed');
    const elsewhere = join(folder, 'elsewhere');
    symlinkSync(join(folder, 'scripts', name), join(elsewhere, 'first'));
    symlinkSync('first', join(elsewhere, 'second'));
    for (const command of [join(folder, 'scripts', name), './second']) {
      const { stdout, stderr, status } = run(command, ['a', 'b  c', '', '*'], elsewhere);
      t.equal(stderr, '', 'no warning is printed');
      t.equal(status, 0);
      t.strictSame(JSON.parse(stdout), { version: '24', args: ['a', 'b  c', '', '*'], cwd: elsewhere });
    }
  });

  t.test(`npx ${name} works inside the project without a network`, async (t) => {
    const folder = project(t.testdir(), 'installed');
    const cache = join(folder, 'cache');
    const { stdout, status } = run('npx', ['--offline', '--cache', cache, name, 'x'], folder);
    t.equal(status, 0);
    t.match(JSON.parse(stdout), { version: '24', args: ['x'], cwd: folder });
  });
}

t.test('a missing installation is explained', async (t) => {
  const folder = project(t.testdir(), 'missing');
  const tools = join(folder, 'elsewhere');
  for (const tool of ['readlink', 'dirname', 'uname']) symlinkSync(`/usr/bin/${tool}`, join(tools, tool));
  const bare = run(join(folder, 'scripts/lockstep'), [], folder, tools);
  t.equal(bare.status, 127);
  t.match(bare.stderr, /found no Node\.js 24 or newer.*none.*npm ci/s);

  symlinkSync(process.execPath, join(tools, 'node'));
  const unpacked = run(join(folder, 'scripts/lockstep'), [], folder, tools);
  t.equal(unpacked.status, 127);
  t.match(unpacked.stderr, /packages .* not installed.*npm ci/s);

  mkdirSync(join(folder, 'node_modules/ws'), { recursive: true });
  const { stdout, status } = run(join(folder, 'scripts/lockstep'), ['x'], folder, tools);
  t.equal(status, 0, 'a new enough Node on PATH does');
  t.match(JSON.parse(stdout), { version: '24', args: ['x'] });
});
