/** What a file in order comes to: defaults, order written out, groups, strategies, files. */
import t from 'tap';
import { evaluateCondition } from '../../../shared/expressions/evaluate.ts';
import { stepIdPattern } from '../../../shared/ids.ts';
import { limits } from '../../../shared/limits.ts';
import { digestOf, filesNamed, findings, head, pipelineOf, stepOf } from './reading.ts';

const nothing = { maxFailed: { count: 0 }, maxUnknown: { count: 0 }, maxUnreachable: { count: 0 } };

t.test('a step that says nothing more than it must', (t) => {
  const pipeline = pipelineOf(`${head}steps:\n  - { id: a, on: all, run: echo }\n`);
  t.same(pipeline.units, [
    {
      id: 'a',
      kind: 'step',
      on: [{ role: 'all', who: 'all' }],
      strategy: { kind: 'parallel', budgets: nothing },
      steps: [
        {
          id: 'a',
          on: [{ role: 'all', who: 'all' }],
          needs: [],
          tasks: [{ run: { shell: ['sh', '-e'], text: 'echo' } }],
          with: {},
          rerun: 'never-twice',
          retry: { attempts: 1, backoffMs: 0 },
          timeoutMs: limits.jobTimeoutDefaultMs,
          leaves: 'nothing',
          outputs: {},
          offline: 'wait',
          unknownAfterMs: limits.unknownAfterDefaultMs,
        },
      ],
    },
  ]);
  t.same(pipeline.roles.two, { name: 'two', select: 'true', except: [], optional: false, count: 2 });
  t.same(pipeline.modules, {});
  t.end();
});

t.test('everything that a step can say', (t) => {
  const text = `${head}params: { n: { type: int, default: 1 }, key: { secret: true } }
steps:
  - id: a
    title: Everything
    on: [all.rest, two.leader]
    check: ./is-done
    run: |
      echo a
    verify: { run: true, every: 500ms, timeout: 1h30m }
    shell: bash
    if: params.n == 1
    until: outputs.ok
    every: 3s
    timeout: 5m
    retry: { attempts: 3, backoff: 2s }
    approve: Really?
    strategy: { parallel: { maxParallel: 25%, maxFailed: 1, maxUnreachable: 10% } }
    outputs: { ok: bool, note: { type: string, secret: true, optional: true } }
    leaves: daemon
    offline: skip
    unknownAfter: 2m
    provides: { service: web, port: "\${{ params.n + 80 }}", address: "\${{ node.address }}" }
    with: { plain: [1, two], secret: "x\${{ params.key }}" }
`.replace('run: true', 'run: "true"');
  const pipeline = pipelineOf(text);
  const [unit] = pipeline.units;
  t.same(unit?.on, [
    { role: 'all', who: 'rest' },
    { role: 'two', who: 'leader' },
  ]);
  t.equal(unit?.approve, 'Really?');
  t.same(unit?.strategy, {
    kind: 'parallel',
    maxParallel: { percent: 25 },
    budgets: { maxFailed: { count: 1 }, maxUnknown: { count: 0 }, maxUnreachable: { percent: 10 } },
  });
  const shell = ['bash', '-eo', 'pipefail'];
  t.match(stepOf(pipeline, 'a'), {
    title: 'Everything',
    if: 'params.n == 1',
    approve: 'Really?',
    tasks: [
      {
        check: { shell, text: './is-done' },
        run: { shell, text: 'echo a\n' },
        verify: { script: { shell, text: 'true' }, everyMs: 500, timeoutMs: 5_400_000 },
      },
    ],
    with: {
      plain: { template: [1, 'two'], secret: false },
      secret: { template: 'x${{ params.key }}', secret: true },
    },
    until: { expression: 'outputs.ok', everyMs: 3_000 },
    timeoutMs: 300_000,
    retry: { attempts: 3, backoffMs: 2_000 },
    rerun: 'verify-first',
    outputs: {
      ok: { type: 'bool', secret: false, optional: false },
      note: { type: 'string', secret: true, optional: true },
    },
    provides: {
      service: 'web',
      port: { template: '${{ params.n + 80 }}', secret: false },
      address: { template: '${{ node.address }}', secret: false },
    },
    leaves: 'daemon',
    offline: 'skip',
    unknownAfterMs: 120_000,
  });
  t.end();
});

