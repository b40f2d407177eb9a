/** The README's "Machines to come", typed as it stands there, and the same file in YAML. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import * as z from 'zod';
import { present } from '../../shared/assert.ts';
import { projectRoot } from './hosts.ts';
import { LocalCluster } from './local-cluster.ts';

const readme = readFileSync(join(projectRoot, 'README.md'), 'utf8');
const [, section = ''] = readme.split('\n### Machines to come\n');
const blockOf = (language: string): string =>
  present(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'ms').exec(section)?.[1], `block of ${language}`);

const lines = z.array(z.object({ name: z.string(), change: z.string() }));

t.test('machines to come', { timeout: 120_000 }, async (t) => {
  const cluster = await LocalCluster.start(t, {});
  const csv = cluster.write('racks.csv', blockOf('csv'));
  const commands = blockOf('sh')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.replace(/ +#.*/, '').replace('racks.csv', csv).split(' ').slice(1));
  const answers = [];
  for (const words of commands) answers.push(await cluster.cli(words));
  t.strictSame(
    answers.map(({ status }) => status),
    [0, 0, 0, 0],
  );
  const [dry, real, nodes, why] = answers;
  t.match(dry?.stdout, /db-1 +2 +expected +is to come\n +db-2 +3|db-1 +2 +expected +is to come\ndb-2 +3/);
  t.match(dry?.stderr, '2 of 2 would change; nothing was imported, 0 would stay as they were');
  t.match(real?.stderr, '2 of 2 changed, 0 stay as they were');
  t.match(nodes?.stdout, /db-1 +expected .*rack=r1,site=north,use=db/);
  t.match(why?.stdout, 'no machine with serial CZ3-0001 has connected yet');

  const yaml = `nodes:
  - { name: db-1, serial: CZ3-0001, site: north, rack: r1, address: 10.0.0.1, bmc: 10.9.0.1, labels: { use: db } }
  - name: db-2
    mac: ['52:54:00:12:34:56', '52:54:00:12:34:58']
    site: north
    rack: r2
    address: 10.0.0.2
    bmc: 10.9.0.2
    labels: { use: db }
`;
  const file = cluster.write('racks.yaml', yaml);
  t.strictSame(await cluster.query(lines, ['nodes', 'import', file]), [
    { name: 'db-1', change: 'unchanged' },
    { name: 'db-2', change: 'changed' },
  ]);
  const piped = await cluster.cli(['nodes', 'import', '-'], { input: 'name,seriel\nx,1\n' });
  t.equal(piped.status, 2);
  t.match(piped.stderr, '-:1:6: error: there is no column "seriel"');
  t.match(piped.stderr, 'did you mean "serial"?');
  t.equal((await cluster.cli(['nodes', 'import', cluster.path('none.csv')])).status, 2);

  t.match(
    (await cluster.cli(['nodes', 'show', 'db-2'])).stdout,
    /expected +as mac 52:54:00:12:34:56, mac 52:54:00:12:34:58, by operator/,
  );
  const told = z.array(z.looseObject({ type: z.string() }));
  t.match(await cluster.query(told, ['events', '--since', '0', '--node', 'db-2']), [
    { type: 'NodesExpected' },
    { type: 'NodesExpected' },
  ]);
  const cordon = await cluster.cli(['node', 'cordon', 'db-2']);
  t.match(cordon.stderr, 'node db-2 is expected and has not joined yet');
  t.equal((await cluster.cli(['node', 'rm', 'db-2', '--reason', 'never ordered'])).status, 0);
  t.strictSame(
    (await cluster.query(z.array(z.looseObject({ name: z.string() })), ['nodes'])).map(({ name }) => name),
    ['db-1'],
  );
});
