/** A version that is no good gives the agent's place back, whatever is wrong with it, and the reason is told. */
import { readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { limits } from '../../../shared/limits.ts';
import { jobOf } from '../coordinator-double.ts';
import { Host } from '../host.ts';
import { deadProgram, digestOf, goodProgram, hangingProgram, shamProgram } from './offered-program.ts';
import { a1, failure, installed, newer, type Offered, offer, settled } from './offering.ts';

const bad: readonly (readonly [what: string, program: string, more: Offered, reason: RegExp])[] = [
  ['ends at once', deadProgram(newer), {}, /ended with 3 before it was healthy/],
  ['hangs', hangingProgram(newer), { healthyWithinMs: 700 }, /not healthy within 700 ms/],
  ['is another version', goodProgram('98.0.0'), {}, /says that it is version "98\.0\.0"/],
  [
    'is not what its digest says',
    goodProgram(newer),
    { digest: digestOf('else') },
    /what was fetched is sha256:/,
  ],
  ['is no program', 'half a file', {}, /it is no program/],
  [
    'is made for another machine',
    `\x7fELF${'\0'.repeat(14)}\x08\0`,
    {},
    /made for another machine \(ELF machine 8\)/,
  ],
  ['is half a program', '#!/nowhere/at/all\n', {}, /cannot be started/],
];
for (const [what, program, more, reason] of bad) {
  t.test(`a version that ${what} is given up, and told with its reason once and for all`, async (t) => {
    const host = await Host.make(t);
    const { coordinator } = host;
    const agent = await host.startAndPull();
    const go = path.join(host.state, 'go');
    coordinator.grant(jobOf(a1, `while ! [ -e ${go} ]; do sleep 0.02; done; echo done`));
    await coordinator.until('the start', () => coordinator.ofType('started').length > 0);
    offer(host, program, more);
    t.match(await failure(host), reason);
    writeFileSync(go, '');
    t.match(await coordinator.result(a1), { outcome: 'succeeded' });
    t.equal((await coordinator.log(a1)).toString(), 'done\n');
    await settled(host, installed, 1);
    t.equal(coordinator.ofType('hello').at(-1)?.version, installed);
    t.equal(agent.child.exitCode, null);
    t.same(readdirSync(path.join(host.state, 'versions')), [], 'nothing of it is left on the disk');

    const told = coordinator.ofType('upgrade-failed').length;
    offer(host, program, more);
    await coordinator.until('the answer', () => coordinator.ofType('upgrade-failed').length > told);
    t.notMatch(agent.output, /taking agent .*taking agent/s, 'the same offer is not tried again');
  });
}

t.test(
  'a version that was kept and dies at each start is given up, and the one before it goes on',
  async (t) => {
    const host = await Host.make(t);
    const { coordinator } = host;
    const first = await host.startAndPull();
    offer(host, shamProgram(newer));
    await first.ended();
    t.equal(first.child.exitCode, 3);
    for (let start = 2; start <= limits.upgradeUnprovedStartsMax; start += 1) {
      const agent = host.start();
      await agent.ended();
      t.match(agent.output, new RegExp(`handing over to agent ${newer}`));
    }
    const last = host.start();
    await settled(host, installed, 3);
    t.match(
      last.output,
      new RegExp(`agent ${newer} is not used any more: it was kept, then started 5 times`),
    );
    t.match(coordinator.ofType('hello').at(-1)?.upgradesFailed, [{ offer: 1, reason: /started 5 times/ }]);
    t.same(readdirSync(path.join(host.state, 'versions')), []);
  },
);

t.test('after one that failed, another one is taken', async (t) => {
  const host = await Host.make(t);
  await host.startAndPull();
  offer(host, 'half a file');
  t.match(await failure(host), /it is no program/);
  offer(host, goodProgram(newer), { offer: 2 });
  await settled(host, newer, 3);
});

t.test('a blob that the coordinator does not have fails the offer', async (t) => {
  const host = await Host.make(t);
  await host.startAndPull();
  host.coordinator.send({
    type: 'upgrade',
    offer: 1,
    version: newer,
    digest: digestOf('nowhere'),
    healthyWithinMs: 1_000,
  });
  t.match(await failure(host), /HTTP 404/);
});