t.test('order: the step before, a graph, none at all', (t) => {
  const text = `${head}steps:
  - { id: a, on: all, run: x }
  - { id: b, on: all, run: x }
  - { id: c, on: two, run: x, needs: [a, { step: b, same: node }, { step: b }] }
  - { id: d, on: all, run: x, needs: [] }
  - id: g
    on: all
    needs: [b]
    group: [{ id: e, run: x }, { id: f, run: x, needs: d }]
    verify: check
  - { id: h, on: all, run: x }
  - { id: i, on: all, run: x, needs: g }
`;
  const pipeline = pipelineOf(text);
  const needs = (id: string) =>
    stepOf(pipeline, id).needs.map(({ step, sameNode }) => (sameNode ? `${step} here` : step));
  t.same(needs('a'), []);
  t.same(needs('b'), ['a']);
  t.same(needs('c'), ['a', 'b'], 'a barrier covers a need for the same node');
  t.same(needs('d'), []);
  t.same(needs('e'), ['b'], 'what the group needs, its first step needs');
  t.same(needs('f'), ['e here', 'd'], 'the step before on the same node is always needed');
  t.same(needs('g.verify'), ['f here']);
  t.same(needs('h'), ['g.verify'], 'after a group comes what follows its last step');
  t.same(needs('i'), ['g.verify'], 'a group is named for its last step');
  t.end();
});

t.test('a group', (t) => {
  const text = `${head}params: { go: { type: bool, default: true } }
steps:
  - id: up
    title: Upgrade
    on: all
    if: params.go // always
    approve: Sure?
    strategy: { rolling: { maxUnavailable: 30%, by: { label: labels.rack, perDomain: 2 }, waves: [1, 10%], pause: 10s, maxUnknown: 1 } }
    group:
      - { id: drain, run: x, if: node.name != "a" }
      - { id: boot, run: x, check: y }
    verify: { run: z, timeout: 3m }
`;
  const pipeline = pipelineOf(text);
  const [unit] = pipeline.units;
  t.match(unit, { id: 'up', kind: 'group', title: 'Upgrade', approve: 'Sure?' });
  t.same(unit?.strategy, {
    kind: 'rolling',
    maxUnavailable: { percent: 30 },
    by: { label: 'rack', domains: 1, perDomain: 2 },
    waves: [{ count: 1 }, { percent: 10 }, { percent: 100 }],
    pauseMs: 10_000,
    budgets: { ...nothing, maxUnknown: { count: 1 } },
  });
  t.same(
    unit?.steps.map(({ id }) => id),
    ['drain', 'boot', 'up.verify'],
  );
  t.ok(unit?.steps.every(({ id }) => stepIdPattern.test(id)));
  t.ok(
    unit?.steps.every((step) => step.approve === undefined),
    'the unit as a whole is approved',
  );
  const scope = (name: string, go: boolean) => ({ params: { go }, node: { name } });
  const condition = stepOf(pipeline, 'drain').if ?? '';
  t.same(evaluateCondition(condition, scope('b', true)), { ok: true, value: true });
  t.same(evaluateCondition(condition, scope('a', true)), { ok: true, value: false });
  t.same(
    evaluateCondition(condition, scope('b', false)),
    { ok: true, value: false },
    'the condition of the group counts too',
  );
  t.equal(stepOf(pipeline, 'up.verify').if, 'params.go // always');
  t.match(stepOf(pipeline, 'up.verify'), {
    tasks: [{ verify: { script: { text: 'z' }, everyMs: 2_000, timeoutMs: 180_000 } }],
    rerun: 'idempotent',
    timeoutMs: 180_000 + limits.verifyMarginMs,
  });
  t.end();
});

t.test('what may run again', (t) => {
  const text = `${head}steps:
  - { id: a, on: all, run: x, check: y }
  - { id: b, on: all, run: x, until: exitCode == 0 }
  - { id: c, on: all, run: x, until: exitCode == 0, check: y }
  - { id: d, on: all, run: x, rerun: idempotent, retry: 5 }
  - { id: e, on: all, run: x, check: y, rerun: never-twice }
`;
  const pipeline = pipelineOf(text);
  const reruns = ['a', 'b', 'c', 'd', 'e'].map((id) => stepOf(pipeline, id).rerun);
  t.same(reruns, ['verify-first', 'idempotent', 'verify-first', 'idempotent', 'never-twice']);
  t.same(stepOf(pipeline, 'd').retry, { attempts: 5, backoffMs: limits.retryBackoffDefaultMs });
  t.end();
});

