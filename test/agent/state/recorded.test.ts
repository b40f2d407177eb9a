/**
 * State folders as earlier versions left them, taken over by the agent of today. `recorded/VERSION` is the folder
 * of an agent of that version, killed while its second of three jobs ran and before anything was acknowledged; such
 * a folder is added with each version that writes something else, and none is ever changed.
 */
import { cpSync, readdirSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { readClaim } from '../../../agent/run/supervisor.ts';
import { Host } from '../host.ts';

const recorded = path.join(import.meta.dirname, 'recorded');

for (const version of readdirSync(recorded)) {
  const folder = path.join(recorded, version);

  t.test(`what agent ${version} left is taken over, told whole, and not executed again`, async (t) => {
    const host = await Host.make(t);
    const { coordinator } = host;
    cpSync(folder, host.state, { recursive: true });
    host.start();
    const hello = await coordinator.hello();
    t.equal(hello.incarnation, '961e834d-6b92-490c-9206-46b09a014c27');
    t.equal(hello.counter, 2);
    t.ok(hello.held.some(({ attempt, state }) => attempt === 'r1/measure/n1#1' && state === 'ended'));
    t.match(await coordinator.result('r1/measure/n1#1'), { outcome: 'succeeded', outputs: { size: 3 } });
    t.equal((await coordinator.log('r1/measure/n1#1')).toString(), 'measured\n');
    t.equal((await coordinator.log('r1/measure/n1#1', 'stderr')).toString(), 'careful\n');
    // It was recorded in another boot of another host.
    t.match(await coordinator.result('r1/sleep/n1#1'), { outcome: 'interrupted' });
    t.match(await coordinator.result('r1/last/n1#1'), { outcome: 'not-started' });
    t.equal(coordinator.ofType('started').length, 0);
  });

  t.test(`claims of agent ${version} are read as they were meant`, async (t) => {
    const claimOf = (attempt: string, execution: string) =>
      readClaim(path.join(folder, 'attempts', attempt, execution));
    t.match(claimOf('r1_measure_n1_1', '1-check'), { kind: 'supervised', supervisor: 6496, status: 1 });
    t.match(claimOf('r1_measure_n1_1', '2-run'), { kind: 'supervised', main: 6499, status: 0 });
    t.match(claimOf('r1_sleep_n1_1', '1-run'), { kind: 'supervised', main: 6501, status: undefined });
  });
}
