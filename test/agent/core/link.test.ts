/** What passes between core and coordinator: grants never twice, fences, results until acknowledged, credit. */
import t from 'tap';
import { nameFor } from '../../../agent/core/link.ts';
import { limits } from '../../../shared/limits.ts';
import { jobOf } from '../coordinator-double.ts';
import { CoreDriver } from './driver.ts';

const a1 = 'r1/s/n1#1';
const a2 = 'r1/s/n1#2';

const joined = (): CoreDriver => {
  const core = new CoreDriver();
  core.join();
  return core;
};

t.test('a repeated grant is answered with what became of the attempt', async (t) => {
  const core = joined();
  core.grant(jobOf(a1, 'x'));
  core.prepared(a1);
  t.same(core.grant(jobOf(a1, 'x')), [`accepted ${a1}`, `started ${a1}`], 'running');
  core.executed(a1);
  core.collected(a1, { stdout: 3, stderr: 0 });
  t.same(core.grant(jobOf(a1, 'x')), ['pull'], 'ended: its result is on the way');
  core.message({ type: 'ack-results', upTo: 1 });
  t.same(core.grant(jobOf(a1, 'x')), [`result 1 ${a1} succeeded`, 'pull'], 'acknowledged, its log is not');
  core.input({ kind: 'logs-acknowledged', attempt: a1 });
  t.same(core.grant(jobOf(a1, 'x')), [`result 2 ${a1} succeeded`, 'pull'], 'finished: remembered');
  t.same(core.message({ type: 'ack-results', upTo: 2 }), [`forget ${a1}`]);
  const restarted = core.restarted();
  restarted.join();
  t.same(restarted.grant(jobOf(a1, 'x')), [`result 3 ${a1} succeeded`, 'pull'], 'also by the next process');
  t.equal(
    [...core.records, ...restarted.records].filter((record) => record.kind === 'begun').length,
    1,
    'it began once',
  );
});

t.test('one grant that names an attempt twice begins it once', async (t) => {
  const core = joined();
  t.same(core.grant(jobOf(a1, 'x'), jobOf(a1, 'x')), [`accepted ${a1}`, `prepare ${a1}`]);
});

t.test('an attempt that a later one has overtaken does not come to life', async (t) => {
  const core = joined();
  core.perform(jobOf(a2, 'x'));
  t.same(core.grant(jobOf(a1, 'x')), [`result 2 ${a1} not-started`, 'pull']);
});

t.test(
  'a name that was executed for another lineage is neither executed nor answered with that result',
  async (t) => {
    const core = joined();
    core.perform(jobOf(a1, 'x'));
    core.message({ type: 'ack-results', upTo: 1 });
    core.input({ kind: 'disconnected' });
    core.join(1, 'M');
    t.same(core.message({ type: 'grant', lineage: 'M', epoch: 1, jobs: [jobOf(a1, 'x')] }), [
      `result 2 ${a1} interrupted`,
      'pull',
    ]);
  },
);

t.test('secret results are not kept after their acknowledgement', async (t) => {
  const core = joined();
  core.grant(jobOf(a1, 'x', { outputs: { k: { type: 'string', secret: true, optional: true } } }));
  core.prepared(a1);
  core.executed(a1, { output: new TextEncoder().encode('k=v') });
  core.collected(a1);
  core.message({ type: 'ack-results', upTo: 1 });
  t.same(core.state.ledger.finished, [{ attempt: a1, lineage: 'L', result: null }]);
  t.same(core.grant(jobOf(a1, 'x')), [`result 2 ${a1} interrupted`, 'pull']);
});

