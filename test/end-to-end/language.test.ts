/**
 * The pipeline language on real nodes: what its words promise, proved by what scripts really got and did.
 * The pipelines are in language/. How operators look at runs is in operating.test.ts.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import * as z from 'zod';
import { projectRoot } from './hosts.ts';
import { isAlive, jobOf, jobsOf, LocalCluster, runDocument } from './local-cluster.ts';
import { eventually } from './processes.ts';

const pipelines = join(projectRoot, 'test/end-to-end/language');
const nodes = ['n1', 'n2', 'n3'];
/** With all that is written in another way in base64 and in URLs, and a quote that JSON escapes. */
const password = 'p@ss "wörd"/+&?~ of the operator';

const layered = z.array(
  z.looseObject({
    name: z.string(),
    layer: z.string(),
    value: z.unknown(),
    layers: z.array(z.object({ layer: z.string(), value: z.unknown() })),
  }),
);
const params = z.record(z.string(), z.unknown());

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** A text as it may stand in a file: as it is, in JSON, in a URL, and inside of base64, however it is aligned there. */
function formsOf(secret: string): string[] {
  const aligned = [0, 1, 2].map((skipped) => {
    const bytes = Buffer.concat([Buffer.alloc(skipped), Buffer.from(secret)]);
    // The characters at both ends also depend on what stands beside the secret.
    return bytes
      .toString('base64')
      .replace(/=*$/, '')
      .slice(Math.ceil((skipped * 4) / 3), -1);
  });
  const urlSafe = aligned.map((text) => text.replaceAll('+', '-').replaceAll('/', '_'));
  const hex = Buffer.from(secret).toString('hex');
  const json = JSON.stringify(secret).slice(1, -1);
  const form = new URLSearchParams({ '': secret }).toString().slice(1);
  return [...new Set([secret, json, encodeURIComponent(secret), form, hex, ...aligned, ...urlSafe])];
}

