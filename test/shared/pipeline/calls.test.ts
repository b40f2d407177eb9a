/** Pipelines that call pipelines: what their steps become, and what is said where of what is wrong. */
import fc from 'fast-check';
import t from 'tap';
import { formatDiagnostic } from '../../../shared/diagnostic.ts';
import type { Pipeline } from '../../../shared/pipeline/model.ts';
import { type PipelineParsed, parsePipeline } from '../../../shared/pipeline/pipeline.ts';
import { filesNamed, pipelineOf, stepOf } from './reading.ts';

const etcd = `kind: pipeline
name: etcd
params:
  size: { type: int, default: 3, minimum: 1 }
  title: { type: string }
  token: { type: string, secret: true, generate: { hex: 16 } }
roles:
  member: { select: 'labels.use == "etcd"', count: 3 }
steps:
  - id: install
    on: member
    run: 'echo "$PARAM_TITLE"; ./install.sh'
  - id: configure
    on: member
    needs: [{ step: install, same: node }]
    if: params.size > 2
    with: { token: '\${{ params.token }}', peers: '\${{ roles.member.nodes.map(n, n.name).join(",") }}' }
    run: 'true'
  - id: health
    on: member.leader
    needs: configure
    outputs: { n: int }
    until: outputs.n == params.size
    run: 'true'
`;

const head = `kind: pipeline
name: all
params: { what: { type: string, default: prod }, secret: { type: string, secret: true } }
roles:
  controllers: { select: 'labels.use == "c"' }
  workers: { select: 'labels.use == "w"', optional: true }
steps:
`;

const files: Readonly<Record<string, string>> = { 'parts/etcd.yaml': etcd };

const parse = (steps: string, more: Readonly<Record<string, string>> = {}): PipelineParsed =>
  parsePipeline({
    file: 'all.yaml',
    text: `${head}${steps}`,
    open: (name) => {
      const text = { ...files, ...more }[name];
      return text === undefined ? undefined : { text, files: filesNamed('install.sh') };
    },
  });

function read(steps: string, more: Readonly<Record<string, string>> = {}): Pipeline {
  const parsed = parse(steps, more);
  if (!parsed.ok) throw new Error(parsed.diagnostics.map(formatDiagnostic).join('\n'));
  return parsed.pipeline;
}

function findings(steps: string, more: Readonly<Record<string, string>> = {}): readonly string[] {
  const parsed = parse(steps, more);
  return (parsed.ok ? parsed.warnings : parsed.diagnostics).map(formatDiagnostic);
}

const needsOf = (pipeline: Pipeline, id: string): readonly string[] =>
  stepOf(pipeline, id).needs.map(({ step, sameNode }) => (sameNode ? `${step} here` : step));

const call = `  - id: etcd
    pipeline: ./parts/etcd.yaml
    roles: { member: controllers }
    with: { title: 'etcd of \${{ params.what }}' }
`;

t.test('steps of the pipeline that is called', (t) => {
  const pipeline = read(`  - { id: prep, on: controllers, run: 'true' }
${call}  - { id: after, on: controllers, with: { n: '\${{ steps["etcd.health"].outputs.n }}' }, run: 'true' }
  - { id: whole, on: controllers, needs: [etcd], run: 'true' }
  - { id: part, on: controllers, needs: [etcd.install], run: 'true' }
  - { id: here, on: controllers, needs: [{ step: etcd, same: node }], run: 'true' }
`);
  t.same(
    pipeline.units.map(({ id }) => id),
    ['prep', 'etcd.install', 'etcd.configure', 'etcd.health', 'after', 'whole', 'part', 'here'],
  );
  t.same(needsOf(pipeline, 'etcd.install'), ['prep'], 'it comes where the call stands');
  t.same(needsOf(pipeline, 'etcd.configure'), ['etcd.install here']);
  t.same(needsOf(pipeline, 'etcd.health'), ['etcd.configure']);
  t.same(needsOf(pipeline, 'after'), ['etcd.health'], 'and what follows waits for the end of it');
  t.same(needsOf(pipeline, 'whole'), ['etcd.health']);
  t.same(needsOf(pipeline, 'part'), ['etcd.install']);
  t.same(needsOf(pipeline, 'here'), ['etcd.install here', 'etcd.configure here']);
  const install = stepOf(pipeline, 'etcd.install');
  t.same(install.on, [{ role: 'controllers', who: 'all' }]);
  t.same(install.with, {
    size: { template: 3, secret: false },
    title: { template: 'etcd of ${{ params.what }}', secret: false },
  });
  t.same(Object.keys(install.tasks[0]?.params ?? {}), ['size', 'title'], 'and nothing of the caller');
  const configure = stepOf(pipeline, 'etcd.configure');
  t.equal(configure.if, '3 > 2');
  t.same(configure.with.token, { template: '${{ params.etcd_token }}', secret: true });
  t.equal(configure.with.peers?.template, '${{ roles["controllers"].nodes.map(n, n.name).join(",") }}');
  t.same(pipeline.params.etcd_token, { type: 'string', secret: true, generate: { hex: 16 } });
  t.equal(
    stepOf(pipeline, 'etcd.health').until?.expression,
    'outputs.n == params.size',
    'as the node knows them',
  );
  t.same(Object.keys(pipeline.roles), ['controllers', 'workers'], 'nodes are selected by the caller');
  t.end();
});

