/** Several jobs in one grant: gone through in order without anybody, and given back when that is wanted. */
import t from 'tap';
import { limits } from '../../../shared/limits.ts';
import { jobOf } from '../coordinator-double.ts';
import { CoreDriver } from './driver.ts';

const a1 = 'r1/a/n1#1';
const b1 = 'r1/b/n1#1';
const c1 = 'r1/c/n1#1';
const jobs = [jobOf(a1, 'x'), jobOf(b1, 'x'), jobOf(c1, 'x')];

const joined = (): CoreDriver => {
  const core = new CoreDriver();
  core.join();
  return core;
};

const end = (core: CoreDriver, attempt: string, status = 0): string[] => {
  core.prepared(attempt);
  core.executed(attempt, { status });
  return core.collected(attempt);
};

t.test('a segment is gone through without a link, and told when it is back', async (t) => {
  const core = joined();
  t.same(core.grant(...jobs), [`accepted ${a1}`, `accepted ${b1}`, `accepted ${c1}`, `prepare ${a1}`]);
  core.input({ kind: 'disconnected' });
  t.same(end(core, a1), [`prepare ${b1}`], 'nothing is sent, the next begins');
  t.same(end(core, b1), [`prepare ${c1}`]);
  core.prepared(c1);
  const held = core.message({
    type: 'challenge',
    protocol: 1,
    protocolMin: 1,
    lineage: 'L',
    epoch: 1,
    nonce: '',
  });
  t.same(held, [`greet 6 ${c1}=running ${a1}=ended ${b1}=ended`]);
  core.message({ type: 'welcome', node: 'n1', heartbeatMs: 15_000, factsWanted: false });
  t.match(core.words(), [/joined/, 'resume-logs', `result 1 ${a1} succeeded`, `result 2 ${b1} succeeded`]);
  t.same(core.message({ type: 'ack-results', upTo: 2 }), [`forget ${a1}`, `forget ${b1}`]);
});

t.test('a segment is one wish: nothing is pulled before it is through', async (t) => {
  const core = joined();
  core.grant(jobOf(a1, 'x'), jobOf(b1, 'x'));
  t.notOk(end(core, a1).includes('pull'));
  t.ok(end(core, b1).includes('pull'));
});

t.test('what was recalled comes back unless it has begun', async (t) => {
  const core = joined();
  core.grant(...jobs);
  const recalled = core.message({ type: 'recall', attempts: [a1, b1, c1, 'r9/x/n1#1'], reason: 'stop' });
  t.same(recalled, [`result 1 ${b1} not-started`, `result 2 ${c1} not-started`]);
  t.match(core.state.ledger.ended[0]?.result, { reason: 'stop', final: true });
  t.same(core.message({ type: 'recall', attempts: [b1, c1], reason: 'stop' }), [], 'once');
  t.ok(end(core, a1).includes(`result 3 ${a1} succeeded`), 'what had begun ends by itself');
});

t.test('a retry that waits has begun: it is not recalled', async (t) => {
  const core = joined();
  core.grant(jobOf(a1, 'x', { attemptsMax: 2, backoffMs: 5_000 }), jobOf(b1, 'x'));
  end(core, a1, 1);
  const a2 = 'r1/a/n1#2';
  t.same(core.message({ type: 'recall', attempts: [a2, b1], reason: 'stop' }), [
    `result 2 ${b1} not-started`,
  ]);
  t.same(core.alarm(core.nowMs + 5_000), [`prepare ${a2}`]);
});

t.test('what has not begun in its time never does, by the clock of the node', async (t) => {
  const core = joined();
  const grant = { type: 'grant', lineage: 'L', epoch: 1, jobs, expiresMs: 50_000 } as const;
  core.message({ ...grant, jobs: [...jobs] });
  core.nowMs += 50_000;
  t.same(end(core, a1), [
    `result 1 ${a1} succeeded`,
    `result 2 ${b1} not-started`,
    `result 3 ${c1} not-started`,
    'pull',
  ]);
  t.match(core.state.ledger.ended.at(-1)?.result.reason, 'its segment expired before it began');
});

t.test('the expiry outlives the process, not the boot', async (t) => {
  const core = joined();
  core.message({ type: 'grant', lineage: 'L', epoch: 1, jobs: [...jobs], expiresMs: 50_000 });
  const again = core.restarted();
  again.nowMs = core.nowMs + 50_000;
  again.recovered(a1, { last: { kind: 'running', number: 1, phase: 'run' } });
  again.executed(a1);
  again.collected(a1);
  t.same(
    again.state.ledger.ended.map(({ result }) => `${result.attempt} ${result.outcome}`),
    [`${a1} succeeded`, `${b1} not-started`, `${c1} not-started`],
  );
});

t.test('an agent asks for as many jobs as a segment may have', async (t) => {
  const core = joined();
  const pull = core.effects.find((effect) => effect.kind === 'send' && effect.message.type === 'pull');
  t.match(pull, { message: { credit: limits.segmentJobsMax } });
});

t.test('what comes after a job that is cancelled before it began does not begin either', async (t) => {
  const core = joined();
  const other = 'r1/z/n1#1';
  core.grant(jobOf(other, 'x'));
  core.grant(...jobs);
  t.same(core.message({ type: 'cancel', attempt: a1, reason: 'decided' }), [
    `result 1 ${a1} cancelled`,
    `result 2 ${b1} not-started`,
    `result 3 ${c1} not-started`,
  ]);
  t.ok(end(core, other).includes(`result 4 ${other} succeeded`), 'another segment is not touched');
});
