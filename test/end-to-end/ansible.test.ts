/**
 * A playbook of several roles, unmodified, on ten real hosts: each runs it for itself, one fails in the middle of it;
 * then one host runs another one for all, over ssh, a few at a time. The project is in ansible/project.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import * as z from 'zod';
import { part } from '../../shared/parts.ts';
import { Coordinator, startAgent } from './cluster.ts';
import { type Host, hostsUnavailable, Lab, projectRoot } from './hosts.ts';

const folder = join(projectRoot, 'test/end-to-end/ansible');
const timeoutMs = 300_000;

const runDocument = z.looseObject({
  id: z.string(),
  state: z.string(),
  jobs: z.array(
    z.looseObject({
      node: z.string(),
      state: z.string(),
      reason: z.string().nullable(),
      unchanged: z.boolean(),
      parts: z.array(part).optional(),
    }),
  ),
});

const missing = ['ansible-playbook', 'ssh-keygen'].filter(
  (command) => spawnSync('which', [command]).status !== 0,
);
const unavailable = hostsUnavailable() ?? (missing.length > 0 ? `needs ${missing.join(', ')}` : undefined);

const read = (host: Host, file: string): Promise<string> => host.run(['cat', file]);

/** Lets the first host in at all of them, as whoever uses Ansible has arranged it. */
async function openSsh(lab: Lab, first: Host, others: readonly Host[]): Promise<void> {
  await first.run([
    'sh',
    '-c',
    'mkdir -p /root/.ssh && ssh-keygen -q -t ed25519 -N "" -f /root/.ssh/id_ed25519',
  ]);
  const key = lab.writeShared('key.pub', await read(first, '/root/.ssh/id_ed25519.pub'));
  for (const host of others) {
    if ((await host.exec(['test', '-x', '/usr/sbin/sshd'])).status !== 0)
      await host.run(['apt-get', 'install', '-y', '-qq', 'openssh-server'], { timeoutMs });
    await host.run([
      'sh',
      '-c',
      `mkdir -p /root/.ssh /run/sshd && cp ${key} /root/.ssh/authorized_keys && chmod 700 /root /root/.ssh && ssh-keygen -qA`,
    ]);
    host.spawn(['/usr/sbin/sshd', '-D', '-e', '-o', 'UsePAM=no', '-o', 'PermitRootLogin=yes']);
    await first.run([
      'sh',
      '-c',
      `until ssh-keyscan -t ed25519 "$0" 2>/dev/null | grep . ; do sleep 0.1; done >>/root/.ssh/known_hosts`,
      host.address,
    ]);
  }
}

