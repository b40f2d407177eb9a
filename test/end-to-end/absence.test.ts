/**
 * Hosts that are away: for a minute in the middle of their work, for a reboot, or off when their turn comes. What
 * they did meanwhile counts, and nobody is told that something failed or succeeded before it is known.
 */
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import * as z from 'zod';
import { present } from '../../shared/assert.ts';
import { Coordinator, startAgent } from './cluster.ts';
import { type Host, type HostProcess, hostsUnavailable, Lab } from './hosts.ts';
import { runDocument } from './local-cluster.ts';
import { eventually } from './processes.ts';

// They mostly wait, each in a lab of its own.
t.jobs = 3;

/** By default a node is away after so long without contact. */
const awayMs = 60_000;
const created = z.looseObject({ id: z.string() });

type Site = { readonly lab: Lab; readonly coordinator: Coordinator; readonly token: string };

async function begin(owner: { teardown(end: () => Promise<void>): void }): Promise<Site> {
  const lab = await Lab.start();
  owner.teardown(() => lab.dispose());
  const coordinator = await Coordinator.start(await lab.addHost('control'));
  return { lab, coordinator, token: await coordinator.createToken() };
}

async function join({ lab, coordinator, token }: Site, ...names: readonly string[]): Promise<Host[]> {
  const hosts: Host[] = [];
  for (const name of names) hosts.push(await lab.addHost(name));
  for (const host of hosts) startAgent(host, coordinator, token);
  await coordinator.nodesReady(names);
  return hosts;
}

async function submit({ coordinator, lab }: Site, name: string, steps: readonly string[]): Promise<string> {
  const text = `kind: pipeline\nname: ${name}\nroles: { all: { select: 'true' } }\nsteps:\n${steps.join('\n')}\n`;
  const file = lab.writeShared(`${name}.yaml`, text);
  return (await coordinator.query(created, ['run', file])).id;
}

const stateOf = async ({ coordinator }: Site, run: string): Promise<string> =>
  (await coordinator.query(runDocument, ['runs', 'show', run])).state;

const untilState = (site: Site, run: string, state: string, withinMs: number): Promise<true> =>
  eventually(`${run} to be ${state}`, async () => ((await stateOf(site, run)) === state ? true : undefined), {
    withinMs,
    everyMs: 200,
  });

const why = async ({ coordinator }: Site, what: string): Promise<string> =>
  (await coordinator.exec(['why', what])).stdout;

/** A job that says where it begins and ends, in a file that the test reads whether or not the host is linked. */
const noted = (id: string, after: string | null, seconds: number): string =>
  `  - { id: ${id}, on: all, ${after === null ? '' : `needs: [{ step: ${after}, same: node }], `}` +
  `run: 'echo "$LOCKSTEP_RUN ${id} begins" >>/shared/$LOCKSTEP_NODE; sleep ${seconds}; ` +
  `echo ${id} says so; echo "$LOCKSTEP_RUN ${id} ends" >>/shared/$LOCKSTEP_NODE' }`;

const skip = hostsUnavailable() ?? false;

