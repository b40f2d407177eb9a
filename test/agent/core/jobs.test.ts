/** The life of jobs in the core: begun, executed, ended, retried, cancelled, and taken up after a restart. */
import t from 'tap';
import { jobOf, scriptOf } from '../coordinator-double.ts';
import { CoreDriver } from './driver.ts';

const a1 = 'r1/s/n1#1';
const a2 = 'r1/s/n1#2';
const b1 = 'r1/t/n1#1';

const joined = (): CoreDriver => {
  const core = new CoreDriver();
  core.join();
  return core;
};
const lastResult = (core: CoreDriver) => core.state.ledger.ended.at(-1)?.result;

t.test('a job from grant to acknowledgement', async (t) => {
  const core = new CoreDriver();
  t.same(
    core.message({ type: 'challenge', protocol: 1, protocolMin: 1, lineage: 'L', epoch: 3, nonce: '' }),
    ['greet 5'],
  );
  t.same(core.state.identity, {
    incarnation: 'incarnation',
    counter: 5,
    epochs: [{ lineage: 'L', epoch: 3 }],
  });
  t.match(core.message({ type: 'welcome', node: 'n1', heartbeatMs: 9, factsWanted: true }), [
    /joined/,
    'send-facts',
    'resume-logs',
    'pull',
  ]);
  t.same(core.message({ type: 'grant', lineage: 'L', epoch: 3, jobs: [jobOf(a1, 'x')] }), [
    `accepted ${a1}`,
    `prepare ${a1}`,
  ]);
  t.same(
    core.records.map((record) => record.kind),
    ['granted', 'begun'],
    'intent and beginning share one fsync',
  );
  t.same(core.prepared(a1), [`execute ${a1} 1-run`, `started ${a1}`]);
  core.nowMs += 250;
  t.same(core.executed(a1), [`collect ${a1}`]);
  t.same(
    core.collected(a1, { stdout: 4, stderr: 0 }),
    [`result 1 ${a1} succeeded`, 'pull'],
    'in one turn, one frame',
  );
  t.match(lastResult(core), {
    final: true,
    exitCode: 0,
    signal: null,
    phase: 'run',
    iterations: 1,
    durationMs: 250,
    startedAt: 6_000_000,
    logs: { stdout: 4, stderr: 0 },
  });
  t.same(core.message({ type: 'ack-results', upTo: 1 }), [], 'the folder is needed for the log');
  t.same(core.input({ kind: 'logs-acknowledged', attempt: a1 }), [`forget ${a1}`]);
  t.match(core.state.ledger, { jobs: [], ended: [], finished: [{ attempt: a1 }], nextNumber: 2 });
});

t.test('one job at a time, and the rest of a segment only after success', async (t) => {
  const core = joined();
  t.same(core.grant(jobOf(a1, 'x'), jobOf(b1, 'y')), [`accepted ${a1}`, `accepted ${b1}`, `prepare ${a1}`]);
  core.prepared(a1);
  core.executed(a1);
  t.same(core.collected(a1), [`prepare ${b1}`, `result 1 ${a1} succeeded`], 'no pull while there is work');
  t.equal(core.records.at(-1)?.kind, 'begun', 'the next beginning shares the fsync of the result');
  core.prepared(b1);
  core.executed(b1);
  t.same(core.collected(b1), [`result 2 ${b1} succeeded`, 'pull']);

  const failing = joined();
  failing.grant(jobOf(a1, 'x'), jobOf(b1, 'y'));
  failing.prepared(a1);
  failing.executed(a1, { status: 1 });
  t.same(failing.collected(a1), [`result 1 ${a1} failed`, `result 2 ${b1} not-started`, 'pull']);
});

t.test('the clock ends an attempt with all its iterations', async (t) => {
  const core = joined();
  const job = jobOf(a1, 'x', { timeoutMs: 1000, until: { expression: 'false', everyMs: 300 } });
  core.grant(job);
  core.prepared(a1);
  t.equal(core.alarmAt, 1_001_000);
  core.nowMs += 900;
  core.executed(a1);
  t.equal(core.alarmAt, 1_001_000, 'a pause does not reach beyond the timeout');
  t.same(core.alarm(1_001_000), [`collect ${a1}`]);
  core.collected(a1);
  t.match(lastResult(core), {
    outcome: 'timed-out',
    reason: 'not done within 1 s: "until" was not met in 1 iterations',
  });

  const running = joined();
  running.grant(jobOf(a1, 'x', { timeoutMs: 1000 }));
  running.prepared(a1);
  t.same(running.alarm(1_000_999), []);
  t.same(running.alarm(1_001_000), [`stop ${a1}`]);
  t.equal(running.alarmAt, null, 'it is told once');
  t.same(running.executed(a1, { status: 143, stopped: true }), [`collect ${a1}`]);
  running.collected(a1);
  t.match(lastResult(running), { outcome: 'timed-out', exitCode: 143, signal: 'SIGTERM' });
});

