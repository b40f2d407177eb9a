/** The language as a whole: the design's example, the schema for editors, the reference, and texts nobody would write. */
import fc from 'fast-check';
import t from 'tap';
import { stringify } from 'yaml';
import * as z from 'zod';
import { referencesOf } from '../../../shared/expressions/evaluate.ts';
import { compileExpression } from '../../../shared/expressions/expression.ts';
import { nearestWord } from '../../../shared/nearest.ts';
import { formatDuration, parseDuration } from '../../../shared/pipeline/duration.ts';
import { keysAt, moduleJsonSchema, pipelineJsonSchema } from '../../../shared/pipeline/editor-schema.ts';
import { parseModule } from '../../../shared/pipeline/module.ts';
import { parsePipeline } from '../../../shared/pipeline/pipeline.ts';
import { describeLanguage } from '../../../shared/pipeline/reference.ts';
import { secretIn, secretPaths } from '../../../shared/pipeline/secrets.ts';
import { readSource } from '../../../shared/pipeline/source.ts';
import { filesNamed, findings, head, pipelineOf, stepOf } from './reading.ts';

const example = `kind: pipeline
name: etcd-cluster
params:
  token: { type: string, secret: true, generate: { hex: 16 } }
roles:
  member: { select: 'labels.use == "etcd" && facts.memory.totalBytes >= 1073741824', count: 3, spread: labels.rack, waitFor: 45m }
  hv:     { select: 'labels.use == "hypervisor"', except: [member], optional: true }
steps:
  - id: install
    on: member
    check: command -v etcd                  # exit 0: already done; 1: not yet; anything else: failed
    run: apt-get install -y etcd-server etcd-client
    retry: { attempts: 3, backoff: 5s }
    timeout: 5m

  - id: configure
    on: member
    needs: [{ step: install, same: node }]  # this node's own install is enough: no barrier
    with:
      peers: \${{ roles.member.nodes.map(n, n.name + "=http://" + addressOf(n) + ":2380").join(",") }}
      token: \${{ params.token }}
    run: ./configure.sh
    rerun: idempotent

  - id: start                               # default: needs the step before it, on every node (a barrier)
    on: member
    run: ./start.sh
    provides: { service: etcd, port: 2379 }

  - id: healthy
    on: member.leader
    outputs: { healthy: { type: int } }
    run: ./count-healthy.sh >> "$LOCKSTEP_OUTPUT"
    until: outputs.healthy == 3
    every: 2s
    timeout: 2m

  - id: upgrade
    approve: Upgrade etcd on production?
    on: member
    strategy: { rolling: { maxUnavailable: 1, by: { label: rack, domains: 1 }, pause: 10s, maxFailed: 0, maxUnknown: 0 } }
    group:                                  # a node keeps its slot until the last step and verify have passed
      - { id: drain, run: './drain.sh', rerun: idempotent }
      - { id: kernel, run: apt-get -y full-upgrade, rerun: verify-first, check: ./is-new.sh }
    verify: { run: etcdctl endpoint health, every: 2s, timeout: 2m }
`;
const files = filesNamed('configure.sh', 'start.sh', 'count-healthy.sh', 'drain.sh', 'is-new.sh');

const jsonOf = (text: string): unknown => {
  const read = readSource('p.yaml', text);
  return read.ok ? read.source.value : undefined;
};

t.test('the example of the design', (t) => {
  t.strictSame(findings(example, { files }), ['7:3: warning: nothing runs on the role hv']);
  const pipeline = pipelineOf(example, { files });
  t.same(stepOf(pipeline, 'configure').with.token, { template: '${{ params.token }}', secret: true });
  t.equal(stepOf(pipeline, 'configure').with.peers?.secret, false);
  t.same(pipeline, JSON.parse(JSON.stringify(pipeline)), 'the model is plain JSON');
  t.end();
});

