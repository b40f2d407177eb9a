/** Another version takes the agent's place without losing a job, and whoever is killed meanwhile leaves one there. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { AgentProcess } from '../agent-process.ts';
import { jobOf } from '../coordinator-double.ts';
import { Host } from '../host.ts';
import { goodProgram, hangingProgram } from './offered-program.ts';
import { a1, installed, newer, offer, settled } from './offering.ts';

const programsIn = (host: Host): number => readdirSync(path.join(host.state, 'versions')).length;

t.test(
  'a job goes on under the new version, which keeps the pid and its place after a restart',
  async (t) => {
    const host = await Host.make(t);
    const { coordinator } = host;
    const agent = await host.startAndPull();
    const go = path.join(host.state, 'go');
    const runs = path.join(host.state, 'runs');
    coordinator.grant(
      jobOf(
        a1,
        `echo run >> ${runs}; seq 1 5000; while ! [ -e ${go} ]; do sleep 0.02; done; seq 5001 9000; exit 7`,
      ),
    );
    await coordinator.until(
      'some of the log',
      () => (coordinator.logs.get(`${a1} stdout`)?.length ?? 0) > 1000,
    );
    offer(host, goodProgram(newer));
    await coordinator.until(
      'the new version twice',
      () => versionsSeen(host).join() === `${installed},${newer},${newer}`,
    );
    t.equal(coordinator.ofType('hello').at(-1)?.held.at(0)?.attempt, a1);
    writeFileSync(go, '');
    t.match(await coordinator.result(a1), { outcome: 'failed', exitCode: 7, final: true });
    const expected = Array.from({ length: 9_000 }, (_, n) => `${n + 1}\n`).join('');
    t.equal((await coordinator.log(a1)).toString(), expected);
    t.equal(readFileSync(runs, 'utf8'), 'run\n');
    await settled(host, newer, 3);
    t.match(readFileSync(`/proc/${agent.pid}/cmdline`, 'utf8'), /other-version/, 'under the same pid');
    t.match(agent.output, new RegExp(`lockstep-agent ${newer} as n1`), 'what it says still goes to stdout');
    t.notMatch(agent.output, /Warning/);

    await agent.end('SIGKILL');
    const again = host.start();
    await settled(host, newer, 4);
    t.match(again.output, new RegExp(`handing over to agent ${newer}`));
    t.equal(programsIn(host), 1);

    offer(host, goodProgram('99.2.0'), { offer: 2, version: '99.2.0' });
    await settled(host, '99.2.0', 6);
    t.equal(programsIn(host), 2, 'the one before it is still there');
    await again.end('SIGKILL');
    host.start();
    await settled(host, '99.2.0', 7);
  },
);

const versionsSeen = ({ coordinator }: Host): string[] =>
  coordinator.ofType('hello').map(({ version }) => version);

t.test('kill -9 in each phase: the host is left with an agent, and the job with one execution', async (t) => {
  const phases: readonly (readonly [
    string,
    (host: Host, agent: AgentProcess) => Promise<unknown>,
    RegExp,
  ])[] = [
    ['while it is fetched', (_, agent) => said(agent, /taking agent/), /^$|ended or the host restarted/],
    ['when it is to be tried', (host) => until(() => trialIn(host).begun === false), /^$/],
    ['during its trial', (_, agent) => said(agent, /trying agent/), /ended or the host restarted/],
    ['when it is kept', (_, agent) => said(agent, /is kept/), /^$/],
  ];
  // Each on a host of its own: agents of the one before still write into its folder.
  for (const [phase, reached, reason] of phases)
    await t.test(phase, async (t) => {
      const host = await Host.make(t);
      const { coordinator } = host;
      const agent = await host.startAndPull();
      const runs = path.join(host.state, 'runs');
      const go = path.join(host.state, 'go');
      coordinator.grant(
        jobOf(a1, `echo run >> ${runs}; while ! [ -e ${go} ]; do sleep 0.02; done; echo done`),
      );
      await coordinator.until('the start', () => coordinator.ofType('started').length > 0);
      offer(host, phase === 'during its trial' ? hangingProgram(newer) : goodProgram(newer));
      await reached(host, agent);
      await agent.end('SIGKILL');
      endLeftOver(host);
      host.start();
      writeFileSync(go, '');
      // What was not tried yet is offered again, as the coordinator does with each connection.
      if (phase === 'while it is fetched')
        await coordinator.hello(2).then(() => offer(host, goodProgram(newer)));
      t.match(await coordinator.result(a1), { outcome: 'succeeded' }, phase);
      t.equal(readFileSync(runs, 'utf8'), 'run\n', phase);
      await settled(host, phase === 'during its trial' ? installed : newer, 2);
      const failed = coordinator.ofType('hello').at(-1)?.upgradesFailed?.at(-1)?.reason ?? '';
      t.match(failed, reason, phase);
    });
});

async function until(isSo: () => boolean): Promise<void> {
  for (let waitedMs = 0; !isSo(); waitedMs += 2) {
    if (waitedMs > 20_000) throw new Error('it never came to be so');
    await sleep(2);
  }
}

const said = (agent: AgentProcess, what: RegExp): Promise<void> => until(() => what.test(agent.output));

function trialIn({ state }: Host): { begun?: boolean } {
  const file = path.join(state, 'upgrade.json');
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')).document.trial ?? {}) : {};
}

/**
 * A hanging program whose watcher was killed knows of nobody who would end it. One that was about to be started has
 * still the words of its watcher.
 */
function endLeftOver({ state }: Host): void {
  for (const pid of readdirSync('/proc').map(Number).filter(Number.isInteger)) {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      const isProgram = words.includes(path.join(state, 'versions'));
      const isFork = words.includes('--state') && words.includes(state);
      if (pid !== process.pid && (isProgram || isFork)) process.kill(isProgram ? -pid : pid, 'SIGKILL');
    } catch {
      // It has ended meanwhile, or leads no group.
    }
  }
}