t.test('orders of an older epoch are refused', async (t) => {
  const core = new CoreDriver();
  core.join(7);
  t.match(core.message({ type: 'grant', lineage: 'L', epoch: 6, jobs: [jobOf(a1, 'x')] }), [
    /hang-up: refused a grant of epoch 6/,
  ]);
  t.equal(core.state.ledger.jobs.length, 0);
  t.match(
    core.message({ type: 'challenge', protocol: 1, protocolMin: 1, lineage: 'L', epoch: 6, nonce: '' }),
    ['fenced', /hang-up: .*epoch 6 of lineage L, but epoch 7 was seen here: it is an old copy/],
    'a reign that is over is not joined',
  );
  const restarted = core.restarted();
  t.match(restarted.join(6), [/hang-up: .*out of order/], 'also after a restart');
  restarted.join(8);
  t.equal(restarted.state.link.kind, 'joined');
  restarted.input({ kind: 'disconnected' });
  restarted.join(1, 'M');
  t.equal(restarted.state.link.kind, 'joined', 'another lineage counts its own epochs');
  t.match(restarted.message({ type: 'grant', lineage: 'L', epoch: 9, jobs: [jobOf(a1, 'x')] }), [
    /hang-up: refused/,
  ]);
});

t.test('messages out of order end the link', async (t) => {
  t.match(new CoreDriver().grant(jobOf(a1, 'x')), [/hang-up: the coordinator sent "grant" out of order/]);
  const core = joined();
  t.match(core.join(), [/hang-up/]);
  const early = new CoreDriver();
  t.match(early.message({ type: 'welcome', node: 'n1', heartbeatMs: 9, factsWanted: true }), [/hang-up/]);
  t.match(joined().message({ type: 'ack-results', upTo: 1 }), [
    /hang-up: .*acknowledged result 1, which does not exist/,
  ]);
});

t.test('a protocol that does not fit', async (t) => {
  const core = new CoreDriver();
  const words = core.message({
    type: 'challenge',
    protocol: 9,
    protocolMin: 8,
    lineage: 'L',
    epoch: 1,
    nonce: '',
  });
  t.match(words, [/hang-up: the coordinator speaks protocol 8 to 9 and this agent 1/]);
  t.equal(core.state.identity.counter, 4, 'no connection was used up');
});

t.test('rejected for now, or until somebody changes something', async (t) => {
  t.match(new CoreDriver().message({ type: 'rejected', reason: 'pending', retryAfterMs: 500 }), [
    /hang-up: .*for now: pending/,
  ]);
  t.match(new CoreDriver().message({ type: 'rejected', reason: 'clone', retryAfterMs: null }), [
    /exit: .*clone/,
  ]);
});

t.test('results are sent again on each connection until they are acknowledged, and in order', async (t) => {
  const core = joined();
  core.perform(jobOf(a1, 'x'));
  core.perform(jobOf('r1/t/n1#1', 'x'));
  t.same(core.message({ type: 'ack-results', upTo: 1 }), [`forget ${a1}`]);
  core.input({ kind: 'disconnected' });
  t.same(
    core.message({ type: 'challenge', protocol: 1, protocolMin: 1, lineage: 'L', epoch: 1, nonce: '' }),
    ['greet 6 r1/t/n1#1=ended'],
  );
  t.same(core.message({ type: 'welcome', node: 'n1', heartbeatMs: 9, factsWanted: false }).slice(2), [
    'result 2 r1/t/n1#1 succeeded',
    'pull',
  ]);
  const restarted = core.restarted();
  t.same(restarted.join().slice(2), ['result 2 r1/t/n1#1 succeeded', 'pull']);
});

t.test('a reconnect in the middle of a job says so and asks for nothing', async (t) => {
  const core = joined();
  core.grant(jobOf(a1, 'x', { attemptsMax: 2, backoffMs: 50 }));
  core.prepared(a1);
  core.input({ kind: 'disconnected' });
  core.executed(a1, { status: 1 });
  t.same(core.collected(a1), [], 'nothing is lost and nothing can be sent');
  core.message({ type: 'challenge', protocol: 1, protocolMin: 1, lineage: 'L', epoch: 1, nonce: '' });
  t.same(core.words(), [`greet 6 ${a2}=accepted ${a1}=ended`]);
  t.same(core.message({ type: 'welcome', node: 'n1', heartbeatMs: 9, factsWanted: false }).slice(2), [
    `result 1 ${a1} failed (not final)`,
  ]);
  t.same(core.alarm(core.alarmAt ?? 0), [`prepare ${a2}`]);
});

