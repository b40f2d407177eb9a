/** The part of the fold that concerns maintenance windows. See evolve.ts. */
import type { Event } from './events.ts';
import type { Run, State, UnitState } from './state.ts';
import { wakeRun } from './transitions.ts';

export function evolveWindow(
  state: State,
  run: Run,
  unit: UnitState,
  { type, until }: Extract<Event, { type: 'WindowOpened' | 'WindowClosed' }>,
): void {
  unit.window = { open: type === 'WindowOpened', until };
  if (until !== null) state.deadlines.add({ at: until, kind: 'window', run: run.id, unit: unit.index });
  if (unit.window.open) wakeRun(state, run);
  else state.agenda.runs.add(run);
}