t.test('calls in calls, and twice', (t) => {
  const more = {
    'site.yaml': `kind: pipeline
name: site
params: { size: { type: int } }
roles: { one: {}, two: {} }
steps:
  - { id: db, pipeline: ./parts/etcd.yaml, roles: { member: one }, with: { title: db, size: '\${{ params.size + 1 }}' } }
  - { id: queue, pipeline: ./parts/etcd.yaml, roles: { member: two }, needs: [], with: { title: q } }
  - { id: both, on: [one, two], needs: [db, queue], run: 'true' }
`,
  };
  const pipeline = read(
    `  - { id: prep, on: controllers, run: 'true' }
  - { id: s, pipeline: ./site.yaml, roles: { one: controllers, two: controllers }, with: { size: 4 } }
  - { id: last, on: controllers, run: 'true' }
`,
    more,
  );
  t.same(needsOf(pipeline, 's.queue.install'), ['prep'], 'needs: [] is meant inside of the call');
  t.same(needsOf(pipeline, 's.db.install'), ['prep']);
  t.same(needsOf(pipeline, 's.both'), ['s.db.health', 's.queue.health']);
  t.same(needsOf(pipeline, 'last'), ['s.both']);
  t.equal(stepOf(pipeline, 's.db.configure').if, '(4 + 1\n) > 2'.replace('4 + 1', ' 4 + 1 '));
  t.ok('s_db_token' in pipeline.params && 's_queue_token' in pipeline.params);
  t.same(stepOf(pipeline, 's.both').on, [{ role: 'controllers', who: 'all' }], 'two roles that are one here');
  t.end();
});

t.test('conditions, ends, roles that may be empty', (t) => {
  const more = {
    'end.yaml': `kind: pipeline
name: end
params: { j: { type: json, default: { a: [1, "x"] } }, d: { type: double, default: 2 } }
roles: { one: {} }
steps:
  - { id: a, on: one, if: 'has(params.j.a) && has(params.d) && params.d > 1.5 && params.j["a"].size() == 2', run: 'true' }
  - { id: g, on: one, group: [{ id: m, run: 'true' }], verify: 'true' }
finally:
  - { id: tidy, on: one, run: 'true' }
`,
  };
  const pipeline = read(
    `  - { id: e, pipeline: ./end.yaml, roles: { one: workers }, if: 'params.what == "prod"' }
  - { id: use, on: controllers, run: 'true' }
finally:
  - { id: bye, on: controllers, run: 'true' }
`,
    more,
  );
  t.equal(
    stepOf(pipeline, 'e.a').if,
    '(params.what == "prod"\n) && (has({"a": [1, "x"]}.a) && true && 2.0 > 1.5 && {"a": [1, "x"]}["a"].size() == 2\n)',
  );
  for (const id of ['e.m', 'e.g.verify']) t.equal(stepOf(pipeline, id).if, 'params.what == "prod"', id);
  t.same(
    pipeline.units.filter((unit) => unit.finally).map(({ id }) => id),
    ['e.tidy', 'bye'],
    'what is called ends inside',
  );
  t.same(needsOf(pipeline, 'bye'), ['e.tidy']);
  t.end();
});

t.test('what is done after steps, and needs that hold for some nodes only', (t) => {
  const more = {
    'after.yaml': `kind: pipeline
name: after
roles: { one: {}, two: {} }
steps:
  - id: a
    on: one
    run: 'true'
    rescue: [{ id: mend, with: { why: '\${{ failure.reason }}' }, run: 'true' }]
    always: [{ id: tell, run: 'true' }]
  - { id: other, on: two, needs: [{ step: a, same: node }], run: 'true' }
`,
  };
  const pipeline = read(
    `  - { id: prep, on: [controllers, workers], run: 'true' }
  - { id: c, pipeline: ./after.yaml, roles: { one: controllers, two: workers }, if: 'params.what == "prod"' }
  - { id: last, on: controllers, run: 'true' }
`,
    more,
  );
  t.match(stepOf(pipeline, 'c.mend'), {
    part: 'rescue',
    with: { why: { template: '${{ failure.reason }}' } },
  });
  t.match(stepOf(pipeline, 'c.tell'), { part: 'always' });
  t.equal(stepOf(pipeline, 'c.tell').if, undefined, 'it is done where something was begun');
  t.same(
    needsOf(pipeline, 'c.other'),
    ['c.a here', 'c.tell here', 'prep'],
    'nodes without c.a wait for prep too',
  );
  t.same(needsOf(pipeline, 'last'), ['c.a', 'c.tell', 'c.other']);
  t.end();
});

