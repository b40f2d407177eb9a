/** Which execution comes next in an attempt, and what the attempt comes to. */
import t from 'tap';
import {
  type NextStep,
  nextStep,
  noProgress,
  type Phase,
  type Progress,
  progressAfter,
} from '../../../agent/core/next-step.ts';
import type { JobSpecification } from '../../../shared/messages.ts';
import { jobOf, scriptOf } from '../coordinator-double.ts';

const values = { params: { want: 2 }, node: { name: 'n1', labels: { rack: 'a' } } };
const encoder = new TextEncoder();

type Done = readonly [phase: Phase, status: number, output?: string];

/** Each execution takes 10 ms, one after the other from 1000. */
function after(...done: readonly Done[]): Progress {
  return done.reduce((progress, [phase, status, output = ''], index) => {
    const startedMs = 1000 + index * 10;
    const execution = { number: index + 1, phase, status, output: encoder.encode(output) };
    return progressAfter(progress, execution, startedMs, startedMs + 10);
  }, noProgress);
}

const job = (more: Partial<JobSpecification> = {}) => jobOf('r1/s/n1#1', 'true', more);
const next = (specification: JobSpecification, progress: Progress, nowMs = 1_000_000): NextStep =>
  nextStep(specification, progress, values, nowMs);
const ended = (step: NextStep) =>
  step.kind === 'end' ? { ...step.verdict, last: step.verdict.last?.phase ?? null } : step;

t.test('a run is all there is', async (t) => {
  t.same(next(job(), noProgress), { kind: 'execute', phase: 'run' });
  t.match(ended(next(job(), after(['run', 0]))), {
    outcome: 'succeeded',
    unchanged: false,
    last: 'run',
    reason: null,
  });
  t.match(ended(next(job(), after(['run', 3]))), { outcome: 'failed', reason: 'run exited with 3' });
  t.match(ended(next(job(), after(['run', 137]))), { reason: 'run was ended by SIGKILL (exit status 137)' });
  t.match(ended(next(job(), after(['run', 250]))), { reason: 'run exited with 250' });
});

t.test('check: 0 is done, 1 is not yet, anything else fails', async (t) => {
  const checked = job({ check: scriptOf('x'), verify: { script: scriptOf('v'), everyMs: 1, timeoutMs: 1 } });
  t.same(next(checked, noProgress), { kind: 'execute', phase: 'check' });
  t.match(ended(next(checked, after(['check', 0]))), {
    outcome: 'succeeded',
    unchanged: true,
    last: 'check',
  });
  t.same(next(checked, after(['check', 1])), { kind: 'execute', phase: 'run' });
  t.match(ended(next(checked, after(['check', 2]))), { outcome: 'failed', reason: /check exited with 2/ });
  t.match(ended(next(checked, after(['check', 143]))), {
    outcome: 'failed',
    reason: /check was ended by SIGTERM/,
  });
});

t.test('a check may say what is there already, and need not', async (t) => {
  const outputs = { port: { type: 'int', secret: false, optional: false } } as const;
  const checked = job({ check: scriptOf('x'), outputs });
  t.match(ended(next(checked, after(['check', 0, 'port=80\n']))), { unchanged: true, outputs: { port: 80 } });
  t.match(ended(next(checked, after(['check', 0]))), { outcome: 'succeeded', outputs: {} });
  t.match(ended(next(checked, after(['check', 0, 'port=x\n']))), { outcome: 'failed' });
});

t.test('check-only changes nothing', async (t) => {
  const only = job({ mode: 'check-only', check: scriptOf('x') });
  t.match(ended(next(only, after(['check', 0]))), { outcome: 'succeeded', unchanged: true });
  t.match(ended(next(only, after(['check', 1]))), { outcome: 'succeeded', unchanged: false });
  t.match(ended(next(job({ mode: 'check-only' }), noProgress)), {
    outcome: 'succeeded',
    unchanged: false,
    last: null,
  });
});

