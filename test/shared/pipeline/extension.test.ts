/** Pipelines that vary another one: what comes out, what is refused, and in which file it is said. */
import t from 'tap';
import * as z from 'zod';
import { formatDiagnostic } from '../../../shared/diagnostic.ts';
import { pipelineEditorSchema } from '../../../shared/pipeline/editor-schema.ts';
import { nameFrom } from '../../../shared/pipeline/file-name.ts';
import { type PipelineParsed, parsePipeline } from '../../../shared/pipeline/pipeline.ts';
import { readSource } from '../../../shared/pipeline/source.ts';
import { filesNamed, pipelineOf, stepOf } from './reading.ts';

const common = `kind: pipeline
name: etcd
title: For all
params:
  version: { type: string, default: v3 }
  token: { type: string, secret: true, generate: { hex: 16 } }
roles:
  member: { select: 'labels.use == "etcd"', count: 3 }
steps:
  - { id: install, on: member, run: 'echo $PARAM_VERSION; ./install.sh' }
  - id: configure
    on: member
    needs: [{ step: install, same: node }]
    with: { token: '\${{ params.token }}' }
    run: ./configure.sh
  - { id: health, on: member.leader, outputs: { n: int }, run: 'true' }
  - id: upgrade
    on: member
    strategy: rolling
    group:
      - { id: drain, run: 'true' }
      - { id: kernel, run: 'true' }
    verify: 'true'
  - { id: told, on: member.leader, with: { n: '\${{ steps.health.outputs.n }}' }, run: 'true' }
finally:
  - { id: tidy, on: member, run: 'true' }
`;

const files: Readonly<Record<string, string>> = { 'common/etcd.yaml': common };

const head = 'kind: pipeline\nname: site\nextends: ../common/etcd.yaml\n';

const parse = (text: string, more: Readonly<Record<string, string>> = {}): PipelineParsed =>
  parsePipeline({
    file: 'sites/berlin.yaml',
    text,
    files: filesNamed('mirror.sh'),
    open: (name) => {
      const found = { ...files, ...more }[name];
      return found === undefined
        ? undefined
        : { text: found, files: filesNamed('install.sh', 'configure.sh') };
    },
  });

function findings(text: string, more: Readonly<Record<string, string>> = {}): readonly string[] {
  const parsed = parse(text, more);
  return (parsed.ok ? parsed.warnings : parsed.diagnostics).map(formatDiagnostic);
}

function read(text: string, more: Readonly<Record<string, string>> = {}) {
  const parsed = parse(text, more);
  if (!parsed.ok) throw new Error(parsed.diagnostics.map(formatDiagnostic).join('\n'));
  return parsed;
}

t.test('what is put together equals what is written by hand', (t) => {
  const { pipeline } = read(`${head}params:
  version: { default: v4 }
  zone: { type: string, default: eu }
roles:
  member: { select: 'labels.site == "berlin"' }
insert:
  - { after: install, steps: [{ id: mirror, on: member, run: './mirror.sh $PARAM_ZONE' }] }
  - { after: install, steps: [{ id: second, on: member, run: 'true' }] }
  - { after: drain, steps: [{ id: snapshot, run: 'true' }] }
  - { before: tidy, steps: [{ id: unlock, on: member, run: 'true' }] }
replace:
  - step: configure
    with: { on: member, run: ./mirror.sh, with: { token: '\${{ params.token }}' } }
  - step: kernel
    with: { run: 'echo berlin' }
remove: [told]
`);
  const hand = pipelineOf(
    `kind: pipeline
name: site
title: For all
params:
  version: { type: string, default: v4 }
  token: { type: string, secret: true, generate: { hex: 16 } }
  zone: { type: string, default: eu }
roles:
  member: { select: 'labels.site == "berlin"', count: 3 }
steps:
  - { id: install, on: member, run: 'echo $PARAM_VERSION; ./install.sh' }
  - { id: mirror, on: member, run: './mirror.sh $PARAM_ZONE' }
  - { id: second, on: member, run: 'true' }
  - { id: configure, on: member, run: ./mirror.sh, with: { token: '\${{ params.token }}' } }
  - { id: health, on: member.leader, outputs: { n: int }, run: 'true' }
  - id: upgrade
    on: member
    strategy: rolling
    group:
      - { id: drain, run: 'true' }
      - { id: snapshot, run: 'true' }
      - { id: kernel, run: 'echo berlin' }
    verify: 'true'
finally:
  - { id: unlock, on: member, run: 'true' }
  - { id: tidy, on: member, run: 'true' }
`,
    { files: filesNamed('install.sh', 'mirror.sh') },
  );
  t.same(pipeline, hand);
  t.end();
});

