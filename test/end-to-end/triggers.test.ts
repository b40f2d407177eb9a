/** Runs that start by themselves: with the command line, real agents that join, and calls over HTTP. */
import t from 'tap';
import * as z from 'zod';
import { LocalCluster } from './local-cluster.ts';
import { eventually } from './processes.ts';

const triggers = z.array(
  z.looseObject({
    name: z.string(),
    sentence: z.string(),
    lastRun: z.object({ run: z.string() }).nullable(),
    lastFailure: z.object({ reason: z.string() }).nullable(),
  }),
);

t.test('triggers', async (t) => {
  const cluster = await LocalCluster.start(t, { n1: { use: 'edge' } });
  const file = cluster.write(
    'base.yaml',
    `kind: pipeline
name: base
roles: { edge: { select: 'labels.use == "edge"' } }
steps:
  - { id: welcome, on: edge, run: 'echo "welcome, $LOCKSTEP_NODE"' }
`,
  );
  const lastOf = async (name: string): Promise<string | undefined> =>
    (await cluster.query(triggers, ['trigger', 'list'])).find((one) => one.name === name)?.lastRun?.run;
  const ended = (run: string) =>
    eventually(`run ${run} to end`, async () => {
      const shown = await cluster.query(z.looseObject({ state: z.string(), by: z.string() }), [
        'runs',
        'show',
        run,
      ]);
      return ['succeeded', 'failed', 'cancelled'].includes(shown.state) ? shown : undefined;
    });

  await t.test('a node that joins', async (t) => {
    const added = await cluster.cli([
      'trigger',
      'add',
      'welcome',
      file,
      '--on-join',
      'labels.use == "edge"',
      '--only-new',
      '--at-most-every',
      '1s',
    ]);
    t.equal(added.status, 0, added.stderr);
    t.match(added.stderr, 'welcome waits for a node to join: labels.use == "edge"');
    await cluster.startAgent('n2', { use: 'edge' });
    const run = await eventually('the trigger to start a run', () => lastOf('welcome'));
    t.match(await ended(run), { state: 'succeeded', by: 'trigger:welcome' });
    t.equal((await cluster.cli(['logs', run, 'welcome'])).stdout, 'welcome n2 │ welcome, n2\n', 'not on n1');
  });

  await t.test('a call from outside', async (t) => {
    const added = await cluster.cli([
      'trigger',
      'add',
      'hook',
      file,
      '--on-webhook',
      '--at-most-every',
      '1s',
    ]);
    t.equal(added.status, 0, added.stderr);
    const address = added.stdout.trim();
    t.match(address, /^http:\/\/127\.0\.0\.1:\d+\/hooks\/hook\/[0-9a-f]{48}$/);
    t.notMatch((await cluster.cli(['trigger', 'list', '-o', 'json'])).stdout, address.slice(-48));
    const wrong = await fetch(`${address.slice(0, -1)}_`, { method: 'POST' });
    t.equal(wrong.status, 404);
    const called = await fetch(address, { method: 'POST', body: '{"ref": "main"}' });
    t.equal(called.status, 202);
    const run = await eventually('the call to start a run', () => lastOf('hook'));
    t.match(await ended(run), { state: 'succeeded', by: 'trigger:hook' });
  });

  await t.test('a time', async (t) => {
    const words = ['trigger', 'add', 'nightly', file, '--cron', '0 2 * * *'];
    const wrong = await cluster.cli([...words, '--timezone', 'Europe/Berln']);
    t.equal(wrong.status, 2);
    t.match(wrong.stderr, '"Europe/Berln" is not a time zone: write one like Europe/Berlin, or UTC');
    t.match((await cluster.cli(['trigger', 'add', 'nightly', file])).stderr, 'say what it waits for: --cron');
    t.match(
      (await cluster.cli([...words, '--on-webhook'])).stderr,
      "cannot be used with option '--on-webhook'",
    );
    const added = await cluster.cli([...words, '--timezone', 'Europe/Berlin']);
    t.equal(added.status, 0, added.stderr);
    const why = await cluster.cli(['why', 'nightly']);
    t.match(why.stdout, /^nightly waits for its time: /);
    t.match((await cluster.cli(['why', 'nightli'])).stderr, /no node is named nightli/);
    t.match(
      (await cluster.cli(['trigger', 'list'])).stdout,
      /nightly +base +0 2 \* \* \* \(Europe\/Berlin\) +1m/,
    );
    const fired = await cluster.cli(['trigger', 'fire', 'nightly']);
    const [, run = ''] = /^nightly has started (r\d+)\./.exec(fired.stdout) ?? [];
    t.match(await ended(run), { state: 'succeeded', by: 'trigger:nightly' });
  });

  await t.test('taken away, and a name that is none', async (t) => {
    t.equal((await cluster.cli(['trigger', 'rm', 'nightly', 'hook', 'welcome'])).status, 0);
    t.match((await cluster.cli(['trigger', 'list'])).stderr, 'nothing starts by itself');
    const gone = await cluster.cli(['trigger', 'fire', 'nightly']);
    t.equal(gone.status, 2);
    t.match(gone.stderr, 'no trigger is named nightly: see lockstep trigger list');
  });
});
