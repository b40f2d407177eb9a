/** The claim and the supervisor, under every shell that may be /bin/sh. */
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { adoptExecution, type SupervisorShell } from '../../../agent/run/execution.ts';
import { readClaim, voidClaim } from '../../../agent/run/supervisor.ts';
import { isAlive, Place } from './place.ts';

const shells: readonly SupervisorShell[] = [
  ['/bin/dash'],
  ['/bin/busybox', 'sh'],
  ['/bin/bash'],
  ['/bin/bash', '--posix'],
];

for (const shell of shells) {
  const skip = existsSync(shell[0]) ? false : `${shell[0]} is not installed`;
  t.test(shell.join(' '), { skip }, async (t) => {
    const place = (name: string): Place => {
      const folder = path.join(t.testdir({}), name);
      mkdirSync(folder, { recursive: true });
      return new Place(folder);
    };

    t.test('status, output and where it runs', async (t) => {
      const here = place('status');
      const text = 'echo out; echo err >&2; pwd; cat; ps -o pgid= -p $$ | tr -d " "; echo $$; exit 7';
      const end = await here.start(text, {}, shell).ended;
      t.match(end, { kind: 'exited', status: 7, stopped: false });
      const claim = readClaim(path.join(here.folder, '1-run'));
      t.match(claim, { kind: 'supervised', status: 7 });
      const main = claim.kind === 'supervised' ? claim.main : undefined;
      t.equal(
        here.read('stdout'),
        `out\n${here.folder}\n${main}\n${main}\n`,
        'it leads its own session, stdin is empty',
      );
      t.equal(here.read('stderr'), 'err\n', 'nothing of the supervisor');
    });

    t.test('signals end it with the status that shells give, and none is ignored', async (t) => {
      for (const [signal, status] of [
        ['KILL', 137],
        ['TERM', 143],
        ['INT', 130],
        ['QUIT', 131],
      ] as const) {
        const here = place(`signal-${signal}`);
        t.match(
          await here.start(`kill -${signal} $$; sleep 9`, {}, shell).ended,
          { kind: 'exited', status },
          signal,
        );
        t.equal(here.read('stderr'), '');
      }
    });

    t.test('who loses the claim executes nothing', async (t) => {
      const here = place('void');
      const order = here.order('touch "$STATE/executed"');
      t.ok(voidClaim(order.folder));
      t.ok(voidClaim(order.folder), 'an agent that recovers twice still wins');
      t.same(await here.start('touch "$STATE/executed"', {}, shell).ended, { kind: 'not-executed' });
      t.notOk(existsSync(path.join(here.folder, 'executed')));
      t.equal(here.read('stderr'), '');
      t.equal(adoptExecution(order), undefined);
    });

    t.test('two supervisors of one execution: one executes', async (t) => {
      for (let round = 0; round < 5; round += 1) {
        const here = place(`race-${round}`);
        const text = 'echo executed';
        const both = [here.start(text, {}, shell), here.start(text, {}, shell)];
        await Promise.all(both.map((execution) => execution.ended));
        await here.until('the winner', () => here.read('1-run/claim').includes('exit'));
        t.equal(here.read('stdout'), 'executed\n');
      }
    });

    t.test('a supervisor that is killed takes its job along', async (t) => {
      const here = place('killed');
      const execution = here.start('echo $$ > "$STATE/main"; sleep 60', {}, shell);
      const main = await here.pid('main');
      const claim = readClaim(path.join(here.folder, '1-run'));
      t.equal(claim.kind, 'supervised');
      if (claim.kind === 'supervised' && claim.supervisor !== undefined)
        process.kill(claim.supervisor, 'SIGKILL');
      t.same(await execution.ended, { kind: 'lost' });
      t.notOk(isAlive(main));
    });
  });
}
