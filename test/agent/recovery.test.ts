/** The agent is killed at the worst moments: jobs go on, execute once, and tell the truth afterwards (P2, P3, P4). */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { AgentProcess } from './agent-process.ts';
import { jobOf, scriptOf } from './coordinator-double.ts';
import { Host } from './host.ts';
import { isAlive } from './run/place.ts';

const a1 = 'r1/s/n1#1';

async function until(what: string, isSo: () => boolean): Promise<void> {
  for (let waitedMs = 0; !isSo(); waitedMs += 10) {
    if (waitedMs > 20_000) throw new Error(`never came: ${what}`);
    await sleep(10);
  }
}

const linesOf = (file: string): number =>
  existsSync(file) ? readFileSync(file, 'utf8').split('\n').length - 1 : 0;

t.test('kill -9 while a job runs: it ends once, with its true status and its whole log', async (t) => {
  const host = await Host.make(t);
  const { coordinator } = host;
  const agent = await host.startAndPull();
  const go = path.join(host.state, 'go');
  const runs = path.join(host.state, 'runs');
  const text = `echo run >> ${runs}; seq 1 20000; while ! [ -e ${go} ]; do sleep 0.02; done; seq 20001 40000; echo err >&2; exit 7`;
  coordinator.grant(jobOf(a1, text));
  await coordinator.until(
    'some of the log',
    () => (coordinator.logs.get(`${a1} stdout`)?.length ?? 0) > 1000,
  );
  await agent.end('SIGKILL');
  writeFileSync(go, '');
  await sleep(300);
  await host.startAndPull();
  t.match((await coordinator.hello(2)).held, [{ attempt: a1 }]);
  t.match(await coordinator.result(a1), {
    outcome: 'failed',
    exitCode: 7,
    reason: 'run exited with 7',
    final: true,
  });
  const expected = Array.from({ length: 40_000 }, (_, n) => `${n + 1}\n`).join('');
  t.equal((await coordinator.log(a1)).toString(), expected);
  t.equal((await coordinator.log(a1, 'stderr')).toString(), 'err\n');
  t.equal(linesOf(runs), 1);
});

t.test('a job outlives several agents, and its timeout goes on counting', async (t) => {
  const host = await Host.make(t);
  const { coordinator } = host;
  let agent = await host.startAndPull();
  const begun = Date.now();
  const timeoutMs = 12_000;
  coordinator.grant(jobOf(a1, `echo $$ > ${host.state}/pid; sleep 60`, { timeoutMs }));
  await until('the job', () => existsSync(`${host.state}/pid`));
  let restarted = begun;
  for (let round = 0; round < 2; round += 1) {
    await agent.end('SIGKILL');
    await sleep(2_000);
    restarted = Date.now();
    agent = host.start();
    await coordinator.hello(round + 2);
  }
  const pid = Number(readFileSync(`${host.state}/pid`, 'utf8'));
  t.ok(isAlive(pid));
  const result = await coordinator.result(a1);
  t.match(result, { outcome: 'timed-out', signal: 'SIGTERM' });
  // A timeout that began anew with the last agent would end the job this much later.
  t.ok(result.durationMs < restarted - begun + timeoutMs, `${result.durationMs} ms`);
  t.notOk(isAlive(pid));
});

t.test('killed between executions: iterations go on, the check is not repeated', async (t) => {
  const host = await Host.make(t);
  const { coordinator } = host;
  const agent = await host.startAndPull();
  const checks = path.join(host.state, 'checks');
  const runs = path.join(host.state, 'runs');
  coordinator.grant(
    jobOf(a1, `echo x >> ${runs}; echo "n=$(wc -l < ${runs})" >> "$LOCKSTEP_OUTPUT"`, {
      check: scriptOf(`echo x >> ${checks}; exit 1`),
      until: { expression: 'outputs.n == params.want && iteration == params.want', everyMs: 120 },
      inputs: { want: { value: 8 } },
      outputs: { n: { type: 'int', secret: false, optional: false } },
    }),
  );
  await until('three runs', () => linesOf(runs) >= 3);
  await agent.end('SIGKILL');
  await host.startAndPull();
  t.match(await coordinator.result(a1), { outcome: 'succeeded', iterations: 8, outputs: { n: 8 } });
  t.equal(linesOf(checks), 1);
  t.equal(linesOf(runs), 8);
});

