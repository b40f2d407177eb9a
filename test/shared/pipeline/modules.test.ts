/** Modules: how they are read, and how a step that uses a task of one is judged. */
import t from 'tap';
import { formatDiagnostic } from '../../../shared/diagnostic.ts';
import { type LoadedModule, parseModule } from '../../../shared/pipeline/module.ts';
import { digestOf, filesNamed, findings, head, pipelineOf, stepOf } from './reading.ts';

const packages = `kind: module
name: packages
version: 1.2.0
description: Packages of the distribution.
tasks:
  install:
    params:
      names: { type: json }
      release: { type: string, default: stable, pattern: "[a-z]*" }
      count: { type: int, default: 1, maximum: 9 }
      key: { secret: true, default: none }
    check: ./is-installed.sh
    run: ./install.sh
    shell: bash
    outputs: { version: { type: string, optional: true } }
    retry: 3
    timeout: 10m
  remove:
    params: { names: { type: json } }
    run: ./remove.sh
    rerun: idempotent
    leaves: daemon
    outputs: { version: string, freed: int }
`;

function load(text: string): LoadedModule {
  const parsed = parseModule({
    file: 'module.yaml',
    text,
    files: filesNamed('is-installed.sh', 'install.sh', 'remove.sh'),
  });
  if (!parsed.ok) throw new Error(parsed.diagnostics.map(formatDiagnostic).join('\n'));
  return { module: parsed.module, digest: digestOf(text) };
}

const modules = [
  load(packages),
  load(packages.replace('1.2.0', '2.0.0')),
  load(packages.replace('name: packages', 'name: services')),
];

const using = (step: string) =>
  findings(
    `${head}params: { key: { secret: true }, size: { type: int, default: 1 } }\nsteps:\n  - { id: a, on: all, ${step} }\n`,
    { modules },
  ).filter((line) => line.includes(': error: '));

t.test('a step that uses a task', (t) => {
  const text = `${head}params: { secret: { secret: true } }
steps:
  - { id: a, on: all.leader, uses: packages/install@1.2.0, with: { names: [etcd], key: "\${{ params.secret }}" } }
  - { id: b, on: all, uses: packages/install@1.2.0, with: { names: [x] }, timeout: 1m, retry: 1, rerun: idempotent }
  - { id: c, on: all, run: "echo $PARAM_V", with: { v: "\${{ has(steps.a.outputs.version) ? steps.a.outputs.version : '' }}" } }
`;
  const pipeline = pipelineOf(text, { modules });
  const [task] = stepOf(pipeline, 'a').tasks;
  t.same(task?.source, { uses: 'packages/install@1.2.0', digest: digestOf(packages) });
  t.same(Object.keys(task?.params ?? {}), ['names', 'release', 'count', 'key']);
  t.match(task, {
    run: { shell: ['bash', '-eo', 'pipefail'], text: './install.sh' },
    check: { text: './is-installed.sh' },
  });
  t.match(task?.bundle, /^sha256:/);
  t.match(stepOf(pipeline, 'a'), {
    rerun: 'verify-first',
    retry: { attempts: 3 },
    timeoutMs: 600_000,
    outputs: { version: { type: 'string', optional: true } },
    with: { key: { secret: true }, names: { secret: false } },
  });
  t.match(stepOf(pipeline, 'b'), { rerun: 'idempotent', retry: { attempts: 1 }, timeoutMs: 60_000 });
  t.same(pipeline.modules, { 'packages@1.2.0': digestOf(packages) });
  t.end();
});

t.test('alternatives: the most cautious policy, and outputs that only some have are optional', (t) => {
  const text = `${head}steps:
  - id: a
    on: all
    uses:
      - { if: node.facts.os.id == "debian", uses: packages/install@1.2.0 }
      - { uses: packages/remove@2.0.0 }
    with: { names: [x] }
`;
  const step = stepOf(pipelineOf(text, { modules }), 'a');
  t.same(
    step.tasks.map((task) => [task.if, task.source?.uses]),
    [
      ['node.facts.os.id == "debian"', 'packages/install@1.2.0'],
      [undefined, 'packages/remove@2.0.0'],
    ],
  );
  t.match(step, { rerun: 'never-twice', retry: { attempts: 1 }, timeoutMs: 600_000, leaves: 'daemon' });
  t.match(step.outputs, { version: { optional: true }, freed: { optional: true } });
  t.end();
});

