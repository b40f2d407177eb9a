/** The part of the fold that concerns nodes which are to come. See expected-nodes.ts for what is decided. */
import type { Actor } from './event-values.ts';
import { type Expectation, type ExpectedNode, marksOfExpectation } from './expectation.ts';
import type { State } from './state.ts';

export function expectNode(state: State, told: Expectation, by: Actor): void {
  const since = state.expected.get(told.node)?.since ?? state.at;
  forgetExpectation(state, told.node);
  keepExpectation(state, { ...told, by, since });
}

export function keepExpectation(state: State, expected: ExpectedNode): void {
  state.expected.set(expected.node, expected);
  for (const mark of marksOfExpectation(expected)) state.expectedMarks.set(mark, expected.node);
}

export function forgetExpectation(state: State, name: string): void {
  const expected = state.expected.get(name);
  if (expected === undefined) return;
  state.expected.delete(name);
  for (const mark of marksOfExpectation(expected))
    if (state.expectedMarks.get(mark) === name) state.expectedMarks.delete(mark);
}
