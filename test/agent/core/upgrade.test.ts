/** When an agent gives way to another version of itself, and what it does not do meanwhile. */
import t from 'tap';
import type { CoordinatorMessage } from '../../../shared/messages.ts';
import { jobOf } from '../coordinator-double.ts';
import { CoreDriver } from './driver.ts';

const a1 = 'r1/s/n1#1';
const b1 = 'r1/t/n1#1';
const digest = `sha256:${'1'.repeat(64)}`;

const offer = (number = 1): CoordinatorMessage => ({
  type: 'upgrade',
  offer: number,
  version: '9.0.0',
  digest,
  healthyWithinMs: 1_000,
});

const joined = (): CoreDriver => {
  const core = new CoreDriver();
  core.join();
  return core;
};

t.test('an offer is taken once while jobs go on, and left for at once', async (t) => {
  const core = joined();
  core.grant(jobOf(a1, 'x'), jobOf(b1, 'x'));
  core.prepared(a1);
  t.match(core.message(offer()), [/taking agent 9\.0\.0/, 'take-upgrade']);
  t.same(core.message(offer()), [], 'it comes with each connection');
  core.executed(a1);
  t.match(core.collected(a1).join(), /prepare r1\/t\/n1#1/, 'the next job is not kept waiting');
  t.same(core.input({ kind: 'upgrade-taken' }), ['leave-for-upgrade']);
  t.same(core.prepared(b1), [`execute ${b1} 1-run`, `started ${b1}`], 'what is under way is adopted later');
});

t.test('what failed is told, and the same offer is not tried again', async (t) => {
  const core = joined();
  core.message(offer());
  const failed = { offer: 1, digest, reason: 'no good' };
  t.match(core.input({ kind: 'upgrade-failed', failed }), [/error: .*no good/, 'upgrade-failed']);
  t.same(core.message(offer()), ['upgrade-failed']);
  t.match(core.message(offer(2)), [/taking/, 'take-upgrade']);
  t.same(core.state.upgradesFailed, [failed]);
});

t.test('on trial nothing new is begun; healthy is a welcome with the job taken up', async (t) => {
  const core = joined();
  core.grant(jobOf(a1, 'x'), jobOf(b1, 'x'));
  core.prepared(a1);
  const trial = core.onTrial();
  t.notMatch(trial.join().join(), /prove-health|pull/, 'the job is not taken up yet');
  t.same(trial.recovered(a1, { last: { kind: 'running', number: 1, phase: 'run' } }), ['prove-health']);

  const idle = joined();
  idle.grant(jobOf(a1, 'x', { attemptsMax: 2, backoffMs: 1_000 }));
  idle.prepared(a1);
  idle.executed(a1, { status: 1 });
  idle.collected(a1);
  const waiting = idle.onTrial();
  t.equal(waiting.alarmAt, null, 'the clock begins nothing either');
  waiting.nowMs += 60_000;
  t.same(waiting.alarm(waiting.nowMs), []);
  const words = waiting.join().join();
  t.match(words, /prove-health/);
  t.notMatch(words, /prepare|pull/);
});

t.test('a reboot comes before the trial, which it would end', async (t) => {
  const core = joined();
  const job = jobOf(a1, 'x', { reboot: 'after' });
  core.message(offer());
  core.perform(job);
  t.same(core.input({ kind: 'upgrade-taken' }), []);
  t.same(core.message({ type: 'ack-results', upTo: 1 }), [`forget ${a1}`, 'reboot']);
  const other = joined();
  other.perform(job);
  t.same(other.message(offer()), [], 'nor is one taken before it');
  const trial = other.onTrial();
  trial.join();
  t.notMatch(trial.message({ type: 'ack-results', upTo: 1 }).join(), /reboot/, 'nor begun on trial');
});