t.test('what is wrong is said where it is to be mended', (t) => {
  const with_ = (given: string, roles = '{ member: controllers }'): string =>
    `  - id: etcd\n    pipeline: ./parts/etcd.yaml\n    roles: ${roles}\n    with: ${given}\n`;
  const cases: readonly (readonly [string, readonly (string | RegExp)[]])[] = [
    [
      with_('{}'),
      [
        'all.yaml:8:5: error: parts/etcd.yaml needs the param "title" (expected with: { title: a value of type string })',
      ],
    ],
    [with_('{ title: 5 }'), [/^all.yaml:11:20: error: the value is not of the declared type/]],
    [with_('{ title: a, size: 0 }'), [/^all.yaml:11:29: error: the value is too small/]],
    [
      with_('{ title: a, size: "${{ params.what }}" }'),
      [/^all.yaml:11:33: error: the expression gives a string \(expected a value of type int\)/],
    ],
    [
      with_('{ titel: a, title: b }'),
      ['all.yaml:11:13: error: parts/etcd.yaml has no param "titel" (did you mean "title"?)'],
    ],
    [
      with_('{ title: "${{ params.secret }}" }'),
      [/^all.yaml:11:20: error: this is secret, but title is not/],
    ],
    [
      with_('{ title: "${{ params.waht }}" }'),
      [/^all.yaml:11:32: error: params have no "waht".*did you mean "what"/],
    ],
    [
      with_('{ title: a }', '{}'),
      [
        'all.yaml:8:5: error: it is not said who is member of parts/etcd.yaml (expected roles: { member: controllers or workers })',
      ],
    ],
    [
      with_('{ title: a }', '{ member: controlers }'),
      [/^all.yaml:10:22: error: there is no role "controlers".*did you mean "controllers"/],
    ],
    [
      with_('{ title: a }', '{ member: controllers, x: workers }'),
      [/^all.yaml:10:35: error: parts\/etcd.yaml has no role "x"/],
    ],
    [`${call}    nedes: []\n`, ['all.yaml:12:5: error: step etcd has no "nedes" (did you mean "needs"?)']],
    [`${call}    needs: [perp]\n`, [/^all.yaml:12:13: error: there is no step "perp"/]],
    [
      `${call}    if: params.secret == "x"\n`,
      [/^all.yaml:12:9: error: params.secret is secret and cannot stand in if/],
    ],
    [`${call}${call}`, [/^all.yaml:12:9: error: another step is called "etcd"/]],
    [
      `${call}  - { id: g, on: controllers, group: [{ id: x, pipeline: ./parts/etcd.yaml }] }\n`,
      [/"pipeline" does not stand here: other pipelines are called beside groups/],
    ],
  ];
  for (const [steps, wanted] of cases) {
    const found = findings(steps).filter((line) => !line.includes('warning'));
    t.equal(found.length, wanted.length, `${steps}: ${found.join('\n')}`);
    for (const [index, line] of wanted.entries()) t.match(found[index] ?? '', line, steps);
  }
  const broken = etcd.replace('params.size > 2', 'params.size > "2"');
  t.match(
    findings(call, { 'parts/etcd.yaml': broken }),
    [/^parts\/etcd.yaml:16:9: error: /],
    'in its own file',
  );
  const circle =
    'kind: pipeline\nname: x\nroles: { controllers: {} }\nsteps: [{ id: y, pipeline: ./NAME.yaml }]\n';
  t.same(
    findings('  - { id: x, pipeline: ./x.yaml }\n', {
      'x.yaml': circle.replace('NAME', 'y'),
      'y.yaml': circle.replace('NAME', 'all'),
    }),
    ['y.yaml:4:28: error: a pipeline cannot be made of itself: all.yaml → x.yaml → y.yaml → all.yaml'],
  );
  const hiding =
    'kind: pipeline\nname: x\nparams: { p: {} }\nroles: { controllers: {} }\nsteps: [{ id: y, on: controllers, run: z, with: { v: "${{ [1].map(node, params.p) }}" } }]\n';
  t.match(
    findings('  - { id: x, pipeline: ./x.yaml, with: { p: "${{ node.name }}" } }\n', { 'x.yaml': hiding }),
    [/^all.yaml:8:5: error: x.yaml has a variable "node" where it reads its params/],
  );
  t.end();
});