t.test('a result waits for its files, those after it wait too, and so does the next job', async (t) => {
  const core = joined();
  core.grant(jobOf(a1, 'x', { outputs: { f: { type: 'file', secret: false, optional: false } } }));
  core.prepared(a1);
  t.same(core.executed(a1, { output: new TextEncoder().encode('f=out') }), [`collect ${a1}`]);
  t.same(core.collected(a1, undefined, { f: 'sha256:aa' }), ['upload 1 sha256:aa']);
  t.same(core.rejoin().slice(2), ['upload 1 sha256:aa'], 'asked for again on a new connection');
  t.same(core.input({ kind: 'files-uploaded', number: 1, lineage: 'L' }), [
    `result 1 ${a1} succeeded`,
    'pull',
  ]);
  t.match(core.state.ledger.ended[0]?.result.outputs, { f: 'sha256:aa' });
  t.same(core.rejoin().slice(2), [`result 1 ${a1} succeeded`, 'pull'], 'uploaded once');
});

t.test('after a restore files are uploaded anew: the coordinator may have lost what it got', async (t) => {
  const core = joined();
  core.grant(jobOf(a1, 'x', { outputs: { f: { type: 'file', secret: false, optional: false } } }));
  core.prepared(a1);
  core.executed(a1, { output: new TextEncoder().encode('f=out') });
  core.collected(a1, undefined, { f: 'sha256:aa' });
  core.input({ kind: 'files-uploaded', number: 1, lineage: 'L' });
  const continued = (lineage: string) => {
    core.input({ kind: 'disconnected' });
    const origin = { ancestors: ['L'], begunAt: 5, runs: ['r1'], runsFrom: 2 };
    core.message({ type: 'challenge', protocol: 1, protocolMin: 1, lineage, epoch: 2, nonce: '', origin });
    return core.message({ type: 'welcome', node: 'n1', heartbeatMs: 9, factsWanted: false }).slice(2);
  };
  t.same(continued('M'), ['upload 1 sha256:aa']);
  t.same(
    core.input({ kind: 'files-uploaded', number: 1, lineage: 'L' }),
    [],
    'one that was under way before',
  );
  t.same(core.input({ kind: 'files-uploaded', number: 1, lineage: 'M' }), [
    `result 1 ${a1} succeeded`,
    'pull',
  ]);
  t.same(continued('M'), [`result 1 ${a1} succeeded`, 'pull']);
});

t.test('only so many results are in flight', async (t) => {
  const core = new CoreDriver();
  core.join();
  core.grant(...Array.from({ length: 20 }, (_, n) => jobOf(`r1/s${n}/n1#1`, 'x')));
  core.input({ kind: 'disconnected' });
  for (let n = 0; n < 20; n += 1) {
    core.prepared(`r1/s${n}/n1#1`);
    core.executed(`r1/s${n}/n1#1`);
    core.collected(`r1/s${n}/n1#1`);
  }
  const sent = core.join().slice(2);
  t.equal(sent.length, limits.agentResultsInFlightMax);
  t.equal(sent.at(-1), 'result 16 r1/s15/n1#1 succeeded');
  const rest = core.message({ type: 'ack-results', upTo: 3 }).filter((word) => !word.startsWith('forget'));
  t.same(rest, [
    'result 17 r1/s16/n1#1 succeeded',
    'result 18 r1/s17/n1#1 succeeded',
    'result 19 r1/s18/n1#1 succeeded',
  ]);
  t.same(core.message({ type: 'ack-results', upTo: 16 }).slice(13), [
    'result 20 r1/s19/n1#1 succeeded',
    'pull',
  ]);
});

