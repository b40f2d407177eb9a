/** Jobs on the real agent, from the grant to the result, with real processes and a real websocket. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { limits } from '../../shared/limits.ts';
import type { JobSpecification } from '../../shared/messages.ts';
import { jobOf, scriptOf } from './coordinator-double.ts';
import { Host, residentKilobytes } from './host.ts';

const host = await Host.make(t);
const { coordinator } = host;
const agent = await host.startAndPull();

let count = 0;
/** Runs one job alone and gives its result. */
async function perform(text: string, more: Partial<JobSpecification> = {}) {
  count += 1;
  const attempt = `r1/s${count}/n1#1`;
  coordinator.grant(jobOf(attempt, text, more));
  const result = await coordinator.result(attempt);
  return { attempt, result };
}

const output = (type: 'string' | 'int' | 'json' | 'file', optional = false) => ({
  type,
  secret: false,
  optional,
});

t.test('what a script finds', async (t) => {
  const content = Buffer.from('#!/bin/sh\necho from the bundle\n');
  const digest = `sha256:${createHash('sha256').update(content).digest('hex')}`;
  const manifest = Buffer.from(
    JSON.stringify({ files: [{ path: 'bin/tool.sh', digest, sizeBytes: content.length, executable: true }] }),
  );
  const bundle = `sha256:${createHash('sha256').update(manifest).digest('hex')}`;
  const long = Buffer.from(JSON.stringify({ long: 'x'.repeat(200_000) }));
  const longDigest = `sha256:${createHash('sha256').update(long).digest('hex')}`;
  for (const [key, value] of [
    [digest, content],
    [bundle, manifest],
    [longDigest, long],
  ] as const) {
    coordinator.blobs.set(key, value);
  }
  const text = `
    env | sort | grep -v '^PWD\\|^_\\|^SHLVL'
    ./bin/tool.sh
    basename "$PARAM_CONF"; head -c 9 "$PARAM_CONF"
    pwd; ls; umask; cat; stat -c %a "$LOCKSTEP_PARAMS" "$LOCKSTEP_OUTPUT"
    cut -d/ -f1 "$LOCKSTEP_PARAMS"
    echo beside > bin/beside
  `;
  const { attempt, result } = await perform(text, {
    bundle,
    inputs: {
      name: { value: 'a b' },
      list: { value: [1, 2] },
      conf: { file: digest, name: '/etc/x/app.conf' },
      long: { blob: longDigest },
    },
    environment: { LOCKSTEP_STEP: 'build', LOCKSTEP_ATTEMPT: 'forged' },
  });
  t.match(result, { outcome: 'succeeded', exitCode: 0, phase: 'run', iterations: 1, final: true });
  const folder = path.join(host.state, 'attempts', attempt.replaceAll(/[/#]/g, '_'));
  const log = (await coordinator.log(attempt)).toString();
  const variables = log.split('\n').filter((line) => /^[A-Z_]+=/.test(line));
  t.same(
    variables.map((line) => line.slice(0, line.indexOf('='))),
    [
      'HOME',
      'LANG',
      'LOCKSTEP_ATTEMPT',
      'LOCKSTEP_NODE',
      'LOCKSTEP_OUTPUT',
      'LOCKSTEP_PARAMS',
      'LOCKSTEP_PARTS',
      'LOCKSTEP_STEP',
      'LOGNAME',
      'PARAM_CONF',
      'PARAM_LIST',
      'PARAM_NAME',
      'PATH',
      'SHELL',
      'TERM',
      'USER',
    ],
    'nothing of the agent, and not what is too long',
  );
  t.match(log, `LOCKSTEP_ATTEMPT=${attempt}\n`);
  t.match(log, 'PARAM_LIST=[1,2]\nPARAM_NAME=a b\n');
  t.match(
    log,
    `from the bundle\napp.conf\n#!/bin/sh${folder}/work\nbin\n0022\n600\n600\n{"name":"a b","list":[1,2],"conf":"\n`,
  );
});

t.test('outputs, typed and as files', async (t) => {
  const text =
    'echo hello > report; printf "n=42\\nj<<E\\n[1]\\nE\\nf=report\\nunknown=x\\n" >> "$LOCKSTEP_OUTPUT"';
  const outputs = { n: output('int'), j: output('json'), f: output('file'), absent: output('string', true) };
  const { result } = await perform(text, { outputs });
  const digest = `sha256:${createHash('sha256').update('hello\n').digest('hex')}`;
  t.same(result.outputs, { n: 42, j: [1], f: digest });
  t.equal(coordinator.blobs.get(digest)?.toString(), 'hello\n', 'there before the result');

  t.match((await perform('echo f=none >> "$LOCKSTEP_OUTPUT"', { outputs: { f: output('file') } })).result, {
    outcome: 'failed',
    reason: 'cannot take the file of output f: ENOENT',
    outputs: {},
  });
  t.match(
    (await perform('printf "n=4\\nrubbish\\n" >> "$LOCKSTEP_OUTPUT"', { outputs: { n: output('int') } }))
      .result,
    {
      outcome: 'failed',
      reason: /line 2 is neither/,
    },
  );
  t.match((await perform('head -c 600000 /dev/zero >> "$LOCKSTEP_OUTPUT"', { outputs: {} })).result, {
    outcome: 'failed',
    reason: /more than 524288 bytes were written/,
  });
});

t.test('ends that are not success', async (t) => {
  t.match((await perform('exit 3')).result, { outcome: 'failed', exitCode: 3, signal: null });
  t.match((await perform('kill -SEGV $$')).result, { outcome: 'failed', exitCode: 139, signal: 'SIGSEGV' });
  const missing = { shell: ['no-such-interpreter'], source: { text: 'x' } };
  t.match((await perform('', { run: missing })).result, {
    outcome: 'failed',
    phase: 'none',
    reason: /the interpreter "no-such-interpreter" is not on this node/,
  });
  t.match((await perform(':', { inputs: { port: { value: 1 }, PORT: { value: 2 } } })).result, {
    outcome: 'failed',
    reason: /inputs port and PORT would both be PARAM_PORT/,
  });
  t.match((await perform(':', { bundle: `sha256:${'0'.repeat(64)}` })).result, {
    outcome: 'failed',
    reason: /cannot prepare the job: cannot fetch sha256:0+: the coordinator answered HTTP 404/,
  });
  t.match((await perform('sleep 60', { timeoutMs: 200 })).result, {
    outcome: 'timed-out',
    exitCode: 143,
    reason: 'not done within 0.2 s',
  });
});

t.test('check, until, verify and retries', async (t) => {
  t.match((await perform('exit 9', { check: scriptOf('exit 0') })).result, {
    outcome: 'succeeded',
    unchanged: true,
    phase: 'check',
    iterations: 0,
  });
  const until = { expression: 'outputs.n == params.want && iteration == 3', everyMs: 20 };
  const iterated = await perform(
    'echo x >> tries; echo "n=$(wc -l < tries)" >> "$LOCKSTEP_OUTPUT"; echo "try $(wc -l < tries)"',
    {
      until,
      inputs: { want: { value: 3 } },
      outputs: { n: output('int') },
    },
  );
  t.match(iterated.result, { outcome: 'succeeded', iterations: 3, outputs: { n: 3 } });
  t.equal(
    (await coordinator.log(iterated.attempt)).toString(),
    'try 1\ntry 2\ntry 3\n',
    'one log of all executions',
  );
  const verify = {
    script: scriptOf('[ -e tried ] || { touch tried; exit 1; }'),
    everyMs: 20,
    timeoutMs: 10_000,
  };
  t.match((await perform(':', { verify })).result, { outcome: 'succeeded', phase: 'verify' });

  count += 1;
  const job = `r1/s${count}/n1`;
  coordinator.grant(
    jobOf(`${job}#1`, `echo x >> ${host.state}/retried; [ $(wc -l < ${host.state}/retried) = 3 ]`, {
      attemptsMax: 5,
      backoffMs: 10,
    }),
  );
  const outcomes = [];
  for (const n of [1, 2, 3]) {
    const { outcome, final } = await coordinator.result(`${job}#${n}`);
    outcomes.push([outcome, final]);
  }
  t.same(outcomes, [
    ['failed', false],
    ['failed', false],
    ['succeeded', true],
  ]);
});

t.test('cancel ends what runs', async (t) => {
  count += 1;
  const attempt = `r1/s${count}/n1#1`;
  coordinator.grant(jobOf(attempt, 'sleep 60'));
  await coordinator.until('started', () =>
    coordinator.ofType('started').some((one) => one.attempt === attempt),
  );
  coordinator.send({ type: 'cancel', attempt, reason: 'changed my mind' });
  t.match(await coordinator.result(attempt), { outcome: 'cancelled', reason: 'changed my mind' });
});

t.test('a segment of jobs, one after the other', async (t) => {
  const file = path.join(host.state, 'order');
  const jobs = [1, 2, 3].map((n) =>
    jobOf(`r2/s${n}/n1#1`, `echo ${n} >> ${file}; sleep 0.05; echo ${n} >> ${file}`),
  );
  const pulls = coordinator.ofType('pull').length;
  coordinator.grant(...jobs);
  await coordinator.pull(pulls + 1);
  t.equal(readFileSync(file, 'utf8').replaceAll('\n', ''), '112233');
  t.equal(coordinator.ofType('pull').length, pulls + 1, 'work is asked for when it is all done');
});

t.test('binary output arrives byte for byte, on both streams', async (t) => {
  const { attempt } = await perform(
    'i=0; while [ $i -lt 256 ]; do printf "\\\\$(printf %o $i)"; printf "\\\\$(printf %o $i)" >&2; i=$((i+1)); done',
  );
  const every = Buffer.from(Array.from({ length: 256 }, (_, n) => n));
  t.ok((await coordinator.log(attempt)).equals(every));
  t.ok((await coordinator.log(attempt, 'stderr')).equals(every));
});

t.test('logs come while the job runs', async (t) => {
  count += 1;
  const attempt = `r1/s${count}/n1#1`;
  const go = path.join(host.state, 'go');
  coordinator.grant(jobOf(attempt, `echo early; while ! [ -e ${go} ]; do sleep 0.05; done`));
  await coordinator.until('the log', () => coordinator.logs.get(`${attempt} stdout`)?.length === 6);
  t.equal(
    coordinator.ofType('result').find((one) => one.result.attempt === attempt),
    undefined,
  );
  coordinator.send({ type: 'cancel', attempt, reason: 'seen' });
  await coordinator.result(attempt);
});

t.test('100 MB of output: head and tail arrive, disk and memory stay bounded', async (t) => {
  count += 1;
  const attempt = `r1/s${count}/n1#1`;
  const lines = 5_000_000;
  coordinator.grant(jobOf(attempt, `seq -f "line %015.0f" 1 ${lines}; echo the end`));
  const file = path.join(host.state, 'attempts', attempt.replaceAll(/[/#]/g, '_'), 'stdout');
  let largest = 0;
  let resident = 0;
  const isDone = () => coordinator.ofType('result').some((one) => one.result.attempt === attempt);
  while (!isDone()) {
    if (existsSync(file)) largest = Math.max(largest, readFileSync(file).length);
    resident = Math.max(resident, residentKilobytes(agent.pid));
    await sleep(50);
  }
  const { logs } = await coordinator.result(attempt);
  const printed = lines * 21 + 8;
  t.ok(largest < printed / 2, `at most ${largest} of ${printed} bytes were on disk`);
  t.ok(resident < 400_000, `${resident} kB resident`);
  t.ok(logs.stdout <= printed + 2, 'a gap never counts more than is missing, but for the doubt at a cut');
  const log = (await coordinator.log(attempt)).toString();
  const head = limits.attemptLogBytesMax - limits.attemptLogTailBytes;
  t.match(log.slice(head - 30, head + 40), /\[[0-9]+ cut\]/);
  // The last cut may have come after the last line: then nothing proves that it was the last one.
  t.match(log.slice(-60), /line 000000005000000\nthe end\n(\[1 cut\])?$/);
});

t.test('nothing is left on disk of attempts that were acknowledged', async (t) => {
  await coordinator.until('the last log', () => readdirSync(path.join(host.state, 'attempts')).length === 0);
  t.same(readdirSync(path.join(host.state, 'attempts')), []);
  t.same(
    readdirSync(path.join(host.state, 'outputs')).filter((name) => name !== 'incoming'),
    [],
  );
});