t.test('a playbook of several roles', { skip: unavailable ?? false, timeout: 900_000 }, async (t) => {
  const lab = await Lab.start();
  t.teardown(() => lab.dispose());
  const control = await lab.addHost('control');
  const hosts: Host[] = [];
  for (let number = 1; number <= 10; number += 1) {
    const use = number <= 5 ? 'web' : 'db';
    const labels = { use, rack: number % 2 === 0 ? 'even' : 'odd', motto: '{{ 1 + 1 }}' };
    hosts.push(await lab.addHost(`n${number}`, labels));
  }
  const named = (name: string): Host => hosts.find((host) => host.name === name) ?? control;
  const coordinator = await Coordinator.start(control);
  const token = await coordinator.createToken();
  for (const host of hosts) {
    startAgent(host, coordinator, token);
    await coordinator.nodesReady([host.name]);
  }

  const run = async (file: string, ...args: string[]) => {
    const { stdout, stderr } = await coordinator.exec(
      ['run', join(folder, file), '--watch', '-o', 'json', ...args],
      { timeoutMs },
    );
    t.comment(stderr.split('\n').slice(-3).join('\n'));
    return runDocument.parse(JSON.parse(stdout));
  };
  const jobOn = ({ jobs }: z.infer<typeof runDocument>, node: string) =>
    jobs.find((job) => job.node === node);

  await t.test('what would change, without changing it', async (t) => {
    const { state, jobs } = await run('site.yaml', '--check', '--limit', 'name in ["n1", "n6"]');
    t.equal(state, 'succeeded');
    for (const { unchanged, parts = [] } of jobs) {
      t.equal(unchanged, false);
      t.ok(parts.some(({ name, state }) => name === 'common : Make the folder' && state === 'changed'));
    }
    t.equal((await named('n1').exec(['test', '-e', '/etc/ansible-example'])).status, 1);
  });

  await t.test('each node for itself, and one fails', async (t) => {
    await named('n7').run(['touch', '/etc/disk-is-broken']);
    await named('n9').run(['rm', '/usr/bin/ansible-playbook']);
    const site = await run('site.yaml');
    const { stdout: told } = await coordinator.exec(['runs', 'show', site.id]);
    t.equal(site.state, 'succeeded', 'ten may fail');
    for (const { node, state, parts = [] } of site.jobs) {
      if (node === 'n9') continue;
      t.equal(state, node === 'n7' ? 'failed' : 'succeeded', node);
      const states = new Map(parts.map(({ within, name, state }) => [`${within}/${name}`, state]));
      t.equal(states.get('Every host/common : Read what is not there'), 'rescued');
      t.equal(states.get('Every host/common : Count changes'), 'changed', 'the handler too');
      t.equal(
        states.get('Web servers/web : Copy the page'),
        ['n1', 'n2', 'n3', 'n4', 'n5'].includes(node) ? 'changed' : undefined,
        'a play is for the nodes of its role',
      );
      t.ok(parts.every(({ host }) => host === node));
    }
    t.equal(
      jobOn(site, 'n7')?.reason,
      'run exited with 2: "checked : Look at the disk" in "Afterwards" failed on n7: non-zero return code',
    );
    t.match(
      jobOn(site, 'n9')?.reason,
      /^this step needs ansible-playbook, which this node does not have: install Ansible there/,
    );
    t.match(told, /Afterwards +checked : Look at the disk +.*failed n7/);
    t.match(told, 'n7: non-zero return code');
    const report = await coordinator.exec(['report', site.id]);
    t.match(report.stdout, '"checked : Look at the disk" in "Afterwards" failed on n7', report.stdout);
    const logs = await coordinator.exec(['logs', site.id, 'site', 'n3']);
    t.match(logs.stdout, 'TASK [common : Write what is known]', logs.stderr);

    t.equal(
      await read(named('n3'), '/etc/ansible-example/known'),
      'hello web from n3 in none\nrack odd, motto {{ 1 + 1 }}, word of n3\n',
      'variables of groups, defaults, labels and "with" meet; braces in a value are no template',
    );
    t.equal(
      await read(named('n8'), '/etc/ansible-example/known'),
      'hello from n8 in none\nrack even, motto {{ 1 + 1 }}, word of n8\n',
    );
    t.equal(await read(named('n5'), '/etc/ansible-example/port'), '8080');
  });

  await t.test('nothing is left to change', async (t) => {
    const { jobs } = await run('site.yaml', '--check', '--limit', 'name in ["n1", "n6"]');
    t.strictSame(
      jobs.map(({ unchanged }) => unchanged),
      [true, true],
    );
    t.equal(await read(named('n6'), '/etc/ansible-example/changes'), 'changed\n');
  });

  await t.test('one node for all of a role', async (t) => {
    const [first = control, ...others] = hosts.slice(0, 5);
    await openSsh(lab, first, others);
    const rolled = await run('rolling.yaml');
    t.equal(rolled.state, 'succeeded', rolled.jobs[0]?.reason ?? '');
    t.equal(rolled.jobs.length, 1);
    const done = rolled.jobs[0]?.parts?.filter(({ name }) => name === 'Work on it') ?? [];
    t.strictSame(done.map(({ host }) => host).sort(), ['n1', 'n2', 'n3', 'n4', 'n5']);
    for (const host of [first, ...others])
      t.equal(
        await read(host, '/etc/worked-on'),
        `east ${host.labels.rack}\n`,
        'its own inventory counts too',
      );
    const balancer = (await read(first, '/etc/balancer')).trim().split('\n');
    t.equal(balancer.length, 10, 'delegated to the first');
    let out = 0;
    let outMax = 0;
    for (const line of balancer) {
      out += line.startsWith('out') ? 1 : -1;
      outMax = Math.max(outMax, out);
    }
    t.equal(outMax, 2, 'two at a time');

    await others[1]?.run(['sh', '-c', 'rm /root/.ssh/authorized_keys']);
    const refused = await run('rolling.yaml');
    t.equal(refused.state, 'failed');
    t.match(refused.jobs[0]?.reason, /"Work on it" in "A few at a time" could not reach its host on n3: /);
  });
});