t.test('many calls end at a bound', (t) => {
  const double = (next: string): string =>
    `kind: pipeline\nname: x\nroles: { controllers: {} }\nsteps:\n  - { id: a, pipeline: ./${next}.yaml }\n  - { id: b, pipeline: ./${next}.yaml }\n`;
  const more: Record<string, string> = {
    'f20.yaml':
      "kind: pipeline\nname: x\nroles: { controllers: {} }\nsteps: [{ id: a, on: controllers, run: 'true' }]\n",
  };
  for (let index = 0; index < 20; index++) more[`f${index}.yaml`] = double(`f${index + 1}`);
  t.match(findings('  - { id: x, pipeline: ./f0.yaml }\n', more).join('\n'), /more than 500 steps/);
  t.end();
});

/** A random pipeline, once to be called and once as somebody would have written its steps under the call's name. */
const written = fc
  .array(
    fc.record({
      on: fc.constantFrom('m', 'm.leader', 'o'),
      needs: fc.option(fc.array(fc.nat(5), { maxLength: 2 })),
      same: fc.boolean(),
      condition: fc.option(fc.constantFrom('params.n > 1', 'roles.o.nodes.size() > params.n')),
      value: fc.option(fc.constantFrom('params.n + 1', 'roles.m.leader.name', 'params.s + "x"')),
      group: fc.boolean(),
    }),
    { minLength: 1, maxLength: 5 },
  )
  .map((steps) => {
    const text = (
      prefix: string,
      by: (expression: string) => string,
      roles: Record<string, string>,
      entry: string,
    ) =>
      steps
        .map(({ on, needs, same, condition, value, group }, index) => {
          const [role = '', ...who] = on.split('.');
          const earlier = [...new Set((needs ?? []).filter((need) => need < index))];
          // On one role, so that a need for the same node has a meaning.
          const names = earlier.map((need) =>
            same && steps[need]?.on === on && on !== 'm.leader'
              ? `{ step: ${prefix}s${need}, same: node }`
              : `${prefix}s${need}`,
          );
          const open = names.length === 0;
          const all = needs === null ? undefined : [...names, ...(open && entry !== '' ? [entry] : [])];
          const given = {
            ...(prefix === '' ? {} : { n: '2', s: "'y'" }),
            ...(value === null ? {} : { v: `'\${{ ${by(value)} }}'` }),
          };
          const head = `id: ${prefix}s${index}, on: ${[roles[role] ?? role, ...who].join('.')}${all === undefined ? '' : `, needs: [${all.join(', ')}]`}`;
          const body = `${condition === null ? '' : `, if: '${by(condition)}'`}, with: { ${Object.entries(
            given,
          )
            .map(([key, each]) => `${key}: ${each}`)
            .join(', ')} }, run: 'true'`;
          return group && on !== 'm.leader'
            ? `  - { ${head}, group: [{ id: ${prefix}g${index}${body} }] }\n`
            : `  - { ${head}${body} }\n`;
        })
        .join('');
    const called = `kind: pipeline\nname: c\nparams: { n: { type: int }, s: { type: string, default: 'y' } }\nroles: { m: {}, o: {} }\nsteps:\n${text('', (each) => each, {}, '')}`;
    const asCaller = (expression: string): string =>
      expression
        .replaceAll('params.n', '2')
        .replaceAll('params.s', '"y"')
        .replaceAll('roles.m', 'roles["a"]')
        .replaceAll('roles.o', 'roles["b"]');
    const byHand = text('call-', asCaller, { m: 'a', o: 'b' }, 'before');
    return { called, byHand };
  });

t.test('what is called equals what is written by hand', (t) => {
  const top =
    "kind: pipeline\nname: p\nroles: { a: {}, b: {} }\nsteps:\n  - { id: before, on: a, run: 'true' }\n";
  fc.assert(
    fc.property(written, ({ called, byHand }) => {
      const parsed = parsePipeline({
        file: 'p.yaml',
        text: `${top}  - { id: call, pipeline: ./c.yaml, roles: { m: a, o: b }, with: { n: 2 } }\n`,
        open: () => ({ text: called }),
      });
      if (!parsed.ok) throw new Error(parsed.diagnostics.map(formatDiagnostic).join('\n'));
      const flat: Pipeline = JSON.parse(
        JSON.stringify(parsed.pipeline, (key, value) => (key === 'params' ? undefined : value)).replaceAll(
          'call.',
          'call-',
        ),
      );
      const hand: Pipeline = JSON.parse(
        JSON.stringify(pipelineOf(`${top}${byHand}`), (key, value) => (key === 'params' ? undefined : value)),
      );
      return t.same(flat.units, hand.units, `${called}\n${byHand}`);
    }),
    { numRuns: 60 },
  );
  t.end();
});
