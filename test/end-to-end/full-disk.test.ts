/** A node whose disk is full: it asks for no work, and what it has done is not lost, not even what finds no space. */
import t from 'tap';
import * as z from 'zod';
import { limits } from '../../shared/limits.ts';
import { Coordinator, startAgent } from './cluster.ts';
import { hostsUnavailable, Lab } from './hosts.ts';
import { runDocument } from './local-cluster.ts';
import { eventually } from './processes.ts';

const stateFolder = '/var/lib/lockstep-agent';
const reserve = `${stateFolder}/reserve`;
/** More than the agent wants to see free before it asks for work, and soon filled. */
const diskSize = '100m';
/** The agent looks whether there is space again twice a minute. */
const within = { withinMs: 60_000, everyMs: 200 };

/** Fills the disk of its agent to the last block, after it has put out so much, and taken away so many files. */
const pipelineOf = (outputBytes: number, without = ''): string => `kind: pipeline
name: full
roles: { all: { select: 'true' } }
steps:
  - id: fill
    on: all
    outputs: { big: { type: string } }
    run: |
      echo "big=$(head -c ${outputBytes} /dev/zero | tr '\\0' x)" >>"$LOCKSTEP_OUTPUT"
      echo before
      rm -f ${without}
      dd if=/dev/zero of=${stateFolder}/filler bs=4k 2>/dev/null || true
      echo after
      echo "$LOCKSTEP_ATTEMPT" >>/shared/ran
  - { id: next, on: all, run: 'echo "$LOCKSTEP_ATTEMPT" >>/shared/ran' }
`;

t.test('a node whose disk is full', { skip: hostsUnavailable() ?? false, timeout: 240_000 }, async (t) => {
  const lab = await Lab.start();
  t.teardown(() => lab.dispose());
  const coordinator = await Coordinator.start(await lab.addHost('control'));
  const token = await coordinator.createToken();
  const n1 = await lab.addHost('n1');
  await n1.run(['mkdir', '-p', stateFolder]);
  await n1.run(['mount', '-t', 'tmpfs', '-o', `size=${diskSize}`, 'tmpfs', stateFolder]);
  let agent = startAgent(n1, coordinator, token);
  await coordinator.nodesReady(['n1']);
  const submit = async (outputBytes: number, without = ''): Promise<string> => {
    const file = lab.writeShared('full.yaml', pipelineOf(outputBytes, without));
    return (await coordinator.query(z.looseObject({ id: z.string() }), ['run', file])).id;
  };
  const succeeded = (run: string): Promise<true> =>
    eventually(
      `the end of ${run}`,
      async () =>
        (await coordinator.query(runDocument, ['runs', 'show', run])).state === 'succeeded'
          ? true
          : undefined,
      within,
    );
  const free = () => n1.run(['rm', `${stateFolder}/filler`]);

  await t.test('asks for no work until there is space', async (t) => {
    const run = await submit(10);
    await agent.printed(/not asking for work: less than \d+ bytes are free/);
    await eventually('the result of the job that filled it', async () =>
      (await coordinator.exec(['why', run])).stdout.includes(
        `${run}/next/n1 is ready: n1 is connected and has not asked for work yet`,
      )
        ? true
        : undefined,
    );
    await free();
    await succeeded(run);
    t.equal((await coordinator.exec(['logs', run, 'fill', 'n1'])).stdout, 'before\nafter\n');
    t.equal(await lab.readShared('ran'), `${run}/fill/n1#1\n${run}/next/n1#1\n`);
  });

  await t.test('a result that finds no space takes what was kept for it', async (t) => {
    lab.removeShared('ran');
    const run = await submit(60_000);
    await eventually('the result of the job that filled it', async () =>
      (await coordinator.query(runDocument, ['runs', 'show', run])).jobs.some(
        ({ step, state }) => step === 'fill' && state === 'succeeded',
      )
        ? true
        : undefined,
    );
    t.equal((await n1.exec(['test', '-e', reserve])).status, 1, 'the reserve was given up');
    t.equal(agent.child.exitCode, null, 'the agent goes on');
    await free();
    await succeeded(run);
    t.equal(
      await n1.run(['stat', '-c', '%s', reserve]),
      `${limits.agentReserveBytes}\n`,
      'a new one is kept',
    );
    t.equal(await lab.readShared('ran'), `${run}/fill/n1#1\n${run}/next/n1#1\n`);
  });

  await t.test('without even that it ends the agent, and is told by the next', async (t) => {
    lab.removeShared('ran');
    const run = await submit(60_000, reserve);
    await agent.printed(
      /lockstep-agent: cannot write \S+: no space is left there; free some or enlarge the disk/,
    );
    await eventually('its end', async () => agent.child.exitCode ?? undefined);
    t.equal(agent.child.exitCode, 3);
    await free();
    agent = startAgent(n1, coordinator, token);
    await succeeded(run);
    t.equal((await coordinator.exec(['logs', run, 'fill', 'n1'])).stdout, 'before\nafter\n');
    t.equal(await lab.readShared('ran'), `${run}/fill/n1#1\n${run}/next/n1#1\n`, 'and nothing ran twice');
  });
});