t.test(
  'killed at random moments of many jobs: each executes at most once and has one true end',
  async (t) => {
    const host = await Host.make(t);
    const { coordinator } = host;
    coordinator.acknowledgesResults = false;
    const attempts = Array.from({ length: 40 }, (_, n) => `r1/s${n}/n1#1`);
    const runs = path.join(host.state, 'runs');
    const jobs = attempts.map((attempt) => jobOf(attempt, `echo ${attempt} >> ${runs}; echo printed`));
    let agent = host.start();
    await coordinator.hello();
    await coordinator.pull();
    // All that is not known to be held is granted again on every connection, as the coordinator does.
    coordinator.grant(...jobs);
    for (let round = 0; round < 6; round += 1) {
      await sleep(20 + Math.random() * 120);
      await agent.end('SIGKILL');
      agent = host.start();
      const { held } = await coordinator.hello(round + 2);
      const known = new Set(held.map((one) => one.attempt));
      const lost = jobs.filter((job) => !known.has(job.attempt));
      await coordinator.until('facts', (received) => received.at(-1)?.type !== 'hello');
      if (lost.length > 0) coordinator.grant(...lost);
    }
    coordinator.acknowledgesResults = true;
    coordinator.dropLink();
    const outcomes = new Map<string, string>();
    for (const attempt of attempts) outcomes.set(attempt, (await coordinator.result(attempt)).outcome);
    const executed = readFileSync(runs, 'utf8').trim().split('\n');
    t.equal(new Set(executed).size, executed.length, 'nothing executed twice');
    for (const [attempt, outcome] of outcomes) {
      if (outcome === 'succeeded') t.ok(executed.includes(attempt), `${attempt} succeeded and executed`);
      if (outcome === 'not-started') t.notOk(executed.includes(attempt), `${attempt} not started`);
    }
    const different = attempts.filter(
      (attempt) =>
        new Set(
          coordinator
            .ofType('result')
            .filter((message) => message.result.attempt === attempt)
            .map((message) => JSON.stringify([message.number, message.result])),
        ).size > 1,
    );
    t.same(different, [], 'a result that is sent again is the same result');
    t.ok([...outcomes.values()].filter((outcome) => outcome === 'succeeded').length > 0);
  },
);

t.test('a script that removed its folder, then the agent: it ran, and is not run again', async (t) => {
  const host = await Host.make(t);
  const { coordinator } = host;
  const agent = await host.startAndPull();
  const runs = path.join(host.state, 'runs');
  const text = `echo run >> ${runs}; cd /; rm -rf ${host.state}/attempts; echo $$ > ${host.state}/pid; sleep 60`;
  coordinator.grant(jobOf(a1, text));
  await until('the job', () => existsSync(`${host.state}/pid`));
  await agent.end('SIGKILL');
  await host.startAndPull();
  t.match(await coordinator.result(a1), { outcome: 'interrupted', final: true });
  t.equal(linesOf(runs), 1);
  t.notOk(isAlive(Number(readFileSync(`${host.state}/pid`, 'utf8'))), 'what it left running was ended');
  coordinator.grant(jobOf('r1/t/n1#1', `echo run >> ${runs}`));
  t.match(await coordinator.result('r1/t/n1#1'), { outcome: 'succeeded' });
});

