/**
 * The operator's command line against a real coordinator and real agents: what it prints, the documents that
 * it gives to programs, and how it exits. Modules are here too, because they come from the operator's disk.
 */
import { cpSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import * as z from 'zod';
import { projectRoot } from './hosts.ts';
import {
  isAlive,
  jobOf,
  jobsOf,
  journalEvent,
  LocalCluster,
  processesIn,
  runDocument,
} from './local-cluster.ts';
import { eventually } from './processes.ts';

/** Words of section 8 of the design. */
const nodeDocument = z.looseObject({
  name: z.string(),
  state: z.enum(['ready', 'busy']),
  labels: z.record(z.string(), z.string()),
  platform: z.string().nullable(),
  facts: z.looseObject({ memory: z.looseObject({ totalBytes: z.int().positive() }) }),
});
const runListed = runDocument.omit({ jobs: true });
const explanation = z.looseObject({
  job: z.string(),
  node: z.string(),
  gate: z.string(),
  sentence: z.string(),
  since: z.iso.datetime(),
});
const planDocument = z.looseObject({
  pipeline: z.string(),
  downMax: z.int(),
  units: z.array(z.looseObject({ id: z.string(), downMax: z.int() })),
  faults: z.array(z.string()),
});
const answer = z.looseObject({ node: z.string(), exitCode: z.int(), stdout: z.string(), stderr: z.string() });
const logChunk = z.looseObject({
  attempt: z.string(),
  stream: z.string(),
  offset: z.int(),
  text: z.string(),
});

const sleeper = (on: string) => `kind: pipeline
name: sleeper
roles: { all: { select: '${on}' } }
steps:
  - id: sleep
    on: all
    run: |
      echo "sleeping on $LOCKSTEP_NODE"
      echo $$ >&2
      trap '' TERM
      setsid sleep 1000 &
      while :; do sleep 0.1; done
    timeout: 5m
  - { id: never, on: all, run: 'true' }
`;

const single = (body: string) => `kind: pipeline
name: single
roles: { all: { select: labels.use == "language" } }
steps: [{ id: step, on: all, ${body} }]
`;

/** One of its nodes is away. */
const patient = `kind: pipeline
name: patient
roles: { all: { select: labels.use == "nothing" } }
steps:
  - { id: skipping, on: all, run: echo here, offline: skip, strategy: { parallel: { maxUnreachable: 1 } } }
  - { id: after, on: all, run: echo after, offline: skip, strategy: { parallel: { maxUnreachable: 1 } } }
`;

t.test('operating three nodes', { timeout: 120_000 }, async (t) => {
  const cluster = await LocalCluster.start(t, {
    n1: { use: 'language', rack: 'a' },
    n2: { use: 'language', rack: 'b' },
    n3: { use: 'language', rack: 'a' },
    w1: { use: 'nothing' },
    w2: { use: 'nothing' },
  });
  // A node that went away counts as unreachable after a minute. What is to be seen then comes last here.
  await cluster.endAgent('w2', 'SIGTERM');
  const begun = await cluster.cli(['run', cluster.write('patient.yaml', patient)]);
  t.match(begun.stdout, /^r1 is /, begun.stderr);

  await t.test('modules', async (t) => {
    const folder = cluster.path('pipelines');
    cpSync(join(projectRoot, 'test/end-to-end/language'), folder, { recursive: true });
    const file = join(folder, 'greet.yaml');
    const first = await cluster.run(file);
    t.equal(first.state, 'succeeded', first.reason ?? '');
    const greetingsOf = (step: string) => [...jobsOf(first, step).values()].map(({ outputs }) => outputs);
    t.strictSame(
      greetingsOf('plain'),
      ['n1', 'n2', 'n3'].map((name) => ({ greeting: `hello ${name};hello ${name};` })),
    );
    t.strictSame(
      greetingsOf('fitting'),
      [{ greeting: 'hello a;hello a;' }, { greeting: 'HEY b', volume: 11 }, { greeting: 'hello a;hello a;' }],
      'the first alternative that fits the node',
    );

    const cached = () =>
      readdirSync(join(cluster.stateOf('n1'), 'cache'), { recursive: true, encoding: 'utf8' })
        .sort()
        .map((name) => `${name} ${statSync(join(cluster.stateOf('n1'), 'cache', name)).ino}`);
    const before = cached();
    t.ok(
      before.some((name) => name.includes('tools/repeat')),
      'the files of the module are on the node',
    );
    t.equal((await cluster.run(file)).state, 'succeeded');
    t.strictSame(cached(), before, 'they are fetched once');

    const script = join(folder, 'modules/greeter/greet.sh');
    writeFileSync(script, `${readFileSync(script, 'utf8')}# changed\n`);
    const { length } = await cluster.events();
    const refused = await cluster.cli(['run', file]);
    t.equal(refused.status, 2);
    t.match(
      refused.stderr,
      /^lockstep: module greeter@1\.0\.0 is known with other content \(sha256:[0-9a-f]{64}\): give the changed module a new version$/m,
    );
    t.equal((await cluster.events()).length, length, 'nothing was begun');
    for (const name of ['greet.yaml', 'modules/greeter/module.yaml']) {
      const text = readFileSync(join(folder, name), 'utf8');
      writeFileSync(join(folder, name), text.replaceAll('1.0.0', '1.0.1'));
    }
    t.equal((await cluster.run(file)).state, 'succeeded', 'a new version may differ');
  });

  await t.test('exec', async (t) => {
    const script = 'echo same; test $LOCKSTEP_NODE != n2 || { echo other >&2; exit 3; }';
    const told = await cluster.cli(['exec', 'n[1-3]', '--', script]);
    t.equal(told.status, 1, 'it was not done everywhere');
    t.equal(told.stdout, 'n1,n3 (2 nodes) exit 0:\nsame\n\nn2 (1 node) exit 3:\nsame\nother\n');
    const words = [
      'exec',
      'labels.rack == "a"',
      '--parallel',
      '1',
      '-o',
      'json',
      '--',
      'printf',
      '%s|',
      'a b',
      "it's",
    ];
    const given = await cluster.cli(words);
    t.equal(given.status, 0, given.stderr);
    t.match(z.array(answer).parse(JSON.parse(given.stdout)), [
      { node: 'n1', exitCode: 0, stdout: "a b|it's|", stderr: '', step: 'exec', state: 'succeeded' },
      { node: 'n3', stdout: "a b|it's|" },
    ]);
    const nobody = await cluster.cli(['exec', 'labels.rack == "z"', '--', 'true']);
    t.equal(nobody.status, 2);
    t.match(nobody.stderr, 'no node fits `labels.rack == "z"`: n1, n2, n3 (it is false); ');
  });

  await t.test('a job that would not end', async (t) => {
    const created = await cluster.cli(['run', cluster.write('sleeper.yaml', sleeper('labels.rack == "a"'))]);
    const [, id = ''] = /^(r\d+) is /.exec(created.stdout) ?? [];
    t.equal(created.status, 0, created.stderr);
    const following = cluster.cliStarted(['logs', id, '-f']);
    await following.printed(/^sleep n1 │ sleeping on n1$/m);
    await following.printed(/^sleep n3 │ sleeping on n3$/m);
    const watching = cluster.cliStarted(['watch', id]);
    await watching.printed(/sleep n1 started/);

    const queued = await cluster.cli(['run', cluster.write('quick.yaml', single("run: 'true'"))]);
    const [, next = ''] = /^(r\d+) is queued/.exec(queued.stdout) ?? [];
    const why = await cluster.cli(['why', id]);
    t.match(why.stdout, `${id}/sleep/n1 is running on n1, attempt 1`);
    t.match(
      why.stdout,
      `${id}/never/n1 waits for sleep to finish on every node; open are n1 (running), n3 (running)`,
    );
    const waiting = z.array(explanation).parse(await cluster.query(z.unknown(), ['why', next]));
    t.match(
      waiting.find(({ node }) => node === 'n1'),
      { gate: 'queue', sentence: `${next}/step/n1 waits for run ${id} (sleeper, running), which has n1` },
    );
    const ofNode = await cluster.cli(['why', 'n3']);
    t.match(ofNode.stdout, `${id}/sleep/n3 is running on n3`);

    const mark = `LOCKSTEP_ATTEMPT=${id}/sleep/n1#1`;
    t.ok(processesIn(mark).length >= 2, 'it has processes');
    const cancelled = await cluster.cli(['cancel', id, '--reason', 'wrong rack']);
    t.equal(cancelled.status, 0, cancelled.stderr);
    t.match(cancelled.stdout, `${id} sleeper is cancelling: wrong rack`);
    await watching.printed(/was cancelled after .*wrong rack/);
    await eventually('watch to end', async () => watching.child.exitCode ?? undefined);
    t.equal(watching.child.exitCode, 1, 'whoever watched is told by the exit code');
    await eventually('logs to end', async () => following.child.exitCode ?? undefined);
    t.equal(following.child.exitCode, 0);
    t.strictSame(processesIn(mark).filter(isAlive), [], 'nothing is left of it, although it ignored TERM');
    const run = await cluster.query(runDocument, ['runs', 'show', id]);
    t.match(jobOf(run, 'sleep', 'n1'), { state: 'cancelled', outcome: 'cancelled' });
    t.match(jobOf(run, 'never', 'n1'), { state: 'cancelled', attempt: 0, startedAt: null });
    const after = await cluster.cli(['watch', next]);
    t.equal(after.status, 0, 'the run that waited has its turn');
  });

  await t.test('events', async (t) => {
    const all = await cluster.events();
    t.strictSame(
      all.map(({ seq }) => seq),
      all.map((_, index) => index + 1),
      'the sequence has no gap',
    );
    const middle = Math.floor(all.length / 2);
    const rest = await cluster.cli(['events', '--since', String(middle), '-o', 'jsonl']);
    const lines = rest.stdout
      .trimEnd()
      .split('\n')
      .map((line) => journalEvent.parse(JSON.parse(line)));
    t.strictSame(lines, all.slice(middle), 'it begins after the seq');
    const plain = await cluster.cli(['events', '--run', 'r2']);
    t.match(plain.stdout, /^ *\d+ {2}\d\d:\d\d:\d\d {2}RunEnded {2}run=r2 state=succeeded/m);
    t.notMatch(plain.stdout, /run=r[^2]/);

    const following = cluster.cliStarted(['events', '-f', '--since', String(all.length), '-o', 'jsonl']);
    await cluster.cli(['node', 'label', 'n3', 'colour=green']);
    await following.printed(/"type":"NodeLabelled".*"colour":"green"/);
    following.child.kill('SIGINT');
    await eventually('events to end', async () => following.child.exitCode ?? undefined);
    t.equal(following.child.exitCode, 130);
    const late = await cluster.cli(['events', '--since', String(all.length + 1000)]);
    t.equal(late.status, 2);
  });

  await t.test('documents', async (t) => {
    const nodes = await cluster.query(z.array(nodeDocument), ['nodes', '--where', 'n[1-3]']);
    t.strictSame(
      nodes.map(({ name }) => name),
      ['n1', 'n2', 'n3'],
    );
    t.match(nodes[2]?.labels, { use: 'language', rack: 'a', colour: 'green' });
    t.equal((await cluster.query(z.array(nodeDocument), ['nodes', '--where', 'n[1-2]'])).length, 2);
    t.equal((await cluster.query(nodeDocument, ['node', 'show', 'n1'])).name, 'n1');
    const runs = await cluster.query(z.array(runListed), ['runs', '-n', '3']);
    t.equal(runs.length, 3);
    const [newest] = runs;
    const run = await cluster.query(runDocument, ['runs', 'show', newest?.id ?? '']);
    t.match(run, { pipeline: newest?.pipeline, seq: newest?.seq });
    const file = cluster.path('single.yaml');
    cluster.write('single.yaml', single("run: 'true', strategy: { rolling: { maxUnavailable: 2 } }"));
    t.match(await cluster.query(planDocument, ['plan', file]), {
      pipeline: 'single',
      downMax: 2,
      units: [{ id: 'step', downMax: 2 }],
      faults: [],
    });
    const chunks = await cluster.query(z.array(logChunk), ['logs', runs.at(-1)?.id ?? '']);
    t.ok(chunks.every(({ stream }) => stream === 'stdout' || stream === 'stderr'));
    const tokens = await cluster.query(z.array(z.looseObject({ id: z.string(), kind: z.string() })), [
      'token',
      'list',
    ]);
    t.ok(tokens.some(({ kind }) => kind === 'join'));
  });

  await t.test('a node that is away', async (t) => {
    const watched = await cluster.cli(['watch', 'r1', '-o', 'json']);
    t.equal(watched.status, 0, watched.stderr);
    const run = runDocument.parse(JSON.parse(watched.stdout));
    t.match(jobOf(run, 'skipping', 'w2'), {
      state: 'skipped',
      reason: 'the node is unreachable',
      attempt: 0,
    });
    t.equal(jobOf(run, 'after', 'w1').state, 'succeeded', 'nobody waits for it for ever');
    const gone = await cluster.query(z.looseObject({ state: z.string() }), ['node', 'show', 'w2']);
    t.equal(gone.state, 'unreachable');
  });

  await t.test('exit codes', async (t) => {
    const run = (body: string, ...args: string[]) =>
      cluster.cli(['run', cluster.write('single.yaml', single(body)), ...args]);
    t.equal((await run("run: 'true'", '--watch')).status, 0);
    const failed = await run('run: echo because; exit 9', '--watch');
    t.equal(failed.status, 1);
    t.match(failed.stdout, /step n1 failed .*run exited with 9/);
    t.match(failed.stdout, /^ {4}\| because$/m, 'with what it wrote');
    t.match(failed.stdout, /single failed after .*: step failed on n\d; none may fail in step/);
    const invalid = await run("run: 'true', tiemout: 5m");
    t.equal(invalid.status, 2);
    t.match(invalid.stderr, 'error: step step has no "tiemout" (did you mean "timeout"?)');
    t.equal((await cluster.cli(['frobnicate'])).status, 2);
    t.equal((await cluster.cli(['runs', 'show', 'r999'])).status, 2);
    const asks = await run("run: 'true', approve: Really?", '--watch');
    t.equal(asks.status, 4, 'held for a decision');
    const [, id = ''] = /(r\d+) single waits for approval/.exec(asks.stdout) ?? [];
    const rejected = await cluster.cli(['reject', id, '--reason', 'not now']);
    t.equal(rejected.status, 0, rejected.stderr);
    t.equal((await cluster.cli(['watch', id])).status, 1);

    await cluster.endCoordinator('SIGTERM');
    const away = await cluster.cli(['runs']);
    t.equal(away.status, 3, 'the coordinator cannot be reached');
    t.match(away.stderr, 'start it again with `lockstep coordinator --data');
  });
});
