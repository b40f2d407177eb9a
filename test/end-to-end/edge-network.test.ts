/**
 * What edge sites do to links, with real networks: cables are pulled and plugged, packets vanish one way or the
 * other, routes change, addresses are dead. All at once, on hosts side by side, because silence takes its time.
 */
import t from 'tap';
import * as z from 'zod';
import { Coordinator, startAgent } from './cluster.ts';
import { type Host, type HostProcess, hostsUnavailable, Lab, projectRoot } from './hosts.ts';
import { eventually } from './processes.ts';

const lockstep = `${projectRoot}/scripts/lockstep`;
const lockstepAgent = `${projectRoot}/scripts/lockstep-agent`;
const long = { withinMs: 90_000 };

/** The agent says something that it had not said when this was called. */
function says(agent: HostProcess, pattern: RegExp): Promise<void> {
  const before = agent.output().length;
  return eventually(
    `an agent to say ${pattern}`,
    async () => (pattern.test(agent.output().slice(before)) ? true : undefined),
    long,
  ).then(() => undefined);
}

function startElsewhere(host: Host, urls: string, token: string): HostProcess {
  const where = ['--coordinator', urls, '--state', '/var/lib/lockstep-agent', '--name', host.name];
  return host.spawn([lockstepAgent, 'run', ...where], { LOCKSTEP_TOKEN: token });
}

const vanish = (host: Host, ...chains: ('INPUT' | 'OUTPUT')[]): Promise<unknown> =>
  Promise.all(chains.map((chain) => host.run(['iptables', '-w', '-I', chain, '-p', 'tcp', '-j', 'DROP'])));

t.test('links at the edge', { skip: hostsUnavailable() ?? false }, async (t) => {
  const lab = await Lab.start();
  t.teardown(() => lab.dispose());
  const home = await lab.addHost('home');
  const hosts: Host[] = [];
  for (const name of ['cable', 'mute', 'deaf', 'moved', 'turn', 'names', 'local'])
    hosts.push(await lab.addHost(name));
  const [cable, mute, deaf, moved, turn, names, local] = hosts;
  if (!cable || !mute || !deaf || !moved || !turn || !names || !local) throw new Error('a host is missing');
  const coordinator = await Coordinator.start(home);
  const token = await coordinator.createToken();
  const agents = new Map(
    [cable, mute, deaf, moved].map((host) => [host, startAgent(host, coordinator, token)]),
  );
  const agentOf = (host: Host): HostProcess => {
    const agent = agents.get(host);
    if (agent === undefined) throw new Error(`no agent on ${host.name}`);
    return agent;
  };
  const dead = '10.77.0.250';

  await t.test(
    'a dead address does not keep from the next, nor a dead one of several of a name',
    async (t) => {
      const inTurn = startElsewhere(turn, `http://${dead}:7400,${coordinator.url}`, token);
      await names.run([
        'sh',
        '-c',
        `printf '${dead} home.test\\n${home.address} home.test\\n127.0.0.1 localhost\\n' >/root/hosts
       mount --bind /root/hosts /etc/hosts`,
      ]);
      const byName = startElsewhere(names, 'http://home.test:7400', token);
      await coordinator.nodesReady(['cable', 'mute', 'deaf', 'moved', 'turn', 'names']);
      t.match(inTurn.output(), new RegExp(`cannot link to http://${dead}:7400/: `));
      t.notMatch(byName.output(), /cannot link/);
      await inTurn.end('SIGTERM');
      await byName.end('SIGTERM');
    },
  );

  await t.test('a link-local address with its zone', async (t) => {
    const listing = await home.run(['ip', '-6', '-o', 'address', 'show', 'dev', 'eth0', 'scope', 'link']);
    const address = /inet6 (fe80:[0-9a-f:]+)/.exec(listing)?.[1];
    const second = home.spawn([lockstep, 'coordinator', '--data', '/root/second', '--listen', '[::]:7401']);
    await second.printed(/listening on/);
    const created = await home.run([lockstep, 'token', 'create', '-o', 'json'], {
      env: { LOCKSTEP_DATA: '/root/second' },
    });
    const ownToken = z.object({ token: z.string() }).parse(JSON.parse(created)).token;
    const agent = startElsewhere(local, `http://[${address}%eth0]:7401`, ownToken);
    await agent.printed(/joined as node local/);
    t.pass(`linked to ${address}`);
    await agent.end('SIGTERM');
    await second.end('SIGTERM');
  });

  await t.test('who is gone is noticed on both sides, and comes back when there is a way', async (t) => {
    const since = (await coordinator.events()).length;
    const noticed = [
      says(agentOf(cable), /lost the link to .*the network has changed, and the coordinator did not answer/),
      says(agentOf(mute), /lost the link to .*the coordinator fell silent/),
      says(agentOf(deaf), /lost the link to .*the coordinator fell silent/),
      says(agentOf(moved), /lost the link to .*the network has changed, and the coordinator did not answer/),
    ];
    await cable.setLink('down');
    await vanish(mute, 'OUTPUT');
    await vanish(deaf, 'INPUT');
    await vanish(moved, 'INPUT', 'OUTPUT');
    await moved.run(['ip', 'route', 'add', 'default', 'via', '10.77.0.1']);
    await Promise.all(noticed);
    const lost = await eventually(
      'the coordinator to miss them',
      async () => {
        const events = (await coordinator.events()).slice(since);
        const gone = events.filter(({ type }) => type === 'NodeDisconnected').map(({ node }) => node);
        return new Set(gone).size === 4 ? gone : undefined;
      },
      long,
    );
    t.same(lost.toSorted(), ['cable', 'deaf', 'moved', 'mute']);

    // By now the agent's next try may be far away; it must not wait for it. Its own try may happen to be under way
    // when the cable is plugged, and then has no reason to say that it does not wait: pull it again.
    for (let round = 1; ; round += 1) {
      const before = agentOf(cable).output().length;
      const pluggedAt = performance.now();
      const back = says(agentOf(cable), /joined as node cable/);
      await cable.setLink('up');
      await back;
      t.comment(`back ${Math.round(performance.now() - pluggedAt)} ms after the cable`);
      const said = agentOf(cable).output().slice(before);
      if (/the network has changed: trying http:.* now/.test(said)) break;
      if (round === 3) throw new Error(`three times it came back by its own try; the last time:\n${said}`);
      const patient = says(agentOf(cable), /lost the link(?:[\s\S]*cannot link){2}/);
      await cable.setLink('down');
      await patient;
    }
    t.match(agentOf(cable).output(), /joined as node cable[\s\S]*lost the link[\s\S]*joined as node cable/);
  });
});
