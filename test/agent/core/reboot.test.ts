/** A reboot that a job asks for: when it begins, what it waits for, and how it is told afterwards. */
import t from 'tap';
import { limits } from '../../../shared/limits.ts';
import type { JobSpecification } from '../../../shared/messages.ts';
import { jobOf } from '../coordinator-double.ts';
import { CoreDriver } from './driver.ts';

const a1 = 'r1/a/n1#1';
const b1 = 'r1/b/n1#1';
const output = (text: string): Uint8Array => new TextEncoder().encode(text);

function joined(traits: { diskless?: boolean; mayReboot?: boolean } = {}): CoreDriver {
  const core = new CoreDriver(undefined, undefined, undefined, traits);
  core.join();
  return core;
}

/** Up to the result; what came of the last input. */
function perform(
  core: CoreDriver,
  job: JobSpecification,
  text = '',
  logs = { stdout: 0, stderr: 0 },
): string[] {
  core.prepared(job.attempt);
  core.executed(job.attempt, { output: output(text) });
  return core.collected(job.attempt, logs);
}

t.test('the reboot begins when the result is acknowledged, and nothing begins before it', async (t) => {
  const core = joined();
  const job = jobOf(a1, 'x', { reboot: 'after' });
  core.grant(job, jobOf(b1, 'x'));
  t.same(perform(core, job), [`result 1 ${a1} succeeded`], 'no pull, and the next job stays');
  t.match(core.state.ledger.ended[0]?.result, { reboot: { boot: 'boot-1' } });
  t.match(core.records.at(-1), { kind: 'reboot', stage: 'wanted' });
  t.same(core.message({ type: 'ack-results', upTo: 1 }), [`forget ${a1}`, 'reboot']);
  t.match(core.records.at(-1), { kind: 'reboot', stage: 'begun' }, 'recorded before the host is told');
  const after = core.restarted('boot-2');
  t.match(after.join(), [/joined/, 'resume-logs', `result 2 ${b1} not-started`, 'pull'], 'what was ahead');
});

t.test('how it went is said in the greeting', async (t) => {
  const planned = joined();
  const job = jobOf(a1, 'x', { reboot: 'after' });
  planned.grant(job);
  perform(planned, job);
  const challenge = {
    type: 'challenge',
    protocol: 1,
    protocolMin: 1,
    lineage: 'L',
    epoch: 1,
    nonce: '',
  } as const;
  const accident = planned.restarted('boot-2');
  t.same(accident.message(challenge), [`greet 6 ${a1}=ended rebooted ${a1} unplanned`]);
  planned.message({ type: 'ack-results', upTo: 1 });
  const same = planned.restarted();
  t.same(same.message(challenge), [`greet 6 rebooting ${a1}`]);
  t.same(planned.restarted('boot-2').message(challenge), [`greet 6 rebooted ${a1}`]);
});

t.test('without a link it does not wait; with one it waits no longer than it must', async (t) => {
  const offline = joined();
  const job = jobOf(a1, 'x', { reboot: 'after' });
  offline.grant(job);
  offline.input({ kind: 'disconnected' });
  t.same(perform(offline, job), ['reboot']);

  const ignored = joined();
  ignored.grant(job);
  perform(ignored, job);
  t.equal(ignored.alarmAt, ignored.nowMs + limits.rebootAcknowledgementWaitMs);
  t.same(ignored.alarm(ignored.alarmAt ?? 0), ['reboot']);
});

t.test('a diskless node has everything acknowledged first, however long it takes', async (t) => {
  const core = joined({ diskless: true });
  const job = jobOf(a1, 'x', { reboot: 'after' });
  core.grant(job);
  perform(core, job, '', { stdout: 5, stderr: 0 });
  t.equal(core.alarmAt, null);
  core.input({ kind: 'disconnected' });
  t.same(core.words(), []);
  core.join();
  t.same(core.message({ type: 'ack-results', upTo: 1 }), [], 'its log is still to come');
  t.same(core.input({ kind: 'logs-acknowledged', attempt: a1 }), [`forget ${a1}`, 'reboot']);
});

t.test('a script asks for it by an output; one that may not is failed', async (t) => {
  const core = joined();
  const job = jobOf(a1, 'x');
  core.grant(job);
  perform(core, job, 'reboot=true\n');
  t.match(core.state.ledger.ended[0]?.result, {
    outcome: 'succeeded',
    reboot: { boot: 'boot-1' },
    outputs: {},
  });

  const declined = joined();
  declined.grant(job);
  perform(declined, job, 'reboot=false\n');
  t.equal(declined.state.ledger.reboot, null);

  const mistaken = joined();
  mistaken.grant(job);
  perform(mistaken, job, 'reboot=yes\n');
  t.match(mistaken.state.ledger.ended[0]?.result, { outcome: 'failed', reason: /reboot is neither/ });

  const forbidden = joined({ mayReboot: false });
  forbidden.grant(job);
  perform(forbidden, job, 'reboot=true\n');
  t.match(forbidden.state.ledger.ended[0]?.result, { outcome: 'failed', reason: /may not reboot its host/ });
  t.equal(forbidden.state.ledger.reboot, null);
});

t.test('where it cannot reboot, a step that must is not even begun', async (t) => {
  const core = joined({ mayReboot: false });
  core.grant(jobOf(a1, 'x', { reboot: 'after' }));
  t.same(core.prepared(a1), [`collect ${a1}`]);
});

t.test('a check that finds all done leads to no reboot, and neither does a failure', async (t) => {
  const core = joined();
  const script = { shell: ['sh'], source: { text: 'x' } };
  core.grant(jobOf(a1, 'x', { reboot: 'after', check: script }));
  core.prepared(a1);
  core.executed(a1);
  core.collected(a1);
  t.match(core.state.ledger.ended[0]?.result, { unchanged: true });
  t.equal(core.state.ledger.reboot, null);
  core.grant(jobOf(b1, 'x', { reboot: 'after' }));
  core.prepared(b1);
  core.executed(b1, { status: 1 });
  core.collected(b1);
  t.equal(core.state.ledger.reboot, null);
});

t.test('a host that does not go down is told again, until the coordinator gives it up', async (t) => {
  const core = joined();
  const job = jobOf(a1, 'x', { reboot: 'after' });
  core.grant(job, jobOf(b1, 'x'));
  perform(core, job);
  core.message({ type: 'ack-results', upTo: 1 });
  t.equal(core.alarmAt, core.nowMs + limits.rebootAgainMs);
  t.match(core.alarm(core.alarmAt ?? 0), [/has not gone down/, 'reboot']);
  t.same(core.message({ type: 'cancel', attempt: a1, reason: 'late' }), [`prepare ${b1}`]);
});