t.test('a verify that hangs is ended by its own time', async (t) => {
  const core = joined();
  core.grant(jobOf(a1, 'x', { verify: { script: scriptOf('v'), everyMs: 100, timeoutMs: 500 } }));
  core.prepared(a1);
  t.same(core.executed(a1), [`execute ${a1} 2-verify`]);
  t.equal(core.alarmAt, 1_000_500);
  t.same(core.alarm(1_000_500), [`stop ${a1}`]);
  core.executed(a1, { status: 143, stopped: true }, 2);
  core.collected(a1);
  t.match(lastResult(core), {
    outcome: 'failed',
    phase: 'verify',
    reason: 'verify did not pass within 0.5 s',
  });
});

t.test('a retry follows a failure after a doubling pause, under the next attempt id', async (t) => {
  const core = joined();
  core.grant(jobOf(a1, 'x', { attemptsMax: 3, backoffMs: 100 }));
  core.prepared(a1);
  core.executed(a1, { status: 1 });
  t.same(core.collected(a1), [`result 1 ${a1} failed (not final)`]);
  t.equal(core.alarmAt, 1_000_100);
  t.same(core.alarm(1_000_100), [`prepare ${a2}`]);
  t.same(core.prepared(a2), [`execute ${a2} 1-run`, `started ${a2}`]);
  core.executed(a2, { status: 1 });
  core.collected(a2);
  t.equal(core.alarmAt, 1_000_300);
  core.alarm(1_000_300);
  core.prepared('r1/s/n1#3');
  core.executed('r1/s/n1#3', { status: 1 });
  t.same(core.collected('r1/s/n1#3'), ['result 3 r1/s/n1#3 failed', 'pull']);
});

t.test('an interruption is not retried', async (t) => {
  const core = joined();
  core.grant(jobOf(a1, 'x', { attemptsMax: 3 }));
  core.prepared(a1);
  t.same(core.lost(a1), [`collect ${a1}`]);
  t.same(core.collected(a1), [`result 1 ${a1} interrupted`, 'pull']);
});

t.test('cancel, wherever the job is', async (t) => {
  const cancel = { type: 'cancel', attempt: a1, reason: 'changed my mind' } as const;

  const preparing = joined();
  preparing.grant(jobOf(a1, 'x'));
  t.same(preparing.message(cancel), [`abandon-preparation ${a1}`]);
  t.same(preparing.input({ kind: 'prepared', attempt: a1, prepared: { ok: false, reason: 'aborted' } }), [
    `collect ${a1}`,
  ]);
  t.same(preparing.collected(a1), [`result 1 ${a1} cancelled`, 'pull']);

  const executing = joined();
  executing.grant(jobOf(a1, 'x'));
  executing.prepared(a1);
  t.same(executing.message(cancel), [`stop ${a1}`]);
  executing.executed(a1, { status: 143, stopped: true });
  t.same(executing.collected(a1), [`result 1 ${a1} cancelled`, 'pull']);
  t.match(lastResult(executing), { reason: 'changed my mind' });

  const racing = joined();
  racing.grant(jobOf(a1, 'x'));
  racing.prepared(a1);
  racing.message(cancel);
  racing.executed(a1, { status: 0, stopped: false });
  t.same(racing.collected(a1), [`result 1 ${a1} succeeded`, 'pull'], 'a result that races it stands');

  const queued = joined();
  queued.grant(jobOf(b1, 'y'), jobOf(a1, 'x'));
  t.same(queued.message(cancel), [`result 1 ${a1} cancelled`]);

  const pausing = joined();
  pausing.grant(jobOf(a1, 'x', { until: { expression: 'false', everyMs: 9 } }));
  pausing.prepared(a1);
  pausing.executed(a1);
  t.same(pausing.message(cancel), [`collect ${a1}`]);

  const between = joined();
  between.grant(jobOf(a1, 'x', { attemptsMax: 2, backoffMs: 1000 }));
  between.prepared(a1);
  between.executed(a1, { status: 1 });
  between.collected(a1);
  t.same(
    between.message(cancel),
    [`result 2 ${a2} cancelled`, 'pull'],
    'the final result is that of the next attempt',
  );
  t.match(lastResult(between), { final: true, phase: 'none', startedAt: null });

  const ended = joined();
  ended.perform(jobOf(a1, 'x'));
  t.same(ended.message(cancel), [], 'its result is on the way');

  const unknown = joined();
  t.same(unknown.message(cancel), [`result 1 ${a1} cancelled`]);
  t.same(unknown.grant(jobOf(a1, 'x')), ['pull'], 'a grant that comes after its cancel is not executed');
});