t.test('interpreters', (t) => {
  const shells: readonly (readonly [shell: string, argv: readonly string[]])[] = [
    ['sh', ['sh', '-e']],
    ['/bin/bash', ['/bin/bash', '-eo', 'pipefail']],
    ['bash -x', ['bash', '-x']],
    ['python3', ['python3']],
    ['[bash, "-c"]', ['bash', '-c']],
    ['[bash]', ['bash']],
  ];
  for (const [shell, argv] of shells) {
    const pipeline = pipelineOf(`${head}steps:\n  - { id: a, on: all, run: x, shell: ${shell} }\n`);
    t.same(stepOf(pipeline, 'a').tasks[0]?.run?.shell, argv, shell);
  }
  t.end();
});

t.test('roles and params', (t) => {
  const pipeline = pipelineOf(`kind: pipeline
name: p
title: A title
params:
  text: {}
  port: { type: int, default: 80, minimum: 1, maximum: 65535, values: [80, 443], description: Where }
  name: { pattern: "web-*", default: web-1 }
  key: { secret: true, generate: { password: 20 } }
  id: { generate: { uuid: true } }
roles:
  a: { select: 'labels.x == "y"', count: 3, spread: 'labels["example.org/rack"]', waitFor: 1m, prefer: facts.cpu.cores, except: b }
  b: { optional: true }
steps:
  - { id: s, on: [a, b], run: 'echo $PARAM_TEXT $PARAM_PORT $PARAM_NAME $PARAM_ID', with: { k: "\${{ params.key }}" } }
`);
  t.equal(pipeline.title, 'A title');
  t.same(pipeline.params, {
    text: { type: 'string', secret: false },
    port: {
      type: 'int',
      secret: false,
      default: 80,
      minimum: 1,
      maximum: 65_535,
      values: [80, 443],
      description: 'Where',
    },
    name: { type: 'string', secret: false, pattern: 'web-*', default: 'web-1' },
    key: { type: 'string', secret: true, generate: { password: 20 } },
    id: { type: 'string', secret: false, generate: { uuid: true } },
  });
  t.same(pipeline.roles.a, {
    name: 'a',
    select: 'labels.x == "y"',
    count: 3,
    spread: 'example.org/rack',
    waitForMs: 60_000,
    prefer: 'facts.cpu.cores',
    except: ['b'],
    optional: false,
  });
  t.end();
});

t.test('files come along', (t) => {
  const files = filesNamed('go.sh', 'lib.py', 'unit.service', 'health.sh');
  const text = `${head}steps:
  - { id: a, on: all, run: './go.sh && install ./unit.service /etc; ./made-here', check: 'echo; ./gone' }
  - { id: b, on: all, run: 'python3 "./lib.py" ../go.sh /go.sh x./go.sh', files: [./etc/] }
  - { id: c, on: all, run: './gone.sh' }
  - { id: d, on: all, run: 'echo' }
  - { id: g, on: all, group: [{ id: e, run: x }], verify: ./health.sh }
`;
  const pipeline = pipelineOf(text, { files });
  const bundle = (id: string) => stepOf(pipeline, id).tasks[0]?.bundle;
  const manifest = (...paths: readonly string[]) =>
    digestOf(
      JSON.stringify({
        files: paths.map((path) => {
          const name = path.startsWith('etc/') ? (path.endsWith('a.conf') ? 'a' : 'b') : path;
          return { path, digest: digestOf(name), sizeBytes: name.length, executable: true };
        }),
      }),
    );
  t.equal(bundle('a'), manifest('go.sh', 'unit.service'));
  t.equal(bundle('b'), manifest('etc/a.conf', 'etc/sub/b.conf', 'lib.py'));
  t.equal(bundle('c'), undefined);
  t.equal(bundle('d'), undefined);
  t.equal(bundle('g.verify'), manifest('health.sh'));
  t.same(
    findings(text, { files }).filter((line) => line.includes('./')),
    ['7:28: warning: "./gone.sh" is not beside this file: the script must bring it by itself'],
  );
  t.end();
});
