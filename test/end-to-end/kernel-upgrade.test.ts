/**
 * The example of a rolling kernel upgrade on 40 hypervisors in 4 racks, as a site extends it: hosts that really
 * reboot, a controller that drains them, one whose upgrade fails, a window that opens, and a second run that wants
 * the same nodes.
 */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import * as z from 'zod';
import { Coordinator, startAgent } from './cluster.ts';
import { type Host, hostsUnavailable, Lab, projectRoot } from './hosts.ts';
import { runDocument } from './local-cluster.ts';
import { eventually } from './processes.ts';

const racks = ['a', 'b', 'c', 'd'] as const;
const perRack = 10;
const broken = 'hv-b03';
const example = join(projectRoot, 'coordinator/catalog/examples/kernel-upgrade');
const created = z.looseObject({ id: z.string() });

/** The window opens with the minute after the next. */
function siteFile(): string {
  const opens = new Date(Date.now() + 120_000);
  return `kind: pipeline
name: kernel-upgrade-site
extends: ./kernel-upgrade/pipeline.yaml
window: { cron: '${opens.getUTCMinutes()} ${opens.getUTCHours()} * * *', duration: 2h, timezone: UTC }
params:
  drain: { default: sh /shared/note.sh drain }
  undrain: { default: sh /shared/note.sh undrain }
  install: { default: 'test "$LOCKSTEP_NODE" != ${broken} || { echo "the disk of ${broken} is full"; exit 3; }; echo 6.2 >/var/lib/kernel' }
  installed: { default: cat /var/lib/kernel 2>/dev/null || echo 6.2 }
  running: { default: cat /shared/running-$LOCKSTEP_NODE 2>/dev/null || echo 6.1 }
  healthy: { default: 'true' }
`;
}

const order = z.array(z.tuple([z.enum(['drain', 'undrain']), z.string()]));

t.test('a rolling kernel upgrade', { skip: hostsUnavailable() ?? false, timeout: 580_000 }, async (t) => {
  const lab = await Lab.start();
  t.teardown(() => lab.dispose());
  cpSync(example, lab.path('shared', 'kernel-upgrade'), { recursive: true });
  lab.writeShared('note.sh', 'echo "$1 $2" >>/shared/order\n');
  const coordinator = await Coordinator.start(await lab.addHost('control'));
  const token = await coordinator.createToken();
  const controller = await lab.addHost('ctl', { use: 'controller' });
  startAgent(controller, coordinator, token);
  const hypervisors = new Map<string, Host>();
  for (const rack of racks)
    for (let index = 0; index < perRack; index += 1) {
      const name = `hv-${rack}${String(index).padStart(2, '0')}`;
      hypervisors.set(name, await lab.addHost(name, { use: 'hypervisor', rack }));
    }
  for (const host of hypervisors.values()) startAgent(host, coordinator, token);
  await eventually(
    'all hosts to join',
    async () => {
      const nodes = await coordinator.query(z.array(z.looseObject({ state: z.string() })), ['nodes']);
      return nodes.filter(({ state }) => state === 'ready').length === hypervisors.size + 1
        ? true
        : undefined;
    },
    { withinMs: 180_000, everyMs: 500 },
  );

  const { id: run } = await coordinator.query(created, ['run', lab.writeShared('site.yaml', siteFile())]);
  const other = lab.writeShared(
    'other.yaml',
    `kind: pipeline
name: inventory
roles: { all: { select: 'labels.use == "hypervisor" && labels.rack == "d"' } }
steps: [{ id: look, on: all, run: 'echo "$LOCKSTEP_NODE"' }]
`,
  );
  const { id: second } = await coordinator.query(created, ['run', other]);
  const why = async (what: string): Promise<string> => (await coordinator.exec(['why', what])).stdout;
  t.match(await why(run), /window/, 'parked, and says until when');
  t.match(await why(second), new RegExp(`\\b${run}\\b`), 'who wants the same nodes waits');

  // What a machine does when it is told to reboot: it ends, comes back with its new kernel, and its agent with it.
  let rebooting = true;
  const reboots = (async () => {
    while (rebooting) {
      for (const [name, host] of hypervisors) {
        if (!lab.hasShared(`${name}-wants-reboot`)) continue;
        lab.removeShared(`${name}-wants-reboot`);
        await host.reboot();
        lab.writeShared(`running-${name}`, '6.2\n');
        startAgent(host, coordinator, token);
      }
      await delay(100);
    }
  })();
  const shownAs = (what: string, states: readonly string[]) =>
    eventually(
      what,
      async () => {
        const shown = await coordinator.query(runDocument, ['runs', 'show', run]);
        return states.includes(shown.state) ? shown : undefined;
      },
      { withinMs: 300_000, everyMs: 1_000 },
    );
  const over = ['succeeded', 'failed', 'cancelled', 'held'];
  // The one that failed stays down in its rack, so that no other rack may be begun: somebody has to say so.
  const held = await shownAs('the upgrade to be held', over);
  t.equal(held.state, 'held');
  t.match(held.reason ?? (await why(run)), /hv-b03 failed here/);
  const undone = await lab.readShared('order');
  t.notMatch(undone, 'hv-c', 'no other rack was begun');
  await coordinator.exec(['resume', run, '--accept-failed', '--reason', 'a new disk is ordered']);
  const ended = await shownAs('the upgrade to end', over).finally(() => {
    rebooting = false;
  });
  await reboots;
  if (ended.state !== 'succeeded') t.comment(await why(run));
  t.equal(ended.state, 'succeeded');

  await t.test('one rack at a time, a tenth at most', async (t) => {
    const lines = (await lab.readShared('order')).trim().split('\n');
    const moves = order.parse(lines.map((line) => line.split(' ')));
    const down = new Set<string>();
    for (const [move, name] of moves) {
      if (move === 'drain') down.add(name);
      else down.delete(name);
      const working = [...down].filter((one) => one !== broken);
      const hit = new Set(working.map((one) => one[3]));
      if (working.length > 4) t.fail(`${working.join(' ')} were down at once`);
      if (hit.size > 1) t.fail(`racks ${[...hit].join(' ')} were down at once`);
    }
    t.strictSame([...down], [broken], 'and all but one came back');
    t.equal(moves.filter(([move]) => move === 'drain').length, hypervisors.size, 'each was drained once');
  });

  await t.test('the one that failed', async (t) => {
    const failed = ended.jobs.filter(({ state }) => state === 'failed');
    t.match(failed, [{ step: 'kernel', node: broken, exitCode: 3 }]);
    const note = await coordinator.exec(['logs', run, 'note']);
    t.match(note.stdout, `${broken} stays drained: kernel failed (exit 3)`);
    t.match(note.stdout, `the disk of ${broken} is full`);
    t.match((await coordinator.exec(['logs', run, 'summary'])).stdout, 'succeeded');
  });

  await t.test('the second run comes after it', async (t) => {
    await eventually('the second run to end', async () => {
      const { state } = await coordinator.query(runDocument, ['runs', 'show', second]);
      return state === 'succeeded' ? true : undefined;
    });
    const events = await coordinator.events();
    const at = (type: string, of: string): number =>
      events.find((event) => event.type === type && event.run === of)?.seq ?? 0;
    t.ok(at('RunStarted', second) > at('RunEnded', run));
  });
});