t.test('the schema for editors says what the parser says of the form', (t) => {
  const editor = z.fromJSONSchema(pipelineJsonSchema());
  t.equal(editor.safeParse(jsonOf(example)).success, true);
  const wrong = [
    'steps:\n  - { id: a, on: all, run: x, tiemout: 5m }',
    'steps:\n  - { id: a, on: all, run: x, timeout: soon }',
    'steps:\n  - { id: a, run: x }',
    'steps:\n  - { id: a, on: all, run: x, rerun: maybe }',
    'steps:\n  - { id: A, on: all, run: x }',
    'steps: []',
    'step: []',
    'steps:\n  - { id: a, on: all, run: x, strategy: { rolling: { maxUnavailable: 0% } } }',
    'params: { a b: {} }\nsteps:\n  - { id: a, on: all, run: x }',
  ];
  for (const text of wrong) {
    t.equal(editor.safeParse(jsonOf(`${head}${text}`)).success, false, `editor: ${text}`);
    t.not(findings(`${head}${text}`).length, 0, `parser: ${text}`);
  }
  const right = [
    'steps:\n  - { id: a, on: [all, two.rest], run: x, needs: [], retry: 1, verify: y, shell: [a], provides: s, outputs: { n: int } }',
    'steps:\n  - { id: a, on: all, group: [{ id: b, run: x }], strategy: rolling }',
  ];
  for (const text of right) t.equal(editor.safeParse(jsonOf(`${head}${text}`)).success, true, text);
  t.end();
});

t.test('every key has a description, for hovers and for the reference', (t) => {
  const bare: string[] = [];
  const visit = (schema: unknown, path: string): void => {
    if (typeof schema !== 'object' || schema === null) return;
    for (const [key, value] of Object.entries(schema)) {
      if (key === 'properties' && typeof value === 'object' && value !== null) {
        for (const [name, inside] of Object.entries(value)) {
          if (typeof inside === 'object' && inside !== null && !('description' in inside))
            bare.push(`${path}.${name}`);
        }
      }
      if (key !== 'default' && key !== 'enum') visit(value, key === 'properties' ? path : `${path}.${key}`);
    }
  };
  visit(pipelineJsonSchema(), 'pipeline');
  visit(moduleJsonSchema(), 'module');
  t.same(bare, []);
  const reference = describeLanguage();
  for (const word of [
    '`strategy.rolling.by.domains`',
    '`outputs.NAME.secret`',
    '`uses[].if`',
    '`generate.hex`',
    'text.glob(pattern)',
  ]) {
    t.ok(reference.includes(word), word);
  }
  t.same(keysAt(pipelineJsonSchema(), ['roles', 'any']).includes('waitFor'), true);
  t.end();
});

t.test('durations', (t) => {
  const cases: readonly (readonly [text: string, ms: number | undefined])[] = [
    ['500ms', 500],
    ['0s', 0],
    ['1h30m', 5_400_000],
    ['2d', 172_800_000],
    ['1m1ms', 60_001],
    ['90', undefined],
    ['', undefined],
    ['5 m', undefined],
    ['-5m', undefined],
    ['1.5h', undefined],
    ['30m1h', undefined],
    ['9999999999s', undefined],
  ];
  for (const [text, ms] of cases) t.equal(parseDuration(text), ms, text);
  fc.assert(fc.property(fc.nat({ max: 2 ** 47 }), (ms) => parseDuration(formatDuration(ms)) === ms));
  t.end();
});

t.test('the nearest word', (t) => {
  const valid = ['timeout', 'retry', 'needs', 'on', 'run'];
  const cases: readonly (readonly [word: string, nearest: string | undefined])[] = [
    ['tiemout', 'timeout'],
    ['TIMEOUT', 'timeout'],
    ['need', 'needs'],
    ['rnu', 'run'],
    ['x', undefined],
    ['completely', undefined],
    ['a'.repeat(10_000), undefined],
  ];
  for (const [word, nearest] of cases) t.equal(nearestWord(word, valid), nearest, word.slice(0, 20));
  t.end();
});

t.test('taint is monotone: what is around a secret or reads more is no less secret', (t) => {
  const secrets = secretPaths(
    { key: { type: 'string', secret: true }, open: { type: 'string', secret: false } },
    [],
  );
  const touches = (text: string): boolean => {
    const compiled = compileExpression(text);
    return (
      compiled.ok && compiled.expression.accesses.some((access) => secretIn(access, secrets) !== undefined)
    );
  };
  for (const text of [
    'params.key',
    'params["key"]',
    'params',
    'params[node.name]',
    'params.key.inner',
    'has(params.key)',
  ])
    t.ok(touches(text), text);
  for (const text of ['params.open', 'node.key', '"params.key"', '[1].map(params, params)'])
    t.notOk(touches(text), text);
  const leaf = fc.constantFrom('params.key', 'params.open', 'node.name', '1', '"a"', 'params[node.name]');
  const { tree } = fc.letrec<{ tree: string }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      leaf,
      fc.tuple(tie('tree'), tie('tree')).map(([a, b]) => `(${a} == ${b})`),
      fc.tuple(tie('tree'), tie('tree')).map(([a, b]) => `[${a}, ${b}]`),
      fc.tuple(tie('tree'), tie('tree'), tie('tree')).map(([a, b, c]) => `(${a} ? ${b} : ${c})`),
      fc.tuple(tie('tree'), tie('tree')).map(([a, b]) => `[${a}].map(x, [x, ${b}])`),
      tie('tree').map((a) => `{"k": ${a}}`),
      tie('tree').map((a) => `size([${a}])`),
    ),
  }));
  fc.assert(
    fc.property(tree, (text) => {
      if (referencesOf(text).length === 0 && /params|node/.test(text)) return true;
      return touches(text) === /params\.key|params\[/.test(text);
    }),
    { numRuns: 500 },
  );
  t.end();
});