t.test('verify-first without a check runs nothing', async (t) => {
  t.match(ended(next(job({ mode: 'verify-first' }), noProgress)), {
    outcome: 'failed',
    reason: /has no check/,
  });
});

t.test('outputs of the last run count', async (t) => {
  const outputs = { a: { type: 'string', secret: false, optional: false } } as const;
  const verify = { script: scriptOf('v'), everyMs: 1, timeoutMs: 1000 };
  t.match(ended(next(job({ outputs }), after(['run', 0, 'a=x\n']))), {
    outcome: 'succeeded',
    outputs: { a: 'x' },
  });
  t.match(ended(next(job({ outputs }), after(['run', 0]))), {
    outcome: 'failed',
    reason: /run ended without a in/,
  });
  t.match(ended(next(job({ outputs }), after(['run', 0, 'a']))), { outcome: 'failed', reason: /line 1/ });
  t.match(ended(next(job({ outputs, verify }), after(['run', 0, 'a=x'], ['verify', 0, 'a=y']))), {
    outcome: 'succeeded',
    last: 'verify',
    outputs: { a: 'x' },
  });
});

t.test('until runs again after a pause, until it is true', async (t) => {
  const outputs = { n: { type: 'int', secret: false, optional: false } } as const;
  const until = { expression: 'outputs.n == params.want && node.labels.rack == "a"', everyMs: 500 };
  const iterated = job({ until, outputs });
  t.same(next(iterated, after(['run', 0, 'n=1']), 1100), { kind: 'wait', untilMs: 1510 });
  t.same(next(iterated, after(['run', 0, 'n=1']), 1510), { kind: 'execute', phase: 'run' });
  t.same(
    next(iterated, after(['run', 7, 'n=2']), 1100),
    { kind: 'wait', untilMs: 1510 },
    'a failure is "not yet"',
  );
  t.same(
    next(iterated, after(['run', 0]), 1100),
    { kind: 'wait', untilMs: 1510 },
    'and so is a missing output',
  );
  t.match(ended(next(iterated, after(['run', 0, 'n=1'], ['run', 0, 'n=2']))), {
    outcome: 'succeeded',
    outputs: { n: 2 },
  });
  t.match(
    ended(next(job({ until: { ...until, expression: 'iteration == 2' } }), after(['run', 0], ['run', 0]))),
    {
      outcome: 'succeeded',
    },
  );
  t.match(ended(next(job({ until: { ...until, expression: 'exitCode + 1' } }), after(['run', 0]))), {
    outcome: 'failed',
    reason: /cannot evaluate "until"/,
  });
  t.match(ended(next(iterated, after(['run', 0, 'rubbish']))), { outcome: 'failed', reason: /outputs/ });
});

t.test('verify is tried again until its time is up', async (t) => {
  const verify = { script: scriptOf('v'), everyMs: 100, timeoutMs: 1000 };
  const verified = job({ verify });
  t.same(next(verified, after(['run', 0])), { kind: 'execute', phase: 'verify' });
  t.match(ended(next(verified, after(['run', 0], ['verify', 0]))), { outcome: 'succeeded', last: 'verify' });
  t.same(next(verified, after(['run', 0], ['verify', 1]), 1030), { kind: 'wait', untilMs: 1120 });
  t.same(next(verified, after(['run', 0], ['verify', 1]), 1200), { kind: 'execute', phase: 'verify' });
  t.match(ended(next(verified, after(['run', 0], ['verify', 1], ['verify', 4]), 2010)), {
    outcome: 'failed',
    reason: 'verify did not pass within 1 s; at last it exited with 4',
  });
});

t.test('a job without a run is its verify', async (t) => {
  const { run: _, ...rest } = job({ verify: { script: scriptOf('v'), everyMs: 1, timeoutMs: 1 } });
  t.same(next(rest, noProgress), { kind: 'execute', phase: 'verify' });
  t.match(ended(next(rest, after(['verify', 0]))), { outcome: 'succeeded' });
});
