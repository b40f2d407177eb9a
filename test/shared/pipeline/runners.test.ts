/** What carries out a step instead of a script: what is refused, which files come along, and what the scripts do. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import type { Task } from '../../../shared/pipeline/model.ts';
import { parsePipeline } from '../../../shared/pipeline/pipeline.ts';
import type { FileSet } from '../../../shared/pipeline/scripts.ts';
import { digestOf, findings, head, pipelineOf, stepOf } from './reading.ts';

/** Folders beside the pipeline; a name that ends in `*` is executable. */
function foldersOf(folders: Readonly<Record<string, readonly string[]>>): FileSet {
  const stat = (name: string) => ({
    digest: digestOf(name),
    sizeBytes: name.length,
    executable: name.endsWith('*'),
  });
  return {
    find: (name) => {
      const files = folders[name];
      if (files === undefined) return undefined;
      return {
        kind: 'folder',
        files: Object.fromEntries(files.map((file) => [file.replace(/\*$/, ''), stat(file)])),
      };
    },
    digest: digestOf,
  };
}

const step = (body: string): string => `${head}steps:\n  - { id: s, on: all, ${body} }\n`;
const said = (body: string, files?: FileSet): readonly string[] =>
  findings(step(body), files === undefined ? {} : { files });

function taskOf(body: string, files: FileSet): Task {
  const [task] = stepOf(pipelineOf(step(body), { files }), 's').tasks;
  if (task === undefined) throw new Error('no task');
  return task;
}

t.test('run-parts', async (t) => {
  const files = foldersOf({ 'scripts.d': ['20-b*', '10-a*', 'README', '30-c.sh*', '10-a~*', 'lib/x*'] });

  t.test('what is refused', async (t) => {
    t.match(said('runParts: ./none', files), [/there is no folder "none" beside this file/]);
    t.match(said('runParts: ../up', files), [/"..\/up" is not a folder beside this file/]);
    t.match(said('runParts: ./scripts.d, run: ls', files)[0], /"run" does not stand beside runParts/);
    t.match(said('runParts: ./d', foldersOf({ d: ['a'] })), [
      /there is no executable file in "d"/,
      /"d\/a" is not executable, so it is not run/,
    ]);
    t.match(said('runParts: ./scripts.d', files), [
      /nothing runs on the role two/,
      /"scripts.d\/README" is not executable/,
    ]);
    t.match(said('runPart: ./scripts.d', files)[0], /did you mean "runParts"/);
  });

  t.test('the folder comes along, and may be iterated', async (t) => {
    const task = taskOf('runParts: ./scripts.d, until: exitCode == 0', files);
    t.equal(task.runner, 'run-parts');
    t.ok(task.bundle, 'all files of the folder, also those that scripts need');
    const order = [...(task.run?.text ?? '').matchAll(/^part '([^']*)'/gm)].map(([, name]) => name);
    t.strictSame(order, ['./scripts.d/10-a', './scripts.d/20-b', './scripts.d/30-c.sh']);
  });

  for (const shell of [['sh'], ['busybox', 'sh'], ['bash', '--norc', '--posix']])
    t.test(`what it does, in ${shell.join(' ')}`, async (t) => {
      const folder = t.testdir({
        'scripts.d': { '10-a': 'echo a', '20-b': 'echo b >&2; exit 3', '30-c.sh': 'echo c' },
      });
      for (const name of ['10-a', '20-b', '30-c.sh']) {
        const file = path.join(folder, 'scripts.d', name);
        writeFileSync(file, `#!/bin/sh\n${readFileSync(file, 'utf8')}\n`);
        chmodSync(file, 0o755);
      }
      const [program = '', ...options] = shell;
      const { text = '' } = taskOf('runParts: ./scripts.d', files).run ?? {};
      const ended = spawnSync(program, [...options, '-c', text], {
        cwd: folder,
        env: { PATH: process.env.PATH, LOCKSTEP_PARTS: path.join(folder, 'parts') },
        encoding: 'utf8',
      });
      t.equal(ended.status, 3, 'the exit status of the script that failed');
      t.match(
        ended.stdout,
        /^run-parts: .\/scripts.d\/10-a\na\nrun-parts: .\/scripts.d\/10-a: exit status 0 after [0-9]+ ms\nrun-parts: .\/scripts.d\/20-b\nrun-parts: .\/scripts.d\/20-b: exit status 3 after [0-9]+ ms\n$/,
        'each is told as it ends, and nothing comes after the first that fails',
      );
      t.equal(ended.stderr, 'b\n');
      const parts = readFileSync(path.join(folder, 'parts'), 'utf8').trim().split('\n');
      t.match(
        parts.map((line) => JSON.parse(line)),
        [
          { name: '10-a', state: 'ok', exitCode: 0, durationMs: Number },
          { name: '20-b', state: 'failed', exitCode: 3, durationMs: Number },
        ],
      );
    });

  t.test('names are only names', async (t) => {
    const name = `1 $(touch pwned) 'x' "y"`;
    const odd = foldersOf({ d: [`${name}*`] });
    const folder = t.testdir({ d: {} });
    mkdirSync(path.join(folder, 'd'), { recursive: true });
    writeFileSync(path.join(folder, 'd', name), '#!/bin/sh\necho done\n', { mode: 0o755 });
    const { text = '' } = taskOf('runParts: d', odd).run ?? {};
    const ended = spawnSync('sh', ['-c', text], {
      cwd: folder,
      env: { PATH: process.env.PATH, LOCKSTEP_PARTS: path.join(folder, 'parts') },
      encoding: 'utf8',
    });
    t.equal(ended.status, 0, ended.stderr);
    t.match(ended.stdout, /^done$/m);
    t.equal(JSON.parse(readFileSync(path.join(folder, 'parts'), 'utf8')).name, name);
  });
});