const names = [
  'kind',
  'name',
  'params',
  'roles',
  'steps',
  'id',
  'on',
  'run',
  'group',
  'needs',
  'if',
  'with',
  'until',
  'strategy',
  'rolling',
  'waves',
  'outputs',
  'type',
  'select',
  'count',
  'except',
  'uses',
  'verify',
  'provides',
  'default',
  '__proto__',
  'constructor',
  'step',
  'same',
];
const scalars = fc.oneof(
  fc.constantFrom(
    'pipeline',
    'module',
    'p',
    'all',
    'all.leader',
    'a',
    'b',
    'int',
    '5m',
    '50%',
    'node',
    'm/t@1.0.0',
    '${{ params.a }}',
    '${{',
    'true',
    'outputs.a == 1',
    './x',
  ),
  fc.integer(),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
  fc.string({ maxLength: 20 }),
);
const { value: anything } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 6 },
    scalars,
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.oneof(fc.constantFrom(...names), fc.string({ maxLength: 5 })), tie('value'), {
      maxKeys: 6,
    }),
  ),
}));

t.test('no file at all makes the parser throw', (t) => {
  const good = jsonOf(example);
  /** The example with something odd at a random place. */
  const mutated = fc.tuple(anything, fc.nat(), fc.constantFrom(...names)).map(([odd, at, key]) => {
    let count = 0;
    const put = (value: unknown): unknown => {
      if (count++ === at % 120) return odd;
      if (Array.isArray(value)) return value.map(put);
      if (typeof value !== 'object' || value === null) return value;
      const entries = Object.entries(value).map(([name, inside]) => [
        count++ === at % 120 ? key : name,
        put(inside),
      ]);
      return Object.fromEntries(entries);
    };
    return stringify(put(good));
  });
  const texts = fc.oneof(
    mutated,
    anything.map((value) => stringify(value)),
    fc.string({ maxLength: 300 }),
    fc.string({ unit: 'binary', maxLength: 100 }),
  );
  fc.assert(
    fc.property(texts, (text) => {
      const parsed = parsePipeline({ file: 'p.yaml', text, files });
      if (!parsed.ok && parsed.diagnostics.length === 0) throw new Error('refused for no reason');
      const module = parseModule({ file: 'm.yaml', text, files });
      if (!module.ok && module.diagnostics.length === 0) throw new Error('refused for no reason');
    }),
    { numRuns: 250 },
  );
  t.end();
});

t.test('params, roles, values and outputs are counted where they stand', (t) => {
  const many = (count: number, value: string): string =>
    `{ ${Array.from({ length: count }, (_, index) => `n${index}: ${value}`).join(', ')} }`;
  const found = findings(
    `kind: pipeline
name: p
params: ${many(1_001, '{}')}
roles: ${many(501, '{}')}
steps:
  - id: a
    on: n0
    run: echo
    with: ${many(1_001, '1')}
    outputs: ${many(1_001, 'int')}
`,
  );
  t.same(found, [
    '3:1: error: 1001 params are too many (expected at most 1000)',
    '4:1: error: 501 roles are too many (expected at most 500)',
    '9:5: error: 1001 values are too many (expected at most 1000)',
    '10:5: error: 1001 outputs are too many (expected at most 1000)',
  ]);
  const most = `kind: pipeline
name: p
roles: ${many(500, '{}')}
steps:
  - { id: a, on: n0, run: echo, rerun: idempotent, with: ${many(1_000, '1')}, outputs: ${many(1_000, 'int')} }
`;
  t.same(
    findings(most).filter((line) => line.includes('error')),
    [],
  );
  t.end();
});