t.test('each file brings what lies beside it', (t) => {
  const parsed = read(`${head}insert:
  - { before: health, steps: [{ id: mirror, on: member, run: './mirror.sh; ./install.sh' }] }
`);
  t.same([...parsed.requiredFiles.keys()], ['mirror.sh'], 'not what lies beside the other');
  t.same(
    parsed.others.map(({ file, requiredFiles }) => [file, [...requiredFiles.keys()]]),
    [['common/etcd.yaml', ['install.sh', 'configure.sh']]],
  );
  t.end();
});

t.test('variations of variations', (t) => {
  const more = {
    'sites/germany.yaml': `${head}remove: [told]\ninsert:\n  - { after: health, steps: [{ id: report, on: member.leader, run: 'true' }] }\n`,
  };
  const text = 'kind: pipeline\nname: berlin\nextends: ./germany.yaml\nremove: [report]\n';
  const { pipeline, variation } = read(text, more);
  t.same(
    pipeline.units.map(({ id }) => id),
    ['install', 'configure', 'health', 'upgrade', 'tidy'],
  );
  t.equal(variation?.extends, 'sites/germany.yaml', 'the comparison is with the nearest');
  t.same(
    variation?.steps.filter(({ change }) => change !== 'same'),
    [
      {
        step: 'report',
        group: null,
        finally: false,
        change: 'removed',
        place: 'sites/berlin.yaml:4',
        keys: [],
      },
    ],
  );
  t.same(findings('kind: pipeline\nextends: ./germany.yaml\nremove: [told]\n', more), [
    'sites/berlin.yaml:3:10: error: sites/germany.yaml has no step "told" (expected one of install, configure, health, report, upgrade, drain, kernel, tidy)',
  ]);
  t.equal(
    read('kind: pipeline\nextends: ./germany.yaml\n', more).pipeline.name,
    'site',
    'a name may be left out',
  );
  t.end();
});

t.test('what is wrong is said where it is to be mended', (t) => {
  const cases: readonly (readonly [string, readonly (string | RegExp)[]])[] = [
    [
      'remove: [install]',
      [
        'sites/berlin.yaml:4:10: error: "install" is removed, but configure needs it (common/etcd.yaml:13) (expected configure replaced by a step that does not, or removed too)',
      ],
    ],
    [
      'remove: [health]',
      [
        'common/etcd.yaml:24:58: error: step health is removed at sites/berlin.yaml:4 (expected a step that is still there)',
      ],
    ],
    [
      'remove: [kernle]',
      [/^sites\/berlin.yaml:4:10: error: common\/etcd.yaml has no step "kernle" .*did you mean "kernel"/],
    ],
    ['remove: [drain, kernel]', [/^sites\/berlin.yaml:4:17: error: nothing is left of group upgrade/]],
    ['remove: [told, told]', [/:4:16: error: "told" is removed already/]],
    [
      'insert: [{ steps: [{ id: a, on: member, run: x }] }]',
      ['sites/berlin.yaml:4:10: error: an insertion says once where it belongs (expected before or after)'],
    ],
    [
      'insert: [{ after: install, steps: [{ id: told, on: member, run: x }] }]',
      [
        'sites/berlin.yaml:4:42: error: there is a step "told" already (expected another id, or replace: [{ step: told, … }])',
      ],
    ],
    [
      'insert: [{ after: drain, steps: [{ id: a, on: member, run: x }] }]',
      [
        'sites/berlin.yaml:4:43: error: "on" does not stand here: the steps of a group run where the group runs: say it on the group',
      ],
    ],
    [
      'insert: [{ after: install, steps: [{ id: a, on: membre, rnu: x }] }]',
      [
        'sites/berlin.yaml:4:49: error: there is no role "membre" (did you mean "member"?)',
        'sites/berlin.yaml:4:57: error: step a has no "rnu" (did you mean "run"?)',
      ],
    ],
    [
      'insert: [{ before: configure, steps: [{ id: a, on: member, run: x }] }]',
      [/^sites\/berlin.yaml:4:20: warning: configure says itself what it needs, and does not wait for a /],
    ],
    [
      'replace: [{ step: told, with: { id: tell, on: member, run: x } }]',
      ['sites/berlin.yaml:4:37: error: what replaces told goes by the same id (expected "told", or no id)'],
    ],
    [
      'replace: [{ step: told, with: { on: member, run: x, tiemout: 5s } }]',
      ['sites/berlin.yaml:4:53: error: step told has no "tiemout" (did you mean "timeout"?)'],
    ],
    [
      'replace: [{ step: told, with: { on: member, run: x } }]\nremove: [told]',
      [/:5:10: error: this file both replaces and removes "told"/],
    ],
    [
      'steps: []',
      [/^sites\/berlin.yaml:4:1: error: "steps" does not stand here: .*say insert, replace or remove/],
    ],
    [
      'params: { version: { type: int } }',
      ['common/etcd.yaml:5:37: error: the value is not of the declared type (expected a whole number)'],
    ],
    ['inserts: []', ['sites/berlin.yaml:4:1: error: the file has no "inserts" (did you mean "insert"?)']],
  ];
  for (const [text, wanted] of cases) {
    const found = findings(`${head}${text}\n`);
    t.equal(found.length, wanted.length, `${text}: ${found.join('\n')}`);
    for (const [index, line] of wanted.entries()) t.match(found[index] ?? '', line, text);
  }
  t.match(
    findings('kind: pipeline\nname: p\nroles: {}\nsteps: []\nremove: [a]\n')[1] ?? '',
    /remove.*extends/,
  );
  t.end();
});