t.test('what cannot be prepared or started has failed', async (t) => {
  const core = joined();
  core.grant(jobOf(a1, 'x'));
  core.input({ kind: 'prepared', attempt: a1, prepared: { ok: false, reason: 'no python here' } });
  core.collected(a1);
  t.match(lastResult(core), { outcome: 'failed', reason: 'no python here', phase: 'none', exitCode: null });
});

t.test('after a reboot: interrupted if it had begun, else not started', async (t) => {
  const core = joined();
  core.grant(jobOf(a1, 'x', { attemptsMax: 3 }), jobOf(b1, 'y'));
  core.prepared(a1);
  const later = core.restarted('boot-2');
  t.same(later.words(), [`collect ${a1}`], 'what it printed is still reported');
  t.match(lastResult(later), { attempt: b1, outcome: 'not-started', startedAt: null });
  t.same(later.join().slice(2), [`result 1 ${b1} not-started`]);
  t.same(later.collected(a1, { stdout: 5, stderr: 0 }), [`result 2 ${a1} interrupted`, 'pull']);
  t.match(lastResult(later), { startedAt: 6_000_000, durationMs: 0, logs: { stdout: 5 }, final: true });
});

t.test('what is done is done, even if cleaning up after it took longer than its time', async (t) => {
  const core = joined();
  core.grant(jobOf(a1, 'x', { timeoutMs: 1000 }));
  core.prepared(a1);
  core.nowMs += 1500;
  core.executed(a1);
  t.same(core.collected(a1), [`result 1 ${a1} succeeded`, 'pull']);
});

t.test('after a restart within a boot the disk tells where the attempt is', async (t) => {
  const core = joined();
  core.grant(jobOf(a1, 'x', { check: scriptOf('c') }));
  core.prepared(a1);
  const check = { number: 1, phase: 'check', status: 1, output: new Uint8Array() } as const;

  const nothing = core.restarted();
  t.same(nothing.words(), [`recover ${a1}`]);
  t.same(nothing.recovered(a1, {}), [`prepare ${a1}`], 'nothing was spawned');

  const won = core.restarted();
  won.recovered(a1, { last: { kind: 'not-executed', number: 1 } });
  won.collected(a1);
  t.match(lastResult(won), { outcome: 'not-started', final: true });

  const running = core.restarted();
  t.same(running.recovered(a1, { last: { kind: 'running', number: 1, phase: 'check' } }), []);
  t.same(running.executed(a1, { status: 1 }), [`execute ${a1} 2-run`]);

  const second = core.restarted();
  t.same(second.recovered(a1, { ended: [check], last: { kind: 'not-executed', number: 2 } }), [
    `execute ${a1} 3-run`,
  ]);

  const cancelled = core.restarted();
  cancelled.join();
  cancelled.message({ type: 'cancel', attempt: a1, reason: 'enough' });
  t.same(cancelled.recovered(a1, { last: { kind: 'running', number: 1, phase: 'check' } }), [`stop ${a1}`]);
  t.same(cancelled.executed(a1, { status: 143, stopped: true }), [`collect ${a1}`]);

  const timedOut = core.restarted();
  timedOut.nowMs += 60_000;
  timedOut.recovered(a1, { last: { kind: 'running', number: 1, phase: 'check' } });
  t.equal(timedOut.alarmAt, 1_060_000, 'the timeout goes on counting from the beginning');
  t.same(timedOut.alarm(1_060_000), [`stop ${a1}`]);
});

t.test('iterations are counted on although early folders are gone', async (t) => {
  const core = joined();
  core.grant(jobOf(a1, 'x', { check: scriptOf('c'), until: { expression: 'iteration == 58', everyMs: 0 } }));
  core.prepared(a1);
  const later = core.restarted();
  const execution = (number: number, phase: 'check' | 'run', status: number) => ({
    number,
    phase,
    status,
    output: new Uint8Array(),
  });
  later.recovered(a1, {
    ended: [execution(1, 'check', 1), execution(57, 'run', 0)],
    last: { kind: 'running', number: 58, phase: 'run' },
  });
  t.same(later.executed(a1, {}, 58), [`execute ${a1} 59-run`]);
  t.same(later.executed(a1, {}, 59), [`collect ${a1}`]);
  later.collected(a1);
  t.match(lastResult(later), { outcome: 'succeeded', iterations: 58 });
});