t.test('a result and its files are kept until they are acknowledged, across restarts', async (t) => {
  const host = await Host.make(t);
  const { coordinator } = host;
  coordinator.acknowledgesResults = false;
  coordinator.acknowledgesLogs = false;
  const agent = await host.startAndPull();
  const outputs = { f: { type: 'file', secret: false, optional: false } } as const;
  coordinator.grant(
    jobOf(a1, 'echo content > out; echo f=out >> "$LOCKSTEP_OUTPUT"; echo printed', { outputs }),
  );
  const first = await coordinator.result(a1);
  await agent.end('SIGKILL');
  coordinator.blobs.clear();
  coordinator.logs.clear();
  const second = await host.startAndPull();
  t.same((await coordinator.hello(2)).held, [{ attempt: a1, state: 'ended' }]);
  const results = () => coordinator.ofType('result').map((message) => message.result);
  await coordinator.until('the result again', () => results().length === 2);
  t.same(results(), [first, first]);
  const digest = `sha256:${createHash('sha256').update('content\n').digest('hex')}`;
  t.equal(coordinator.blobs.get(digest)?.toString(), 'content\n', 'the file came again too');
  t.equal((await coordinator.log(a1)).toString(), 'printed\n', 'and the log');
  coordinator.acknowledgesResults = true;
  coordinator.acknowledgesLogs = true;
  coordinator.dropLink();
  await until('the folder to go', () => !existsSync(path.join(host.state, 'attempts/r1_s_n1_1')));
  t.equal(await second.end(), 0);
  await host.startAndPull();
  t.same((await coordinator.hello(4)).held, []);
  const [again] = [jobOf(a1, `touch ${host.state}/twice`, { outputs })];
  if (again !== undefined) coordinator.grant(again);
  await coordinator.until('the answer', () => results().length === 4);
  t.same(results().at(-1), first, 'granted once more: the same result, not the same work');
  t.notOk(existsSync(path.join(host.state, 'twice')));
});

t.test('SIGTERM leaves the job alone, and a cancel reaches it in the next process', async (t) => {
  const host = await Host.make(t);
  const { coordinator } = host;
  const agent = await host.startAndPull();
  coordinator.grant(jobOf(a1, `echo $$ > ${host.state}/pid; sleep 60`));
  await until('the job', () => existsSync(`${host.state}/pid`));
  t.equal(await agent.end('SIGTERM'), 0);
  const pid = Number(readFileSync(`${host.state}/pid`, 'utf8'));
  t.ok(isAlive(pid));
  host.start();
  await coordinator.hello(2);
  await coordinator.until('joined', (received) => received.at(-1)?.type !== 'hello');
  coordinator.send({ type: 'cancel', attempt: a1, reason: 'enough' });
  t.match(await coordinator.result(a1), { outcome: 'cancelled', reason: 'enough' });
  t.notOk(isAlive(pid));
});

const ownBoot = ['unshare', '--fork', '--pid', '--mount-proc', '--kill-child'];
const mayUnshare = spawnSync('unshare', [...ownBoot.slice(1), 'true']).status === 0;

t.test(
  'a reboot: nothing of it is guessed',
  { skip: mayUnshare ? false : 'this host allows no pid namespaces' },
  async (t) => {
    const host = await Host.make(t);
    const { coordinator } = host;
    const options = ['run', '--coordinator', coordinator.url, '--state', host.state, '--name', 'n1'];
    const runs = path.join(host.state, 'runs');
    const first = new AgentProcess(options, {}, ownBoot);
    t.teardown(() => first.end('SIGKILL'));
    await coordinator.pull();
    coordinator.grant(
      jobOf(a1, `echo run >> ${runs}; echo printed; sleep 60`),
      jobOf('r1/t/n1#1', `echo run >> ${runs}`),
    );
    await until('the job', () => linesOf(runs) === 1);
    // With the first process of its pid namespace everything in it dies, as in a power cut.
    await first.end('SIGKILL');
    await until(
      'the lock',
      () => spawnSync('flock', ['-n', path.join(host.state, 'lock'), 'true']).status === 0,
    );
    const second = new AgentProcess(options, {}, ownBoot);
    t.teardown(() => second.end('SIGKILL'));
    const hello = await coordinator.hello(2);
    t.not(hello.boot, (await coordinator.hello(1)).boot);
    t.equal(hello.incarnation, (await coordinator.hello(1)).incarnation);
    t.match(await coordinator.result(a1), {
      outcome: 'interrupted',
      reason: 'the node was rebooted while it ran',
    });
    t.match(await coordinator.result('r1/t/n1#1'), { outcome: 'not-started' });
    t.equal((await coordinator.log(a1)).toString(), 'printed\n');
    t.equal(linesOf(runs), 1);
  },
);
