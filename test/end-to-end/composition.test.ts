/**
 * Pipelines made of several files on real nodes: the examples of the README, as they stand there, in files of the
 * names that their first lines give.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import * as z from 'zod';
import { projectRoot } from './hosts.ts';
import { jobsOf, LocalCluster } from './local-cluster.ts';

/** Files by name. */
function examples(section: string): ReadonlyMap<string, string> {
  const readme = readFileSync(join(projectRoot, 'README.md'), 'utf8');
  const [, after = ''] = readme.split(`\n### ${section}\n`);
  const [text = ''] = after.split(/\n###? /);
  return new Map(
    [...text.matchAll(/^```yaml\n# (\S+)\n(.*?)^```$/gms)].map(([, name = '', content = '']) => [
      name,
      content,
    ]),
  );
}

t.test('pipelines made of several files', { timeout: 120_000 }, async (t) => {
  const cluster = await LocalCluster.start(t, {
    n1: { use: 'web', site: 'berlin' },
    n2: { use: 'web', site: 'oslo' },
  });
  const writeAll = (section: string): void => {
    const found = examples(section);
    t.not(found.size, 0, section);
    for (const [name, content] of found) cluster.write(name, content);
  };
  const said = async (run: string, step: string, node = 'n1'): Promise<string> =>
    (await cluster.cli(['logs', run, step, node])).stdout;

  await t.test('what one site does differently', async (t) => {
    writeAll('One sequence, several sites');
    const everywhere = await cluster.run(cluster.path('common/web.yaml'));
    t.equal(everywhere.state, 'succeeded');
    t.equal(await said(everywhere.id, 'install', 'n2'), 'install v1\n');
    const file = cluster.path('sites/berlin.yaml');
    const berlin = await cluster.run(file);
    t.match(berlin, { state: 'succeeded', pipeline: 'web-berlin' });
    t.strictSame(
      [...new Set(berlin.jobs.map(({ step }) => step))],
      ['install', 'mirror', 'configure', 'drain', 'snapshot', 'restart'],
      'in this order, without what was removed',
    );
    t.strictSame([...jobsOf(berlin, 'install').keys()], ['n1']);
    t.equal(await said(berlin.id, 'install'), 'install v2\n');
    t.equal(await said(berlin.id, 'configure'), 'as in Berlin\n');

    const explained = await cluster.cli(['plan', file, '--explain']);
    t.equal(explained.status, 0, explained.stderr);
    t.match(explained.stdout, /^\+ mirror {2}.*sites\/berlin\.yaml:\d+$/m);
    t.match(
      explained.stdout,
      /^~ configure .*\n {2}- run: echo "as everywhere"\n {2}\+ run: echo "as in Berlin"$/m,
    );
    t.match(explained.stdout, /^- report {2}/m);
    t.notMatch(explained.stdout, '\u001b', 'no colour where nobody looks');
    const document = z.object({ steps: z.array(z.looseObject({ step: z.string(), change: z.string() })) });
    const { steps } = await cluster.query(document, ['plan', file, '--explain']);
    t.match(steps[1], { step: 'mirror', change: 'inserted', group: null, keys: [] });
    const alone = await cluster.cli(['plan', cluster.path('common/web.yaml'), '--explain']);
    t.equal(alone.status, 2);
    t.match(alone.stderr, 'extends no other pipeline');
  });

  await t.test('a pipeline that calls another', async (t) => {
    writeAll('A pipeline in a pipeline');
    const run = await cluster.run(cluster.path('stack.yaml'));
    t.match(run, { state: 'succeeded' });
    t.strictSame(
      [...new Set(run.jobs.map(({ step }) => step))],
      ['prepare', 'store.install', 'store.start', 'store.ask', 'use'],
    );
    t.equal(await said(run.id, 'store.install', 'n2'), 'one of 2\n');
    t.equal(await said(run.id, 'store.start', 'n2'), 'a word of 16 letters\n');
    t.equal(await said(run.id, 'use', 'n2'), 'the answer is yes\n');
    const order = (await cluster.events()).filter(
      ({ type, run: of }) => type === 'JobStarted' && of === run.id,
    );
    t.ok(order.findIndex(({ step }) => step === 'use') > order.findIndex(({ step }) => step === 'store.ask'));
    const params = z.array(z.looseObject({ name: z.string(), layer: z.string(), value: z.unknown() }));
    const known = await cluster.query(params, ['params', 'n1', '--run', run.id]);
    t.match(known, [{ name: 'store_word', layer: 'generated', value: '(secret)' }]);
  });

  await t.test('profiles', async (t) => {
    writeAll('Profiles');
    cluster.write('profiles/license', 'a-license-of-berlin\n');
    const profiles = ['profiles/berlin.yaml', 'profiles/everywhere.yaml'].map((name) => cluster.path(name));
    const applied = await cluster.cli(['profile', 'apply', ...profiles]);
    t.equal(applied.status, 0, applied.stderr);
    t.match(applied.stderr, 'profile berlin is applied; 1 node fits it now');
    const run = await cluster.run(cluster.path('mirror.yaml'));
    t.equal(run.state, 'succeeded');
    t.equal(await said(run.id, 'show', 'n1'), 'from http://mirror.berlin.example with 19 letters\n');
    t.equal(await said(run.id, 'show', 'n2'), 'from http://mirror.example with 0 letters\n');
    const explained = await cluster.cli(['params', 'n1', '--run', run.id, '--explain']);
    t.equal(
      explained.stdout,
      'license = (secret)\n  from profile berlin: (secret)\n  over default: (secret)\n' +
        'mirror = http://mirror.berlin.example\n  from profile berlin: http://mirror.berlin.example\n' +
        '  over profile everywhere: http://mirror.example\n',
    );
    const kept = await cluster.cli(['params', 'n2', '--explain']);
    t.match(
      kept.stdout,
      'mirror = http://mirror.example\n  from profile everywhere: http://mirror.example\n',
    );
    const list = z.array(z.looseObject({ name: z.string(), secrets: z.array(z.string()), nodes: z.int() }));
    t.match(await cluster.query(list, ['profile', 'list']), [
      { name: 'berlin', secrets: ['license'], nodes: 1 },
      { name: 'everywhere', secrets: [], nodes: 2 },
    ]);
    t.match(
      (await cluster.cli(['profile', 'list'])).stdout,
      /^berlin +10 +site=berlin +1 +mirror, license$/m,
    );
    const listing = await cluster.query(z.unknown(), ['profile', 'list']);
    for (const shown of [listing, await cluster.events()])
      t.notMatch(JSON.stringify(shown), 'a-license', 'a secret is shown to nobody');
    t.equal((await cluster.cli(['profile', 'rm', 'everywhere'])).status, 0);
    const refused = await cluster.cli(['run', cluster.path('mirror.yaml')]);
    t.equal(refused.status, 2);
    t.match(refused.stderr, 'param mirror has no value on n2: only profiles give it (berlin)');
    const wrong = cluster.write('profiles/wrong.yaml', 'kind: profile\nname: wrong\nparam: { a: 1 }\n');
    const told = await cluster.cli(['profile', 'apply', wrong]);
    t.equal(told.status, 2);
    t.match(told.stderr, /wrong\.yaml:3:1: error: the file has no "param" \(did you mean "params"\?\)/);
  });

  await t.test('files that lie beside each of them', async (t) => {
    cluster.write('common/say.sh', 'echo "common $1"\n');
    cluster.write('sites/say.sh', 'echo "berlin $1"\n');
    cluster.write(
      'common/modules/tool/module.yaml',
      'kind: module\nname: tool\nversion: 1.0.0\ntasks:\n  go: { run: sh ./go.sh, rerun: idempotent }\n',
    );
    cluster.write('common/modules/tool/go.sh', 'echo "gone"\n');
    cluster.write(
      'common/files.yaml',
      `kind: pipeline
name: files
roles: { all: { select: 'labels.site == "berlin"' } }
steps:
  - { id: one, on: all, run: sh ./say.sh one }
  - { id: two, on: all, run: sh ./say.sh two }
  - { id: three, on: all, uses: tool/go@1.0.0 }
`,
    );
    cluster.write(
      'sites/files.yaml',
      'kind: pipeline\nextends: ../common/files.yaml\nreplace: [{ step: two, with: { on: all, run: sh ./say.sh two } }]\n',
    );
    const run = await cluster.run(cluster.path('sites/files.yaml'));
    t.match(run, { state: 'succeeded', pipeline: 'files' });
    t.equal(await said(run.id, 'one'), 'common one\n');
    t.equal(await said(run.id, 'two'), 'berlin two\n');
    t.equal(await said(run.id, 'three'), 'gone\n', 'a module beside the file that is extended');
  });
});
