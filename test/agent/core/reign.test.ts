/** Which coordinator an agent obeys after a restore, and what it tells it. */
import t from 'tap';
import { emptyLedger } from '../../../agent/core/ledger.ts';
import type { AgentState } from '../../../agent/core/state.ts';
import { limits } from '../../../shared/limits.ts';
import type { AttemptResult, Origin } from '../../../shared/messages.ts';
import { jobOf } from '../coordinator-double.ts';
import { CoreDriver } from './driver.ts';

const a1 = 'r1/s/n1#1';

/** Lineage B, which continues A, unless something else is said. */
const origin = (more: Partial<Origin> = {}): Origin => ({
  ancestors: ['L'],
  begunAt: 100,
  runs: ['r1'],
  runsFrom: 3,
  ...more,
});

function challenge(core: CoreDriver, lineage: string, from?: Origin): string[] {
  core.input({ kind: 'disconnected' });
  const words = core.message({
    type: 'challenge',
    protocol: 1,
    protocolMin: 1,
    lineage,
    epoch: 5,
    nonce: '',
    ...(from === undefined ? {} : { origin: from }),
  });
  return words;
}

const welcome = (core: CoreDriver): string[] =>
  core.message({ type: 'welcome', node: 'n1', heartbeatMs: 15_000, factsWanted: false });

function told(core: CoreDriver) {
  for (const effect of core.effects) if (effect.kind === 'greet') return effect.remembered;
  throw new Error('it did not greet');
}

function finished(...attempts: string[]): CoreDriver {
  const core = new CoreDriver();
  core.join();
  for (const [index, attempt] of attempts.entries()) {
    core.perform(jobOf(attempt, 'x'));
    core.message({ type: 'ack-results', upTo: index + 1 });
  }
  return core;
}

t.test('of a history that was restored the newer lineage counts, whichever comes first', async (t) => {
  const core = finished();
  t.match(challenge(core, 'B', origin()), [/^greet/]);
  t.match(challenge(core, 'L'), [
    'fenced',
    /hang-up: .*epoch 5 of lineage B was seen here: it is an old copy/,
  ]);
  t.match(core.effects[0], { message: { type: 'fenced', name: 'n1', lineage: 'B', epoch: 5, begunAt: 100 } });
  t.match(challenge(core, 'C', origin({ begunAt: 99 })), ['fenced', /hang-up/], 'restored before B');
  t.match(challenge(core, 'C', origin({ begunAt: 100 })), ['fenced', /hang-up/], 'restored with B');
  t.match(challenge(core, 'D', origin({ begunAt: 101, ancestors: ['L', 'B'] })), [/^greet/], 'after B');
  t.match(challenge(core.restarted(), 'B', origin()), ['fenced', /hang-up/], 'also after a restart');
  t.match(challenge(core, 'another history'), [/^greet/]);
});

t.test('what was finished for the lost part of a history is told', async (t) => {
  const core = finished(a1, 'r2/s/n1#1', 'r3/s/n1#1', 'r3/t/n1#1');
  challenge(core, 'other', origin({ ancestors: ['elsewhere'] }));
  t.same(told(core), { attempts: [], oldest: null }, 'not to another history');
  challenge(core, 'L');
  t.equal(told(core), undefined, 'nor to one that was not restored');
  challenge(core, 'B', origin());
  t.same(
    told(core),
    {
      attempts: [
        { attempt: a1, outcome: 'succeeded' },
        { attempt: 'r3/t/n1#1', outcome: 'succeeded' },
      ],
      oldest: null,
    },
    'all of runs that are asked about, the newest of each that is lost, none of one that had ended',
  );
});

t.test('what is acknowledged is told, although its log is not', async (t) => {
  const core = new CoreDriver();
  core.join();
  core.grant(jobOf(a1, 'x'));
  core.prepared(a1);
  core.executed(a1);
  core.collected(a1, { stdout: 3, stderr: 0 });
  challenge(core, 'B', origin());
  t.same(told(core)?.attempts, [], 'not yet acknowledged: it is among what is held');
  t.match(core.effects.at(-1), { held: [{ attempt: a1, state: 'ended' }] });
  welcome(core);
  core.message({ type: 'ack-results', upTo: 1 });
  challenge(core, 'C', origin({ begunAt: 101 }));
  t.same(told(core)?.attempts, [{ attempt: a1, outcome: 'succeeded' }]);
});

t.test('who has forgotten says where its memory begins', async (t) => {
  const result = { attempt: '', outcome: 'succeeded' } as const;
  const remembers = (count: number): AgentState['ledger']['finished'] =>
    Array.from({ length: count }, (_, index) => ({
      attempt: `r1/s/n1#${index + 1}`,
      lineage: 'L',
      result: result as AttemptResult,
    }));
  const withMemory = (count: number): CoreDriver =>
    new CoreDriver({ ...emptyLedger, finished: remembers(count) });
  const core = withMemory(limits.agentFinishedKept);
  challenge(core, 'B', origin({ runs: [] }));
  t.same(told(core), { attempts: [], oldest: a1 });
  const long = withMemory(limits.agentRememberedMax + 1);
  challenge(long, 'B', origin());
  t.equal(told(long)?.attempts.length, limits.agentRememberedMax);
  t.equal(told(long)?.oldest, 'r1/s/n1#2', 'what does not fit is as if it were forgotten');
});

t.test('a grant of the history in common is answered with what came of its last attempt', async (t) => {
  const core = finished();
  const job = jobOf(a1, 'x', { attemptsMax: 3 });
  core.perform(job, 1);
  core.message({ type: 'ack-results', upTo: 1 });
  core.prepared('r1/s/n1#2');
  core.executed('r1/s/n1#2');
  core.collected('r1/s/n1#2');
  core.message({ type: 'ack-results', upTo: 2 });
  challenge(core, 'B', origin());
  welcome(core);
  t.same(core.message({ type: 'grant', lineage: 'B', epoch: 5, jobs: [job] }), [
    'result 3 r1/s/n1#2 succeeded',
    'pull',
  ]);
});

t.test('what names files that only the lost history has is not answered with again', async (t) => {
  const core = new CoreDriver();
  core.join();
  const job = jobOf(a1, 'x', { outputs: { f: { type: 'file', secret: false, optional: false } } });
  core.grant(job);
  core.prepared(a1);
  core.executed(a1, { output: new TextEncoder().encode('f=made\n') });
  const digest = `sha256:${'1'.repeat(64)}`;
  core.collected(a1, { stdout: 0, stderr: 0 }, { f: digest });
  core.message({ type: 'ack-results', upTo: 1 });
  t.match(core.state.ledger.finished, [{ attempt: a1, withFiles: true }]);
  challenge(core, 'B', origin());
  welcome(core);
  const again = core.message({ type: 'grant', lineage: 'B', epoch: 5, jobs: [job] });
  t.match(again, [/^result 2 .* interrupted/]);
});