t.test('files that are not there, or lead nowhere', (t) => {
  const extending = (path: string): string => `kind: pipeline\nname: p\nextends: ${path}\n`;
  t.same(findings(extending('../common/etdc.yaml')), [
    'sites/berlin.yaml:3:10: error: there is no file common/etdc.yaml',
  ]);
  t.same(findings(extending('/etc/passwd')), [
    'sites/berlin.yaml:3:10: error: "/etc/passwd" names no file (expected a path such as ./common.yaml)',
  ]);
  t.same(findings(extending('./a.yaml'), { 'sites/a.yaml': extending('./berlin.yaml') }), [
    'sites/a.yaml:3:10: error: a pipeline cannot be made of itself: sites/berlin.yaml → sites/a.yaml → sites/berlin.yaml',
  ]);
  t.same(findings(extending('./a.yaml'), { 'sites/a.yaml': 'a: [\n' }).length, 1);
  t.match(findings(extending('./a.yaml'), { 'sites/a.yaml': 'a: [\n' })[0], /^sites\/a.yaml:2:1/);
  const long = Object.fromEntries(
    Array.from({ length: 60 }, (_, index) => [`sites/f${index}.yaml`, extending(`./f${index + 1}.yaml`)]),
  );
  t.match(findings(extending('./f0.yaml'), long), [/made of more than 50 files/]);
  t.equal(nameFrom('a.yaml', '../b/c.yaml'), '../b/c.yaml');
  t.equal(nameFrom('../x/a.yaml', '../../b.yaml'), '../../b.yaml');
  t.equal(nameFrom('/x/a.yaml', '../../b.yaml'), undefined, 'above the root');
  t.equal(nameFrom('x/a.yaml', './/b.yaml'), 'x/b.yaml');
  t.end();
});

t.test('a default of one site takes the place of generating', (t) => {
  const { pipeline } = read(`${head}params: { token: { default: known } }\n`);
  t.same(pipeline.params.token, { type: 'string', secret: true, default: 'known' });
  t.ok(stepOf(pipeline, 'configure').with.token?.secret, 'and it stays secret');
  t.end();
});

t.test('editors know both kinds of file', (t) => {
  const { $schema, if: condition, then, else: whole, definitions } = pipelineEditorSchema();
  t.same(condition, { required: ['extends'] });
  const jsonOf = (text: string): unknown => {
    const source = readSource('p.yaml', text);
    return source.ok ? source.source.value : undefined;
  };
  const accepts = (schema: unknown, text: string): boolean =>
    z.fromJSONSchema({ ...Object(schema), $schema, definitions }).safeParse(jsonOf(text)).success;
  t.ok(accepts(then, `${head}remove: [a]\ninsert: [{ after: b, steps: [{ id: c, on: d, run: e }] }]\n`));
  t.notOk(accepts(then, `${head}remoev: [a]\n`));
  t.ok(accepts(whole, common));
  t.end();
});
