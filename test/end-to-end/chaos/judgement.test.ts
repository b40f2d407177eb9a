/** The judges find what is wrong: a story in which all is well, and the same with one thing wrong at a time. */
import t from 'tap';
import type { Event, EventBody } from '../../../coordinator/core/events.ts';
import { type Effects, judgeEffects, judgeLogs, judgeOrder, judgeSlots } from './judgement.ts';

const granted = (step: string, node: string): EventBody => ({
  type: 'JobGranted',
  run: 'r1',
  step,
  node,
  attempt: 1,
  attemptsMax: 1,
  mode: 'normal',
  task: 0,
  inputs: {},
});
const eventsOf = (...bodies: readonly EventBody[]): Event[] =>
  bodies.map((body, index) => ({ seq: index + 1, at: 0, ...body }));
const effectsOf = (attempts: Readonly<Record<number, readonly string[]>>) => (): Effects =>
  new Map(Object.entries(attempts).map(([number, lines]) => [Number(number), lines]));

t.test('side effects', async (t) => {
  const events = eventsOf(granted('b0-first', 'n1'));
  const first = 'r1/b0-first/n1#1';
  t.strictSame(judgeEffects(events, effectsOf({ 1: [first] })), []);
  t.match(judgeEffects(events, effectsOf({})), [/left nothing/]);
  t.match(judgeEffects(events, effectsOf({ 1: [first], 2: ['r1/b0-first/n1#2'] })), [/did in attempts 1,2/]);
  t.match(judgeEffects(events, effectsOf({ 1: [first, first] })), [/was executed 2 times/]);
  t.match(judgeEffects(events, effectsOf({ 1: ['r1/b0-first/n2#1'] })), [/has lines of others/]);
  const again = eventsOf(granted('b0-second', 'n1'));
  const both = { 1: ['r1/b0-second/n1#1'], 2: ['r1/b0-second/n1#2'] };
  t.strictSame(judgeEffects(again, effectsOf(both)), [], 'what may run again may');
});

/** Both nodes go through the first steps; `lines` in the order in which they were written. */
const trace = (...lines: readonly string[]): string[] => lines.map((line) => `r1/${line}`);

t.test('order', async (t) => {
  const chain = trace('b0-first/n1#1 begin', 'b0-first/n1#1 end', 'b0-second/n1#1 begin');
  const other = trace('b0-first/n2#1 begin', 'b0-first/n2#1 end');
  t.strictSame(judgeOrder([], [...chain, ...other], 'r1'), [], 'another node is not waited for in a chain');
  t.match(judgeOrder([], chain.toReversed(), 'r1'), [
    /b0-second began on n1 before b0-first had ended on n1/,
  ]);
  const barrier = trace('b0-fourth/n1#1 end', 'b0-word/n1#1 begin', 'b0-fourth/n2#1 end');
  t.match(judgeOrder([], barrier, 'r1'), [/b0-word began on n1 before b0-fourth had ended on n2/]);
  t.strictSame(judgeOrder([], barrier, 'r2'), [], 'another run');
  const deferred = eventsOf({ type: 'JobDeferred', run: 'r1', step: 'b0-fourth', node: 'n2', until: 0 });
  t.strictSame(judgeOrder(deferred, barrier, 'r1'), [], 'nobody waits for what is deferred');
});

t.test('slots', async (t) => {
  const turn = (node: string) => [`b0-stop/${node}#1 begin`, `b0-start/${node}#1 end`];
  const inTurn = trace(...turn('n1'), ...turn('n2'), ...turn('n3'));
  t.strictSame(judgeSlots(inTurn, 'r1'), []);
  const atOnce = trace(...['n1', 'n2', 'n3'].map((node) => `b0-stop/${node}#1 begin`), ...turn('n1'));
  t.strictSame(judgeSlots([...atOnce, ...trace(...turn('n2'), ...turn('n3'))], 'r1'), [
    'r1: 3 nodes at once in b0-rolling',
  ]);
});

t.test('logs', async (t) => {
  const attempt = 'r1/b0-first/n1#1';
  const whole = Array.from({ length: 200 }, (_, line) => `${attempt} 1 ${line + 1}\n`).join('');
  const ended = (outcome: 'succeeded' | 'interrupted', stdout: number): Event[] =>
    eventsOf({
      ...{ type: 'AttemptEnded', run: 'r1', step: 'b0-first', node: 'n1', attempt: 1, outcome, final: true },
      ...{ unchanged: false, exitCode: 0, signal: null, reason: null, iterations: 1, durationMs: 1 },
      ...{ nodeStartedAt: null, nodeFinishedAt: null, outputs: {}, logs: { stdout, stderr: 0 } },
    });
  const judge = (events: readonly Event[], text: string, more: { gapBytes?: number } = {}) =>
    judgeLogs(
      events,
      [{ attempt, stream: 'stdout', offset: 0, text, ...more }],
      'r1',
      effectsOf({ 1: [attempt] }),
    );
  t.strictSame(judge(ended('succeeded', whole.length), whole), []);
  t.match(judge(ended('succeeded', whole.length), whole.slice(0, -1)), [/that were announced/, /ends early/]);
  const cut = whole.slice(0, 100);
  t.strictSame(judge(ended('interrupted', 100), cut), [], 'what was interrupted may end early');
  t.match(judge(ended('interrupted', 100), cut.replace('#1', '#2')), [/is not what was printed/]);
  t.match(judge(ended('succeeded', whole.length), whole, { gapBytes: 1 }), [/has a gap/]);
  t.match(
    judgeLogs(ended('succeeded', whole.length), [], 'r1', effectsOf({ 1: [attempt] })),
    [/has 0 bytes/, /ends early/],
    'nothing at all',
  );
});
