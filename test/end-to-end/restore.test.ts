/**
 * A coordinator's data is put back while its nodes have gone on: nothing that they did is done twice, nothing of
 * it is taken for something else, and the old data gives way when it wakes up.
 */
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import t from 'tap';
import * as z from 'zod';
import { jobOf, LocalCluster, runDocument } from './local-cluster.ts';
import { eventually } from './processes.ts';

/** Every job adds a line to a file of its own; `last` of n3 goes on until it is let go. */
const pipeline = (folder: string): string => `kind: pipeline
name: once
roles: { all: { select: 'true' } }
steps:
  - { id: first, on: all, run: 'echo "$LOCKSTEP_ATTEMPT" >>${folder}/first-$LOCKSTEP_NODE' }
  - { id: second, on: all, approve: Go on?, run: 'echo "$LOCKSTEP_ATTEMPT" >>${folder}/second-$LOCKSTEP_NODE' }
  - id: last
    on: all
    needs: [{ step: second, same: node }]
    run: |
      echo "$LOCKSTEP_ATTEMPT" >>${folder}/last-$LOCKSTEP_NODE
      echo begun
      while test "$LOCKSTEP_NODE" = n3 && ! test -e ${folder}/go; do sleep 0.1; done
      echo done
`;

const explanations = z.array(z.object({ job: z.string().nullable(), sentence: z.string() }));
const restored = z.object({ seq: z.int(), runsHeld: z.array(z.string()), movedAside: z.string() });
const health = z.object({ status: z.string(), detail: z.string().nullable() });

t.test('what nodes did after the backup is shown, held and done once', async (t) => {
  const cluster = await LocalCluster.start(t, { n1: {}, n2: {}, n3: {} });
  const done = cluster.path('done');
  const file = cluster.write('once.yaml', pipeline(done));
  cluster.write('done/.keep', '');
  const run = async () => runDocument.parse(JSON.parse((await cluster.request('GET', '/api/runs/r1')).text));
  const why = () => cluster.query(explanations, ['why', 'r1']);
  const listen = new URL(cluster.url).host;

  await cluster.run(file);
  await cluster.endAgent('n2', 'SIGKILL');
  const backup = cluster.path('backup');
  t.equal((await cluster.cli(['backup', '--to', backup])).status, 0);

  t.equal((await cluster.cli(['approve', 'r1'])).status, 0);
  await eventually('n1 to have ended and n3 to be at its last job', async () => {
    const now = await run();
    return jobOf(now, 'last', 'n1').state === 'succeeded' && jobOf(now, 'last', 'n3').state === 'running'
      ? true
      : undefined;
  });
  await cluster.endCoordinator('SIGKILL');
  const report = await cluster.query(restored, ['restore', backup, '--data', cluster.data, '--replace']);
  t.same(report.runsHeld, ['r1']);

  await cluster.startCoordinator(listen);
  await cluster.startAgent('n2', {});
  const held = await eventually('all nodes to have told', async () => {
    const now = await why();
    return now.some(({ sentence }) => sentence.includes('all its nodes have told')) ? now : undefined;
  });
  t.equal((await run()).state, 'held');
  t.match(
    held.find(({ job }) => job === 'r1/last/n1')?.sentence,
    /n1 has ended attempt 1 \(succeeded\), of which this history does not know/,
  );
  t.match(held.find(({ job }) => job === 'r1/last/n3')?.sentence, /n3 is running attempt 1/);
  t.match(
    held.find(({ job }) => job === 'r1/second/n2')?.sentence,
    /run r1 is held: .*put back as it was.*resume r1 --as-reported/,
  );

  cluster.write('done/go', '');
  await eventually(
    "the end of n3's job to be told",
    async () =>
      (await why()).some(({ sentence }) => sentence.includes('n3 has ended attempt 1 (succeeded)')) ||
      undefined,
  );
  t.equal((await cluster.cli(['resume', 'r1', '--as-reported'])).status, 0);
  t.equal((await cluster.cli(['approve', 'r1'])).status, 0);
  const ended = await eventually('the run to end', async () => {
    const now = await run();
    return now.state === 'succeeded' ? now : undefined;
  });
  t.equal(jobOf(ended, 'last', 'n1').attempt, 1, 'as it was reported');
  t.equal(jobOf(ended, 'last', 'n2').attempt, 1_001, 'numbered anew');
  const files = readdirSync(done).filter((name) => name.includes('-n'));
  for (const name of files) {
    const isNew = name === 'second-n2' || name === 'last-n2';
    t.equal(cluster.read('done', name), `r1/${name.replace('-', '/')}#${isNew ? 1_001 : 1}\n`, 'once');
  }
  t.equal(files.length, 9);
  const stale = (await cluster.events()).filter(({ type }) => type === 'StaleResultReported');
  t.match(stale, [{ attempt: 'r1/last/n3#1' }], 'what ended later is recorded, not applied');
  const { text } = await cluster.request('GET', '/api/runs/r1/logs?step=last&node=n3&attempt=1');
  t.match(text, /begun\n(.*\n)*.*done/, 'its log is sent again from the beginning');

  await cluster.endCoordinator('SIGTERM');
  const old = report.movedAside;
  await cluster.startCoordinator(listen, old);
  const state = await eventually('the old coordinator to hear that it was replaced', async () => {
    const answer = health.parse(await (await fetch(`http://${listen}/health`)).json());
    return answer.status === 'ok' ? undefined : answer;
  });
  t.equal(state.status, 'replaced');
  t.match(state.detail, /n[123] has seen epoch \d+ of lineage/);
  const refused = await cluster.cli(['run', file, '--data', old]);
  t.equal(refused.status, 2);
  t.match(refused.stderr, /this coordinator has been replaced/);
  t.match((await cluster.cli(['why', 'r1', '--data', old])).stdout, /has been replaced/);
  t.equal(basename(old).startsWith('data.before-'), true, join(old));
});