t.test('pipelines on three nodes', { timeout: 120_000 }, async (t) => {
  const cluster = await LocalCluster.start(t, {
    n1: { use: 'language', rack: 'a' },
    n2: { use: 'language', rack: 'b' },
    n3: { use: 'language', rack: 'a' },
  });
  const note = (...name: string[]): string => cluster.read('notes', ...name);
  cluster.write('notes/readme', 'What scripts of the test note.\n');
  const folder = cluster.path('notes');
  const run = (file: string, ...args: string[]) =>
    cluster.run(join(pipelines, file), args, { env: { LOCKSTEP_PARAM_password: password } });

  await t.test('values', async (t) => {
    for (const [setting, ...scope] of [
      ['text=from the cluster', '--cluster', 'default'],
      ['ratio=0.75', '--cluster', 'default', '--json'],
      ['text=only from n2', '--node', 'n2'],
      ['count=7', '--node', 'n2', '--json'],
    ] as const) {
      const { status, stderr } = await cluster.cli(['params', 'set', setting, ...scope]);
      t.equal(status, 0, stderr);
    }
    const given = ['--param', `folder=${folder}`, '--param', 'count=4', '--param', 'enabled=true'];
    const first = await run('values.yaml', ...given, '--param', 'zone=south');
    t.equal(first.state, 'succeeded', JSON.stringify(first.jobs.filter(({ state }) => state === 'failed')));

    const tree = { list: [1, 'two', null], deep: { ok: true } };
    const secrets: string[] = [password];
    for (const node of nodes) {
      const got = params.parse(JSON.parse(note(`given-${node}.json`)));
      const { generated, secretText, ...rest } = got;
      t.match(generated, /^[0-9a-f]{32}$/, 'a value was generated');
      t.equal(secretText, `token=${generated};${password}`, 'and can be part of another');
      secrets.push(String(generated));
      t.strictSame(
        rest,
        {
          folder,
          text: node === 'n2' ? 'only from n2' : 'from the cluster',
          count: 4,
          ratio: 0.75,
          enabled: true,
          tree,
          zone: 'south',
          password,
          peers: 'n1,n2,n3',
          rack: node === 'n2' ? 'b' : 'a',
        },
        `${node} got the highest layer of each param, by its type`,
      );
      const environment = note(`environment-${node}`);
      t.match(environment, `PARAM_PASSWORD=${password}\n`, 'text is in the environment as it is');
      t.match(environment, `PARAM_TREE=${JSON.stringify(tree)}\n`, 'the rest as JSON');
      t.match(environment, new RegExp(`^LOCKSTEP_ATTEMPT=${first.id}/given/${node}#1$`, 'm'));
      t.notMatch(environment, /LOCKSTEP_TOKEN|NODE_OPTIONS/, 'and nothing of the agent itself');
    }
    t.equal(new Set(secrets).size, 2, 'one generated value for all nodes');

    const explained = await cluster.query(layered, ['params', 'n2', '--explain', '--run', first.id]);
    const layersOf = (param: string) =>
      explained.find(({ name }) => name === param)?.layers.map(({ layer, value }) => [layer, value]);
    t.strictSame(layersOf('text')?.slice(-2), [
      ['cluster', 'from the cluster'],
      ['node', 'only from n2'],
    ]);
    t.strictSame(layersOf('count')?.slice(-1), [['run', 4]], 'the layer that decides comes last');
    t.equal(explained.find(({ name }) => name === 'password')?.value, '(secret)');

    const word = note('word');
    secrets.push(word);
    const made = jobOf(first, 'make', 'n1').outputs;
    t.strictSame(
      { ...made, piece: String(made.piece).length },
      {
        word: '(secret)',
        number: -42,
        sure: true,
        document: { a: [1, 2.5, 'x=y'], b: null },
        lines: 'first = 1\nnumber<<2',
        piece: 60_000,
        archive: `sha256:${createHash('sha256')
          .update(readFileSync(cluster.path('notes/archive')))
          .digest('hex')}`,
      },
      'outputs by their types, the secret one hidden, the optional and the undeclared one absent',
    );
    const piece = 'p'.repeat(60_000);
    for (const node of ['n2', 'n3']) {
      const { archive, ...used } = params.parse(JSON.parse(note(`used-${node}.json`)));
      t.match(
        used,
        {
          word,
          sentence: `the word is ${word}.`,
          number: -40,
          sure: false,
          document: { a: [1, 2.5, 'x=y'], b: null },
          lines: 'first = 1\nnumber<<2',
          long: `${piece}-${piece}`,
          longer: piece.repeat(3),
        },
        `${node} got what the leader put out`,
      );
      t.match(archive, /\/archive$/, 'a file is given as a path');
      t.strictSame(
        jobOf(first, 'use', node).outputs,
        {
          digest: String(made.archive).slice('sha256:'.length),
          longLength: 120_001,
          longerInEnvironment: false,
        },
        'with the content that it had there; what no environment holds is only in the file',
      );
    }
    t.equal(jobOf(first, 'gather', 'n1').outputs.agreed, 2, 'outputs of single nodes can be read');

    const second = await run('values.yaml', ...given);
    t.equal(second.state, 'succeeded', 'run again');
    const again = params.parse(JSON.parse(note('given-n1.json')));
    t.equal(again.generated, secrets[1], 'a generated value is kept');
    t.equal(again.zone, 'north', 'a value of one run is not');
    secrets.push(note('word'));

    const told = JSON.stringify([first, second, explained, await cluster.events()]);
    const shown = await Promise.all([
      cluster.cli(['runs', 'show', second.id]),
      cluster.cli(['logs', first.id]),
      cluster.cli(['params', 'list', '-o', 'json']),
    ]);
    const places = new Map([
      ['answers of the API', told],
      ['what the command line shows', JSON.stringify(shown)],
      ['what coordinator and agents print', cluster.printed],
    ]);
    // Ended in order, and started again on the same folder: whatever is written at either moment is searched too.
    await cluster.endCoordinator('SIGTERM');
    await cluster.startCoordinator(new URL(cluster.url).host);
    await cluster.nodesReady(nodes);
    const stored = filesBelow(cluster.data);
    t.ok(stored.length > 10, `${stored.length} files in the data folder`);
    for (const file of stored) places.set(file, readFileSync(file, 'latin1'));
    for (const secret of secrets) {
      const forms = formsOf(secret).flatMap((form) => [form, Buffer.from(form).toString('latin1')]);
      const found = [...places].filter(([, text]) => forms.some((form) => text.includes(form)));
      t.strictSame(
        found.map(([place]) => place),
        [],
        'the secret is in none of them, in whatever form',
      );
    }
    const open = [...places].filter(([, text]) => text.includes('only from n2'));
    t.ok(open.length > 1, 'whereas other values are found there');
    const third = await run('values.yaml', ...given);
    t.equal(third.state, 'succeeded', 'and is not lost');
    t.equal(params.parse(JSON.parse(note('given-n3.json'))).generated, secrets[1]);
  });

  await t.test('jobs', async (t) => {
    const held = await run('jobs.yaml', '--param', `folder=${folder}`);
    t.equal(held.state, 'waiting-for-approval');
    for (const node of nodes) {
      t.equal(note(`made-${node}`), 'run\n', 'the check said "not yet"');
      t.equal(note(`verified-${node}`), 'verify\nverify\n', 'verify was tried until it passed');
    }
    t.strictSame(jobOf(held, 'iterated', 'n1').outputs, { count: 4 }, 'iterated until it was true');
    t.match(jobOf(held, 'retried', 'n1'), { state: 'succeeded', attempt: 3, exitCode: 0 });
    for (const node of ['n2', 'n3'])
      t.match(jobOf(held, 'interrupted', node), { state: 'succeeded', attempt: 2 }, 'it went again');
    t.strictSame([...jobsOf(held, 'conditional').values()].map(({ node, state }) => [node, state]).sort(), [
      ['n1', 'skipped'],
      ['n2', 'succeeded'],
      ['n3', 'skipped'],
    ]);
    t.notOk(existsSync(cluster.path('notes/conditional-n1')), 'and nothing was run there');
    t.equal(jobsOf(held, 'nowhere').size, 0, 'an empty optional role has no jobs');

    const why = await cluster.cli(['why', held.id]);
    t.match(why.stdout, 'waits for an approval of "Roll all of it?"');
    const approved = await cluster.cli(['approve', held.id, 'roll', '--reason', 'why not']);
    t.equal(approved.status, 0, approved.stderr);
    const watched = await cluster.cli(['watch', held.id, '-o', 'json']);
    t.equal(watched.status, 0, 'what failed within the budget does not fail the run');
    const run1 = runDocument.parse(JSON.parse(watched.stdout));
    t.equal(run1.state, 'succeeded');

    const span = (node: string) => ({ down: Number(note(`down-${node}`)), up: Number(note(`up-${node}`)) });
    const [n1, n2, n3] = [span('n1'), span('n2'), span('n3')];
    t.ok(n1.up < n2.down || n2.up < n1.down, 'never two racks at once: n1 and n2');
    t.ok(n3.up < n2.down || n2.up < n3.down, 'never two racks at once: n3 and n2');
    t.equal(jobOf(run1, 'up', 'n2').state, 'skipped', 'a step of a group that is not for it');

    t.strictSame(jobOf(run1, 'python', 'n1').outputs, { answer: { params: ['folder'] } });
    t.equal(jobOf(run1, 'bash', 'n1').state, 'succeeded');
    const list = await cluster.cli(['logs', run1.id, 'list', 'n1']);
    t.equal(list.stdout, 'line: wanted: that\n', 'any program can be the interpreter');
    for (const node of nodes)
      t.equal(note(`collected-${node}`), 'one\ntwo\nthree\n./collect.sh\n', 'files came with their modes');

    const daemon = Number(note('daemon'));
    t.ok(isAlive(daemon), 'a daemon lives on');
    process.kill(daemon, 'SIGKILL');
    const left = [...note('leftover').split('\n'), ...note('timed').split('\n')].filter(Boolean).map(Number);
    t.equal(left.length, 3);
    t.strictSame(left.filter(isAlive), [], 'what other jobs leave behind is ended with them');
    const services = await cluster.query(z.array(z.looseObject({ service: z.string() })), ['services']);
    const address = '127.0.0.1';
    t.match(services, [
      { service: 'sleeper', node: 'n1', address, port: 4711, run: run1.id, step: 'daemon' },
    ]);
    const found = await cluster.cli(['logs', run1.id, 'leftover', 'n1']);
    t.equal(found.stdout, `found ${address}:4711\n`, 'others find the service');

    const timed = jobOf(run1, 'timed', 'n1');
    t.match(timed, { state: 'failed', outcome: 'timed-out', reason: 'not done within 0.7 s' });
    const printed = await cluster.cli(['logs', run1.id, 'timed', 'n1']);
    t.equal(printed.stdout, 'about to hang\n', 'what it said until then is kept');
  });

  await t.test('checks', async (t) => {
    const services = () => cluster.query(z.array(z.looseObject({ run: z.string() })), ['services']);
    const before = await services();
    const args = ['--check', '--limit', 'n[1-2]', '--param', `folder=${folder}`];
    const checked = await run('jobs.yaml', ...args);
    t.equal(checked.state, 'succeeded', 'nothing is asked of anybody when nothing is changed');
    t.strictSame([...new Set(checked.jobs.map(({ node }) => node))].sort(), ['n1', 'n2'], '--limit');
    t.match(jobOf(checked, 'checked', 'n2'), { state: 'succeeded', unchanged: true, exitCode: 0 });
    t.equal(note('made-n2'), 'run\n', 'nothing was run');
    t.match(
      jobOf(checked, 'python', 'n1'),
      { unchanged: false, exitCode: null },
      'without a check: it would',
    );

    t.strictSame(await services(), before, 'no service is provided by looking');
    const blind = await run('values.yaml', '--check', '--param', `folder=${folder}`);
    t.equal(blind.state, 'succeeded');
    const reason = /^cannot be checked before it is run: with\./;
    t.match(jobOf(blind, 'use', 'n2'), { state: 'skipped', reason }, 'what needs outputs cannot be told');
  });

  await t.test('working for another node', async (t) => {
    const file = cluster.write(
      'for-others.yaml',
      `kind: pipeline
name: for-others
roles:
  ctl: { select: 'name == "n1"' }
  others: { select: 'labels.use == "language"', except: [ctl] }
steps:
  - id: drain
    on: others
    runOn: ctl.leader
    with: { both: '\${{ node.name + " for " + target.name }}' }
    outputs: { said: string }
    run: |
      echo "$LOCKSTEP_NODE drains $LOCKSTEP_TARGET at $LOCKSTEP_TARGET_ADDRESS"
      echo "said=$PARAM_BOTH" >>"$LOCKSTEP_OUTPUT"
  - { id: own, on: others, run: 'echo "$LOCKSTEP_NODE itself, not for $LOCKSTEP_TARGET."' }
`,
    );
    const done = await cluster.run(file);
    t.equal(done.state, 'succeeded');
    for (const node of ['n2', 'n3']) {
      t.match(jobOf(done, 'drain', node), { executor: 'n1', outputs: { said: `n1 for ${node}` } });
      t.match(jobOf(done, 'own', node), { executor: null });
      const drained = await cluster.cli(['logs', done.id, 'drain', node]);
      t.equal(drained.stdout, `n1 drains ${node} at 127.0.0.1\n`, 'the log is that of the node it was for');
      const own = await cluster.cli(['logs', done.id, 'own', node]);
      t.equal(own.stdout, `${node} itself, not for .\n`);
    }
  });

  await t.test('once for a whole role', async (t) => {
    const file = cluster.write(
      'site.yaml',
      `kind: pipeline
name: site
roles:
  ctl: { select: 'name == "n1"' }
  hosts: { select: 'labels.use == "language"', except: [ctl] }
steps:
  - id: site
    on: hosts
    scope: role
    runOn: ctl.leader
    with: { inventory: '\${{ targets.map(t, t.name + " " + t.address).join(",") }}' }
    run: 'echo "$LOCKSTEP_NODE: $LOCKSTEP_TARGETS: $PARAM_INVENTORY"'
  - { id: led, on: hosts, scope: role, run: 'echo "$LOCKSTEP_NODE of $LOCKSTEP_TARGETS, not $LOCKSTEP_TARGET."' }
`,
    );
    const done = await cluster.run(file);
    t.equal(done.state, 'succeeded');
    t.strictSame(done.jobs.map(({ step, node }) => `${step} ${node}`).sort(), ['led n2', 'site n1']);
    const site = await cluster.cli(['logs', done.id, 'site']);
    t.equal(site.stdout, 'site n1 │ n1: n2 n3: n2 127.0.0.1,n3 127.0.0.1\n');
    const led = await cluster.cli(['logs', done.id, 'led']);
    t.equal(led.stdout, 'led n2 │ n2 of n2 n3, not .\n');
  });

  await t.test('steps that are run at the end of a run that has failed', async (t) => {
    const file = cluster.write(
      'end.yaml',
      `kind: pipeline
name: end
roles: { all: { select: 'labels.use == "language"' } }
steps:
  - { id: work, on: all, run: 'test "$LOCKSTEP_NODE" != n2' }
  - { id: never, on: all, run: 'true' }
finally:
  - { id: tidy, on: all, rerun: idempotent, run: 'echo "$LOCKSTEP_OUTCOME: $LOCKSTEP_REASON"; test "$LOCKSTEP_NODE" != n3' }
  - { id: tell, on: all.leader, if: 'outcome == "failed"', with: { how: '\${{ outcome }}' }, run: 'echo "it has $PARAM_HOW"' }
`,
    );
    const plan = await cluster.cli(['plan', file]);
    t.match(plan.stdout, /tidy +n\[1-3\] +the end of the run, whatever it is/);
    const done = await cluster.run(file);
    const reason = 'work failed on n2; none may fail in work';
    t.match(done, { state: 'failed', reason });
    t.match(jobOf(done, 'never', 'n1'), { state: 'cancelled' });
    for (const node of ['n1', 'n2', 'n3']) {
      const said = await cluster.cli(['logs', done.id, 'tidy', node]);
      t.equal(said.stdout, `failed: ${reason}\n`, node);
    }
    t.match(jobOf(done, 'tidy', 'n3'), { state: 'failed' }, 'which changes nothing');
    const told = await cluster.cli(['logs', done.id, 'tell']);
    t.match(told.stdout, 'it has failed');
  });

  await t.test('what is done after a failure, and after each end, on its node', async (t) => {
    const file = cluster.write(
      'rescue.yaml',
      `kind: pipeline
name: rescue
params: { word: { type: string, secret: true, default: much-too-secret } }
roles: { all: { select: 'labels.use == "language"' } }
steps:
  - id: deploy
    on: all
    strategy: { parallel: { maxFailed: 1 } }
    group:
      - { id: stop, run: 'true' }
      - id: change
        with: { word: '\${{ params.word }}' }
        run: |
          echo "changing $LOCKSTEP_NODE with $PARAM_WORD"
          test "$LOCKSTEP_NODE" != n2 || { echo "no room" >&2; exit 7; }
    rescue:
      - id: page
        with: { what: '\${{ failure.step + " on " + failure.node }}' }
        run: |
          echo "$PARAM_WHAT ended with $LOCKSTEP_FAILURE_EXIT ($LOCKSTEP_FAILURE_STEP, $LOCKSTEP_FAILURE_NODE):"
          echo "$LOCKSTEP_FAILURE_LOG_TAIL"
          exit 1
    always:
      - { id: start, run: 'echo "after it has $LOCKSTEP_OUTCOME"' }
      - { id: note, if: failed(), run: 'echo "$LOCKSTEP_REASON"' }
  - { id: next, on: all, run: 'true' }
`,
    );
    const plan = await cluster.cli(['plan', file]);
    t.match(plan.stdout, /page +n\[1-3\] +a failure of deploy on the same node/);
    t.match(plan.stdout, /start +n\[1-3\] .*the end of deploy on the same node, whatever it is/);
    const done = await cluster.run(file);
    t.match(done, { state: 'succeeded' }, 'one may fail');
    t.match(jobOf(done, 'change', 'n2'), { state: 'failed', exitCode: 7 }, 'and has, whatever came after it');
    t.match(jobOf(done, 'next', 'n2'), { state: 'cancelled' });
    t.match(jobOf(done, 'page', 'n1'), { state: 'skipped', reason: 'nothing failed on its node' });
    t.match(jobOf(done, 'page', 'n2'), { state: 'failed' }, 'which stops nothing');
    const page = await cluster.cli(['logs', done.id, 'page', 'n2']);
    t.match(page.stdout, 'change on n2 ended with 7 (change, n2):\n');
    t.match(page.stdout, 'changing n2 with ***\n', 'without what is secret');
    t.match(page.stdout, 'no room\n');
    for (const [node, outcome] of [
      ['n1', 'succeeded'],
      ['n2', 'failed'],
    ] as const) {
      const started = await cluster.cli(['logs', done.id, 'start', node]);
      t.equal(started.stdout, `after it has ${outcome}\n`, node);
    }
    t.match(jobOf(done, 'note', 'n1'), { state: 'skipped', reason: 'if: failed()' });
    t.match(jobOf(done, 'note', 'n2'), { state: 'succeeded' });
  });

  await t.test('a decision after an interruption', async (t) => {
    const file = cluster.write(
      'once.yaml',
      `kind: pipeline
name: once
roles: { all: { select: 'name == "n2"' } }
steps:
  - { id: fragile, on: all, run: 'kill -9 "$PPID"; sleep 100' }
  - { id: after, on: all, run: 'true' }
`,
    );
    const watched = await cluster.cli(['run', file, '--watch']);
    t.equal(watched.status, 4, 'held for a decision');
    const [, job = ''] = /(r\d+\/fragile\/n2)/.exec(watched.stdout) ?? [];
    t.match(watched.stdout, `lockstep resume ${job} --as succeeded|failed|again --reason`);
    const why = await cluster.cli(['why', job]);
    t.match(why.stdout, `${job} is held: `);
    const resumed = await cluster.cli(['resume', job, '--as', 'succeeded', '--reason', 'it was done']);
    t.equal(resumed.status, 0, resumed.stderr);
    const [id = ''] = job.split('/');
    await eventually('the run to end', async () => {
      const shown = await cluster.query(runDocument, ['runs', 'show', id]);
      return shown.state === 'succeeded' ? shown : undefined;
    });
  });
});