t.test('ansible', async (t) => {
  const entries = ['site.yml', 'ansible.cfg', 'p/site.yml', 'p/hosts.ini'];
  const folders = foldersOf({
    roles: ['a/tasks/main.yml', '.git/HEAD', 'run.retry'],
    p: ['site.yml', 'hosts.ini', 'roles/a/tasks/main.yml'],
  });
  const files: FileSet = {
    ...folders,
    find: (name) =>
      entries.includes(name)
        ? { kind: 'file', digest: digestOf(name), sizeBytes: 1, executable: false }
        : folders.find(name),
  };
  const filesOf = (body: string): readonly string[] => {
    const parsed = parsePipeline({ file: 'p.yaml', text: step(body), files });
    return parsed.ok ? [...parsed.requiredFiles.keys()].sort() : [];
  };

  t.test('what is refused', async (t) => {
    t.match(said('ansible: none.yml', files), [
      /5:32: error: there is no playbook "none.yml" beside this file/,
    ]);
    t.match(said('ansible: q/site.yml', files), [/there is no folder "q" beside this file/]);
    t.match(said('ansible: { playbook: site.yml, inventory: hosts }', files), [
      /there is no inventory "hosts" beside this file/,
    ]);
    t.match(said('ansible: { playbok: site.yml }', files)[1], /has no "playbok" \(did you mean "playbook"/);
    t.match(said('ansible: site.yml, runParts: roles', files)[0], /"ansible" does not stand beside runParts/);
    t.match(said('ansible: ../site.yml', files)[0], /".." is not a folder beside this file/);
  });

  t.test('what comes along', async (t) => {
    t.strictSame(filesOf('ansible: site.yml'), ['ansible.cfg', 'roles/a/tasks/main.yml', 'site.yml']);
    const whole = ['p/hosts.ini', 'p/roles/a/tasks/main.yml', 'p/site.yml'];
    t.strictSame(filesOf('ansible: ./p/site.yml'), whole);
    t.strictSame(filesOf('ansible: { folder: p, playbook: site.yml, inventory: hosts.ini }'), whole);
  });

  t.test('who the hosts are', async (t) => {
    const withOf = (body: string) => stepOf(pipelineOf(step(body), { files }), 's').with.lockstep_ansible;
    t.match(withOf('ansible: site.yml, with: { a: 1 }'), {
      secret: false,
      template: {
        names: '${{ [node].map(n, n.name) }}',
        addresses: [],
        groups: { two: '${{ roles.two.nodes.exists(n, n.name == node.name) }}' },
        given: ['a'],
      },
    });
    t.match(withOf('ansible: site.yml, scope: role'), {
      template: {
        addresses: '${{ targets.map(n, addressOf(n, node)) }}',
        groups: { two: '${{ roles.two.nodes.map(n, n.name) }}' },
      },
    });
    t.match(withOf('ansible: site.yml, runOn: two.leader'), {
      template: { names: '${{ [target].map(n, n.name) }}' },
    });
    const task = taskOf('ansible: site.yml', files);
    t.equal(task.runner, 'ansible');
    t.notMatch(task.run?.text, /'--check'.*preview = True/s);
    t.match(task.preview?.text, 'preview = True', '--check --diff is for `run --check`');
  });
});

t.test('the examples of the README are in order', async (t) => {
  const readme = readFileSync(path.join(import.meta.dirname, '../../../README.md'), 'utf8');
  const [, after = ''] = readme.split('\n### Runners\n');
  const [section = ''] = after.split('\n### ');
  const blocks = [...section.matchAll(/^```yaml\n(.*?)^```$/gms)].map(([, text = '']) => text);
  const one = { digest: digestOf('x'), sizeBytes: 1, executable: true };
  const folders = new Map([
    ['scripts.d', ['10-a']],
    ['project', ['site.yml', 'inventory/hosts.ini']],
    ['infra', ['main.tf']],
  ]);
  const files: FileSet = {
    find: (name) => {
      const inside = folders.get(name);
      if (inside !== undefined)
        return { kind: 'folder', files: Object.fromEntries(inside.map((each) => [each, one])) };
      const known = [...folders].flatMap(([folder, names]) => names.map((each) => `${folder}/${each}`));
      return known.includes(name) || name === 'test.sh' ? { kind: 'file', ...one } : undefined;
    },
    digest: digestOf,
  };
  t.equal(blocks.length, 3);
  for (const block of blocks) {
    const steps = block.replaceAll(/^/gm, '  ').trimEnd();
    const text = `kind: pipeline\nname: p\nroles: { all: {}, web: {}, ctl: {} }\nsteps:\n${steps}\n`;
    t.strictSame(
      findings(text, { files }).filter((line) => line.includes('error')),
      [],
      block,
    );
  }
});