t.test('a node goes on alone for a minute', { skip, timeout: 240_000 }, async (t) => {
  const site = await begin(t);
  const { lab, coordinator } = site;
  const [n1] = await join(site, 'n1');
  const host = present(n1, 'the host');
  const notes = async (): Promise<string> => lab.readShared('n1');
  const noteOf = (text: string): Promise<true> =>
    eventually(text, async () => ((await notes()).includes(`${text}\n`) ? true : undefined));
  const names = ['one', 'two', 'three', 'four', 'five'];
  const segment = names.map((name, index) => noted(name, names[index - 1] ?? null, 2));

  await t.test('its segment is through when its link is back, and soon told', async (t) => {
    const run = await submit(site, 'segment', segment);
    await noteOf(`${run} one begins`);
    await host.setLink('down');
    const cutAt = performance.now();
    await noteOf(`${run} five ends`);
    const endsIn = async () =>
      (await coordinator.events()).filter(({ type, run: of }) => type === 'AttemptEnded' && of === run);
    t.strictSame(await endsIn(), [], 'the coordinator has heard of no end');
    await eventually(
      'the node to be away',
      async () => ((await why(site, run)).includes('unknown') ? true : undefined),
      { withinMs: 2 * awayMs, everyMs: 500 },
    );
    t.match(
      await why(site, run),
      `${run}/one/n1 is unknown: n1 cannot be reached and may be running attempt 1 and may go on as far as five`,
    );
    await delay(Math.max(0, awayMs - (performance.now() - cutAt)));
    const upAt = Date.now();
    await host.setLink('up');
    await untilState(site, run, 'succeeded', 60_000);
    const ended = await endsIn();
    t.strictSame(
      ended.map(({ step, outcome, attempt }) => [step, outcome, attempt]),
      names.map((name) => [name, 'succeeded', 1]),
      'each job was done once, in order',
    );
    const tookMs = Math.max(...ended.map(({ at }) => Date.parse(String(at)))) - upAt;
    t.comment(`from the link to the last result in the journal: ${tookMs} ms`);
    t.ok(tookMs < 20_000, `told after ${tookMs} ms`);
    t.equal(
      await notes(),
      names.map((name) => `${run} ${name} begins\n${run} ${name} ends\n`).join(''),
      'and by the word of the node itself',
    );
    for (const name of names) {
      t.equal((await coordinator.exec(['logs', run, name, 'n1'])).stdout, `${name} says so\n`);
    }
  });

  await t.test('what is cancelled meanwhile ends when it is back', async (t) => {
    const run = await submit(site, 'cancelled', [noted('long', null, 300), noted('never', 'long', 0)]);
    await noteOf(`${run} long begins`);
    await host.setLink('down');
    await eventually(
      'the loss of the link',
      async () => ((await coordinator.events()).at(-1)?.type === 'NodeDisconnected' ? true : undefined),
      { withinMs: awayMs },
    );
    await coordinator.exec(['cancel', run, '--reason', 'wrong window']);
    t.equal(await stateOf(site, run), 'cancelling', 'it is not cancelled before the node has said so');
    t.match(await why(site, run), `${run}/long/n1`);
    t.match(await why(site, run), 'n1 is not connected');
    await host.setLink('up');
    await untilState(site, run, 'cancelled', 90_000);
    t.notMatch(await notes(), `${run} long ends`);
    t.notMatch(await notes(), `${run} never begins`);
  });
});

