/**
 * Runners that call a program of the node: what they call it with, and what they make of how it ends. Container engine
 * and Terraform are stand-ins here, which note their command lines; with a real Terraform, if there is one, a last case.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { FolderFileSet } from '../../../coordinator/cli/file-set.ts';
import type { ScriptText, Task } from '../../../shared/pipeline/model.ts';
import { findings, head, pipelineOf, stepOf } from './reading.ts';

const step = (body: string): string => `${head}steps:\n  - { id: s, on: all, ${body} }\n`;

/** A node with stand-ins for programs, each a script. */
class Node {
  readonly folder: string;
  readonly #programs: string;

  constructor(
    t: Test,
    programs: Readonly<Record<string, string>>,
    files: Readonly<Record<string, string>> = {},
  ) {
    this.folder = t.testdir({ bin: {}, work: {}, execution: {}, home: {} });
    this.#programs = path.join(this.folder, 'bin');
    for (const [name, text] of Object.entries(programs)) {
      writeFileSync(path.join(this.#programs, name), `#!/bin/sh\n${text}\n`);
      chmodSync(path.join(this.#programs, name), 0o755);
    }
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(path.dirname(this.at('work', name)), { recursive: true });
      writeFileSync(this.at('work', name), text);
    }
  }

  at(...names: readonly string[]): string {
    return path.join(this.folder, ...names);
  }

  read(...names: readonly string[]): string {
    return existsSync(this.at(...names)) ? readFileSync(this.at(...names), 'utf8') : '';
  }

  taskOf(body: string): Task {
    const [task] = stepOf(pipelineOf(step(body), { files: new FolderFileSet(this.at('work')) }), 's').tasks;
    if (task === undefined) throw new Error('no task');
    return task;
  }

  run(script: ScriptText | undefined, given: Readonly<Record<string, string>> = {}, search = '') {
    const [program = '', ...options] = script?.shell ?? [];
    writeFileSync(this.at('execution/output'), '');
    writeFileSync(this.at('execution/parts'), '');
    const ended = spawnSync(program, [...options, '-c', script?.text ?? ''], {
      cwd: this.at('work'),
      env: {
        PATH: `${this.#programs}:${search}`,
        HOME: this.at('home'),
        NOTES: this.at('notes'),
        LOCKSTEP_RUN: 'r7',
        LOCKSTEP_STEP: 's',
        LOCKSTEP_NODE: 'n1',
        LOCKSTEP_CLUSTER: 'default',
        LOCKSTEP_PIPELINE: 'p',
        LOCKSTEP_PARAMS: this.at('params.json'),
        LOCKSTEP_OUTPUT: this.at('execution/output'),
        LOCKSTEP_PARTS: this.at('execution/parts'),
        ...given,
      },
      encoding: 'utf8',
    });
    const parts = this.read('execution/parts').trim();
    return {
      status: ended.status,
      stdout: ended.stdout,
      stderr: ended.stderr,
      output: this.read('execution/output'),
      parts: parts === '' ? [] : parts.split('\n').map((line) => JSON.parse(line)),
    };
  }
}

/** One argument in a line, a call in a paragraph. */
const noting = 'for each; do printf "%s\\n" "$each"; done >>"$NOTES"; echo >>"$NOTES"';
const usual = '/usr/bin:/bin:/usr/sbin:/sbin';

t.test('a container', async (t) => {
  const node = new Node(t, { podman: `${noting}; [ "$1" != run ] || exit 5` }, { 'tool.sh': 'echo tool' });
  const { runner, run } = node.taskOf(
    'container: { image: "registry/app:$PARAM_RELEASE", command: [build, "a b", "$HOME"], volumes: "/srv:/srv:ro", arguments: [--network, host] }',
  );
  t.equal(runner, 'container');
  const ended = node.run(run, { PARAM_RELEASE: '1.2 x' }, usual);
  t.equal(ended.status, 5, 'it ends as the container does');
  const [removed = '', started = ''] = node.read('notes').split('\n\n');
  t.equal(removed, 'rm\n--force\nlockstep-r7-s-n1', 'what an earlier attempt left is removed');
  const words = started.split('\n');
  t.strictSame(words.slice(0, 5), ['run', '--rm', '--init', '--name', 'lockstep-r7-s-n1']);
  t.strictSame(words.slice(words.indexOf('--network')), [
    '--network',
    'host',
    '--volume',
    '/srv:/srv:ro',
    'registry/app:1.2 x',
    'build',
    'a b',
    '$HOME',
  ]);
  t.ok(words.includes('PARAM_RELEASE') && words.includes('LOCKSTEP_OUTPUT=/lockstep/output'));
  t.ok(words.includes(`${node.at('work')}:/work`));

  const script = node.taskOf('container: { image: alpine, run: "echo hello\\n./tool.sh" }');
  t.ok(script.bundle, 'files that the script names come along');
  node.run(script.run, {}, usual);
  t.equal(node.read('execution/container/script'), 'echo hello\n./tool.sh\n');
  t.match(node.read('notes'), /\nalpine\nsh\n-e\n\/lockstep\/script\n/);

  t.match(findings(step('container: { image: a, run: x, command: y }'))[0], /either "run" or "command"/);
  const bare = new Node(t, { dirname: 'exit 0' });
  t.match(bare.run({ shell: ['/bin/sh'], text: run?.text ?? '' }), {
    status: 127,
    stderr: /neither docker nor podman/,
  });
});

const terraform = String.raw`${noting}
case $1 in
  plan) echo planned; [ -e "$NOTES.same" ] && exit 0; [ -e "$NOTES.broken" ] && { echo 'Error: Unsupported "thing"' >&2; exit 1; }; : >.lockstep-plan; exit 2 ;;
  show) printf 'Terraform will:\n\n  # null_resource.a will be created\n' ;;
  apply) env | grep TF_VAR >"$NOTES.variables"; echo state >terraform.tfstate ;;
  output) [ "$3" = -raw ] && printf text || printf 42 ;;
esac`;

t.test('terraform', async (t) => {
  const files = { 'infra/main.tf': 'x', 'infra/modules/a/main.tf': 'y', 'infra/old.tf': 'z' };
  const node = new Node(t, { terraform, id: 'echo 1000' }, files);
  const kept = ['home', '.local/state/lockstep-terraform/default/p/s'];
  const body = 'terraform: ./infra, with: { size: 3 }, outputs: { name: string, count: int }';
  const task = node.taskOf(body);
  t.equal(task.runner, 'terraform');

  const preview = node.run(task.preview, {}, usual);
  t.equal(preview.status, 1, 'something would change');
  t.strictSame(preview.parts, [{ name: 'null_resource.a', state: 'changed', message: 'will be created' }]);
  t.notMatch(node.read('notes'), /^apply$/m, 'and nothing was');

  const applied = node.run(task.run, { PARAM_SIZE: '3' }, usual);
  t.equal(applied.status, 0, applied.stderr);
  t.equal(
    applied.output,
    'name<<END-OF-OUTPUT\ntext\nEND-OF-OUTPUT\ncount<<END-OF-OUTPUT\n42\nEND-OF-OUTPUT\n',
  );
  t.equal(node.read('notes.variables'), 'TF_VAR_size=3\n');
  t.match(
    node.read('notes'),
    /^apply\n-input=false\n-no-color\n.lockstep-plan\n/m,
    'exactly what was planned',
  );
  t.strictSame(applied.parts, preview.parts);
  t.equal(node.read(...kept, 'modules/a/main.tf'), 'y');
  t.equal(node.read(...kept, 'terraform.tfstate'), 'state\n');

  spawnSync('rm', [node.at('work/infra/old.tf')]);
  writeFileSync(node.at('notes.same'), '');
  writeFileSync(node.at('notes'), '');
  const same = node.run(node.taskOf(body).run, {}, usual);
  t.equal(same.status, 0);
  t.notMatch(node.read('notes'), /^apply$/m, 'nothing to change, nothing done');
  t.equal(node.read(...kept, 'old.tf'), '', 'what the configuration has no more is gone');
  t.equal(node.read(...kept, 'terraform.tfstate'), 'state\n', 'its state is not');

  spawnSync('rm', [node.at('notes.same')]);
  writeFileSync(node.at('notes.broken'), '');
  const broken = node.run(task.run, {}, usual);
  t.match(broken, {
    status: 3,
    stderr: /Error: Unsupported/,
    parts: [{ name: 'terraform plan', state: 'failed', message: 'Error: Unsupported "thing"' }],
  });

  t.match(
    findings(step('tofu: ./none'), { files: new FolderFileSet(node.at('work')) })[0],
    /there is no folder "none" beside this file/,
  );
  const bare = new Node(t, {}, files);
  t.match(bare.run({ shell: ['/bin/sh'], text: task.run?.text ?? '' }), {
    status: 127,
    stderr: /this node does not have terraform: install it/,
  });
});

const real = spawnSync('terraform', ['version']).status === 0;
/** Debian has none to install. */
const withTerraform = async (t: Test): Promise<void> => {
  const main =
    'variable "size" { type = number }\nresource "terraform_data" "a" { input = var.size }\noutput "size" { value = terraform_data.a.output }\n';
  const node = new Node(t, {}, { 'infra/main.tf': main });
  const task = node.taskOf(
    `terraform: { folder: infra, keep: ${node.at('kept')} }, with: { size: 3 }, outputs: { size: int }`,
  );
  const search = process.env.PATH ?? '';
  t.equal(node.run(task.preview, { PARAM_SIZE: '3' }, search).status, 1);
  const first = node.run(task.run, { PARAM_SIZE: '3' }, search);
  t.equal(first.output, 'size<<END-OF-OUTPUT\n3\nEND-OF-OUTPUT\n', first.stderr);
  t.match(first.parts, [{ name: 'terraform_data.a', state: 'changed', message: 'will be created' }]);
  t.equal(node.run(task.preview, { PARAM_SIZE: '3' }, search).status, 0, 'the state was kept');
  t.match(node.run(task.run, { PARAM_SIZE: '4' }, search).parts, [{ message: 'will be updated in-place' }]);
  t.match(node.run(task.run, { PARAM_SIZE: 'x' }, search), {
    parts: [{ state: 'failed', message: /^Error: / }],
  });
};
if (real) t.test('a real terraform', withTerraform);