t.test('no work is asked for while the disk is full or logs pile up', async (t) => {
  const core = new CoreDriver();
  core.freeBytes = 1;
  t.match(core.join().slice(2), [/warn: not asking for work: less than .* bytes are free/]);
  t.equal(core.alarmAt, 1_000_000 + limits.agentPullRecheckMs);
  t.same(core.alarm(1_000_000 + limits.agentPullRecheckMs), [], 'said once');
  core.freeBytes = 2 ** 40;
  t.same(core.alarm(1_000_000 + 2 * limits.agentPullRecheckMs), ['pull']);

  core.grant(jobOf(a1, 'x'));
  core.prepared(a1);
  core.executed(a1);
  const words = core.collected(a1, { stdout: limits.agentLogsWaitingBytesMax, stderr: 0 });
  t.match(words, [`result 1 ${a1} succeeded`, /warn: not asking for work: .* bytes of logs wait/]);
  core.message({ type: 'ack-results', upTo: 1 });
  t.same(core.input({ kind: 'logs-acknowledged', attempt: a1 }), [`forget ${a1}`, 'pull']);
});

t.test('what withheld a pull is no alarm any more when work has come by itself', async (t) => {
  const core = new CoreDriver();
  core.freeBytes = 1;
  core.join();
  core.grant(jobOf(a1, 'x', { attemptsMax: 2, backoffMs: 90_000 }));
  core.prepared(a1);
  core.executed(a1, { status: 1 });
  core.collected(a1);
  const nextTry = core.nowMs + 90_000;
  core.alarm(core.nowMs + limits.agentPullRecheckMs);
  t.equal(core.alarmAt, nextTry, 'nothing is due before the next try');
});

t.test('more jobs than may be held are refused', async (t) => {
  const core = joined();
  const jobs = Array.from({ length: limits.agentJobsHeldMax + 1 }, (_, n) => jobOf(`r1/s${n}/n1#1`, 'x'));
  t.match(core.grant(...jobs), [/hang-up: the coordinator granted more than 1000 jobs/]);
  t.equal(core.state.ledger.jobs.length, 0);
});

t.test('the memory of finished attempts is bounded, but keeps the current run whole', async (t) => {
  const core = joined();
  const finish = (run: string, from: number, count: number) => {
    for (let n = from; n < from + count; n += 1) {
      core.perform(jobOf(`${run}/s/n1#${n}`, 'x'));
      core.message({ type: 'ack-results', upTo: core.state.ledger.nextNumber - 1 });
    }
  };
  finish('r1', 1, 300);
  finish('r2', 1, limits.agentFinishedKept + 50);
  t.equal(core.state.ledger.finished.length, limits.agentFinishedKept + 50);
  t.equal(core.state.ledger.finished[0]?.attempt, 'r2/s/n1#1');
  finish('r3', 1, 1);
  t.equal(core.state.ledger.finished.length, limits.agentFinishedKept);
});

t.test('a host that is expected by another name takes it, and keeps it', async (t) => {
  const core = new CoreDriver();
  core.message({ type: 'challenge', protocol: 1, protocolMin: 1, lineage: 'L', epoch: 1, nonce: '' });
  core.message({ type: 'welcome', node: 'db-1', heartbeatMs: 15_000, factsWanted: false });
  t.equal(core.state.node.name, 'db-1');
  t.same(core.state.identity.given, { asked: 'n1', name: 'db-1' });
  t.equal(nameFor('n1', core.state.identity), 'db-1', 'also at the next start');
  t.equal(nameFor('n2', core.state.identity), 'n2', 'until it is started with another name');
  core.input({ kind: 'disconnected' });
  core.message({ type: 'challenge', protocol: 1, protocolMin: 1, lineage: 'L', epoch: 1, nonce: '' });
  core.message({ type: 'welcome', node: 'db-2', heartbeatMs: 15_000, factsWanted: false });
  t.same(core.state.identity.given, { asked: 'n1', name: 'db-2' }, 'what it was started with is remembered');
});