t.test('a reboot as an outcome', { skip, timeout: 240_000 }, async (t) => {
  const site = await begin(t);
  const { lab, coordinator, token } = site;
  const hosts = await join(site, 'n1', 'n2');
  const n1 = present(hosts[0], 'n1');
  const n2 = present(hosts[1], 'n2');
  const wishOf = (host: Host): string => `${host.name}-wants-reboot`;
  const wish = (host: Host): Promise<true> =>
    eventually(`${host.name} to want a reboot`, async () => (lab.hasShared(wishOf(host)) ? true : undefined));
  const reboot = async (host: Host): Promise<HostProcess> => {
    lab.removeShared(wishOf(host));
    await host.reboot();
    return startAgent(host, coordinator, token);
  };
  const bootsOf = async ({ name }: Host): Promise<number> =>
    new Set(
      (await coordinator.events())
        .filter((event) => event.type === 'NodeConnected' && event.node === name)
        .map(({ boot }) => boot),
    ).size;
  const told = async (run: string): Promise<string[]> =>
    (await coordinator.events())
      .filter(
        ({ type, run: of }) =>
          of === run && ['SlotTaken', 'AttemptEnded', 'JobRebooted', 'SlotReleased'].includes(type),
      )
      .map(
        ({ type, node, planned }) => `${type} ${node}${planned === undefined ? '' : ` planned: ${planned}`}`,
      );
  const turnOf = (node: string, planned: boolean): string[] => [
    `SlotTaken ${node}`,
    `AttemptEnded ${node}`,
    `JobRebooted ${node} planned: ${planned}`,
    `SlotReleased ${node}`,
  ];
  const step = (script: string): string[] => [
    '  - id: kernel\n    on: all\n    strategy: { rolling: { maxUnavailable: 1 } }\n    rerun: idempotent',
    `    reboot: after\n    run: ${script}`,
  ];

  await t.test('one host after the other, and done only when it is back', async (t) => {
    const run = await submit(site, 'rolling', step('echo "$LOCKSTEP_ATTEMPT" >>/shared/rolling'));
    await wish(n1);
    t.match(await why(site, run), `${run}/kernel/n1 is done but for the reboot that it asked for`);
    t.match(
      await why(site, run),
      `${run}/kernel/n2 waits for a slot in kernel: n1 is unavailable, and 1 may be`,
    );
    await reboot(n1);
    await wish(n2);
    t.strictSame(await told(run), [...turnOf('n1', true), ...turnOf('n2', true).slice(0, 2)]);
    await reboot(n2);
    await untilState(site, run, 'succeeded', 60_000);
    t.strictSame(await told(run), [...turnOf('n1', true), ...turnOf('n2', true)]);
    t.equal(await lab.readShared('rolling'), `${run}/kernel/n1#1\n${run}/kernel/n2#1\n`);
    t.strictSame(await Promise.all(hosts.map(bootsOf)), [2, 2], 'each has rebooted once');
  });

  await t.test('one that comes by accident is told apart', async (t) => {
    const script = `'[ "$LOCKSTEP_NODE" = n2 ] || while ! [ -e /shared/go ]; do sleep 0.1; done'`;
    const run = await submit(site, 'accident', step(script));
    await eventually('the work on n1', async () =>
      (await coordinator.events()).find((event) => event.type === 'JobStarted' && event.run === run),
    );
    await reboot(n2);
    await coordinator.nodesReady(['n2']);
    t.equal(await bootsOf(n2), 3);
    t.strictSame(await told(run), ['SlotTaken n1'], 'it is not n2 whose turn it was');

    // The result is in the journal and cannot be acknowledged, so the agent of n1 waits with the reboot.
    const agent = await reboot(n1);
    await agent.printed(new RegExp(`${run}/kernel/n1#2 started`));
    await coordinator.host.run(['iptables', '-w', '-A', 'OUTPUT', '-d', n1.address, '-j', 'DROP']);
    lab.writeShared('go', '');
    await eventually('its result in the journal', async () =>
      (await told(run)).length === 3 ? true : undefined,
    );
    await n1.powerOff();
    await coordinator.host.run(['iptables', '-w', '-D', 'OUTPUT', '-d', n1.address, '-j', 'DROP']);
    await n1.powerOn();
    startAgent(n1, coordinator, token);

    await wish(n2);
    await reboot(n2);
    await untilState(site, run, 'succeeded', 60_000);
    t.strictSame(
      await told(run),
      ['SlotTaken n1', 'AttemptEnded n1', ...turnOf('n1', false).slice(1), ...turnOf('n2', true)],
      'the first attempt was interrupted; the second was done when its host went down before it was told to',
    );
  });
});

t.test('a host that is off when its turn comes catches up', { skip, timeout: 240_000 }, async (t) => {
  const site = await begin(t);
  const { lab, coordinator, token } = site;
  const hosts = await join(site, 'n1', 'n2');
  const n2 = present(hosts[1], 'n2');
  await n2.powerOff();
  await eventually(
    'n2 to be unreachable',
    async () =>
      (await coordinator.events()).some(({ type, node }) => type === 'NodeUnreachable' && node === 'n2')
        ? true
        : undefined,
    { withinMs: 3 * awayMs, everyMs: 500 },
  );
  const run = await submit(site, 'deferred', [
    `  - { id: fetch, on: all, offline: defer, run: 'echo "$LOCKSTEP_STEP" >>/shared/$LOCKSTEP_NODE' }`,
    `  - { id: use, on: all, offline: defer, run: 'echo "$LOCKSTEP_STEP" >>/shared/$LOCKSTEP_NODE' }`,
  ]);
  await untilState(site, run, 'succeeded-with-deferred', 60_000);
  t.equal(await lab.readShared('n1'), 'fetch\nuse\n', 'the other did not wait');
  t.match(
    await why(site, run),
    `${run}/fetch/n2 is deferred: n2 is away; it runs when the node is back, until `,
  );

  await n2.powerOn();
  startAgent(n2, coordinator, token);
  await untilState(site, run, 'succeeded', 60_000);
  t.equal(await lab.readShared('n2'), 'fetch\nuse\n', 'in order, once');
});