t.test('what is wrong with using a task', (t) => {
  const cases: readonly (readonly [step: string, ...expected: string[]])[] = [
    [
      'uses: package/install@1.2.0, with: { names: [] }',
      '6:29: error: there is no module "package" (expected one of packages, services; did you mean "packages"?)',
    ],
    [
      'uses: packages/instal@1.2.0',
      '6:29: error: module packages@1.2.0 has no task "instal" (expected one of install, remove; did you mean "install"?)',
    ],
    [
      'uses: packages/install@1.3.0',
      '6:29: error: module packages has no version 1.3.0 (expected one of 1.2.0, 2.0.0; did you mean "1.2.0"?)',
    ],
    [
      'uses: packages/install',
      '6:29: error: "packages/install" names no task (expected module/task@version; did you mean "packages/install@1.2.0"?)',
    ],
    [
      'uses: packages/install@1.2.0',
      '6:29: error: packages/install@1.2.0 needs the param "names" (expected with: { names: a value of type json })',
    ],
    [
      'uses: packages/install@1.2.0, with: { names: [], relase: testing }',
      '6:72: error: packages/install@1.2.0 has no param "relase" (did you mean "release"?)',
    ],
    [
      'uses: packages/install@1.2.0, with: { names: [], release: 3, count: 12 }',
      '6:81: error: the value is not of the declared type (expected text (in quotes where YAML would see a number or a bool))',
      '6:91: error: the value is too large (expected at most 9)',
    ],
    [
      'uses: packages/install@1.2.0, with: { names: [], release: "${{ params.size }}", count: "a${{ params.size }}" }',
      '6:85: error: the expression gives an int (expected a value of type string)',
      '6:110: error: this gives a string, but count is of type int (expected int)',
    ],
    [
      'uses: packages/remove@1.2.0, with: { names: [] }, run: x, shell: bash',
      '6:73: error: "run" does not stand beside uses: the task has its own',
      '6:81: error: "shell" does not stand beside uses: the task has its own',
    ],
    [
      'uses: packages/remove@1.2.0, with: { names: [] }, rerun: verify-first',
      '6:80: error: rerun: verify-first runs the check first, and there is none (expected a check, or rerun: idempotent)',
    ],
    [
      'uses: [{ if: "params.key == 1", uses: packages/remove@1.2.0 }], with: { names: [] }',
      '6:37: error: params.key is secret and cannot stand in if: what that decides can be seen',
    ],
  ];
  for (const [step, ...expected] of cases) t.strictSame(using(step), expected, step);
  t.end();
});

t.test('params of the pipeline reach a task by their names', (t) => {
  const text = (type: string) =>
    `${head}params: { names: { type: ${type} } }\nsteps:\n  - { id: a, on: all, uses: packages/remove@1.2.0 }\n  - { id: b, on: two, run: x }\n`;
  t.strictSame(findings(text('json'), { modules }), []);
  const strict = load(
    packages
      .replace('names: { type: json }', 'names: { type: string }')
      .replace(
        'remove:\n    params: { names: { type: json } }',
        'remove:\n    params: { names: { type: bool } }',
      ),
  );
  t.strictSame(findings(text('int'), { modules: [strict] }), [
    '6:29: error: packages/remove@1.2.0 takes the param names as bool, but here it is of type int (expected with: { names: … })',
  ]);
  t.end();
});

t.test('until of a task knows the params of the task', (t) => {
  const until = (expression: string) =>
    using(`uses: packages/remove@1.2.0, with: { names: [] }, until: '${expression}'`);
  t.strictSame(until('params.names.size() == outputs.freed'), []);
  t.strictSame(until('params.size == 1'), ['6:88: error: params have no "size" (expected "names")']);
  const secret = using(`uses: packages/install@1.2.0, with: { names: [] }, until: 'params.key == "x"'`);
  t.strictSame(secret, [
    '6:82: error: params.key is secret and cannot stand in until: what that decides can be seen',
  ]);
  t.end();
});

t.test('what is wrong with a module', (t) => {
  const text = `kind: module
name: m
version: "1"
tasks:
  a: { check: x }
  b: { run: x, retry: 2, params: { constructor: {}, p: { default: 3 } } }
  c: { run: x, until: "true", runn: y }
`;
  const faults = (source: string) => {
    const parsed = parseModule({ file: 'm.yaml', text: source });
    return parsed.ok ? [] : parsed.diagnostics.map(formatDiagnostic);
  };
  t.strictSame(faults(text), [
    'm.yaml:3:10: error: "version" cannot be "1" (expected a version such as 1.4.0)',
    'm.yaml:7:16: error: task c has no "until" (expected one of title, description, params, check, run, verify, shell, files, outputs, leaves, rerun, retry, … (18 in all))',
    'm.yaml:7:31: error: task c has no "runn" (did you mean "run"?)',
  ]);
  t.strictSame(faults(text.replace('"1"', '1.0.0').replace(', until: "true", runn: y', '')), [
    'm.yaml:5:6: error: there is nothing to run (expected run or verify beside the check)',
    'm.yaml:6:23: error: retry runs the script again, which nothing says that it bears (expected rerun: idempotent, or a check)',
    'm.yaml:6:36: error: "constructor" is reserved and cannot be the name of a param',
    'm.yaml:6:67: error: the value is not of the declared type (expected text (in quotes where YAML would see a number or a bool))',
  ]);
  t.strictSame(faults('kind: pipeline'), [
    'm.yaml:1:1: error: the file lacks "name" (expected text)',
    'm.yaml:1:1: error: the file lacks "version" (expected text)',
    'm.yaml:1:1: error: the file lacks "tasks" (expected a map)',
    'm.yaml:1:7: error: "kind" cannot be "pipeline" (expected "module")',
  ]);
  t.end();
});
