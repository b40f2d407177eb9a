/** What an agent tells of executions that it repeats: soon, not often, and again to whoever has just been found. */
import t from 'tap';
import { limits } from '../../../shared/limits.ts';
import { jobOf, scriptOf } from '../coordinator-double.ts';
import { CoreDriver } from './driver.ts';

const a1 = 'r1/s/n1#1';
const a2 = 'r1/s/n1#2';

function begun(more: Parameters<typeof jobOf>[2]): CoreDriver {
  const core = new CoreDriver();
  core.join();
  core.grant(jobOf(a1, 'x', more));
  core.prepared(a1);
  return core;
}
const told = (core: CoreDriver) =>
  core.effects.flatMap((effect) =>
    effect.kind === 'send' && effect.message.type === 'iterated' ? [effect.message] : [],
  );

t.test('iterations of until, at most one in some seconds', (t) => {
  const core = begun({ timeoutMs: 60_000, until: { expression: 'false', everyMs: 1_000 } });
  const iterate = (number: number, status: number): unknown[] => {
    core.executed(a1, { status }, number);
    const heard = told(core);
    core.alarm(core.nowMs + 1_000);
    return [...heard, ...told(core)];
  };
  const first = { type: 'iterated', attempt: a1, phase: 'run', number: 1, exitCode: 3, signal: null };
  t.strictSame(iterate(1, 3), [first], 'the first at once');
  const seconds = limits.iterationTellMs / 1_000;
  for (let number = 2; number < seconds; number += 1) t.strictSame(iterate(number, 3), []);
  t.strictSame(iterate(seconds, 137), [{ ...first, number: seconds, exitCode: 137, signal: 'SIGKILL' }]);
  t.strictSame(iterate(seconds + 1, 3), []);
  core.rejoin();
  t.match(told(core), [{ number: seconds + 1 }], 'a new connection knows of none');
  t.equal(
    core.records.filter(({ kind }) => kind !== 'granted' && kind !== 'begun').length,
    0,
    'nothing is kept',
  );
  t.end();
});

t.test('nothing is told without a link, of what is not repeated, and at the end', (t) => {
  const core = begun({ until: { expression: 'iteration == 2', everyMs: 0 } });
  core.input({ kind: 'disconnected' });
  core.executed(a1, { status: 1 }, 1);
  t.strictSame(told(core), []);
  core.join();
  t.match(told(core), [{ number: 1 }]);
  core.nowMs += limits.iterationTellMs;
  core.executed(a1, {}, 2);
  t.strictSame(told(core), [], 'the result is about to come');

  const once = begun({ verify: { script: scriptOf('v'), everyMs: 1, timeoutMs: 500 } });
  once.executed(a1);
  t.strictSame(told(once), []);
  once.rejoin();
  t.strictSame(told(once), []);
  t.end();
});

t.test('a verify that has not passed, counted without check and run; a further attempt begins anew', (t) => {
  const core = begun({
    attemptsMax: 2,
    backoffMs: 0,
    check: scriptOf('c'),
    verify: { script: scriptOf('v'), everyMs: 100, timeoutMs: 500 },
  });
  core.executed(a1, { status: 1 }, 1);
  core.executed(a1, {}, 2);
  core.executed(a1, { status: 4 }, 3);
  t.match(told(core), [{ phase: 'verify', number: 1, exitCode: 4 }]);
  core.alarm(core.nowMs + 600);
  core.executed(a1, { status: 4 }, 4);
  core.collected(a1);
  core.alarm(core.nowMs);
  core.prepared(a2);
  core.executed(a2, { status: 1 }, 1);
  core.executed(a2, {}, 2);
  core.executed(a2, { status: 5 }, 3);
  t.match(told(core), [{ attempt: a2, phase: 'verify', number: 1, exitCode: 5 }]);
  t.end();
});
