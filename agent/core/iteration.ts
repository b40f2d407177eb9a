/**
 * Tells how far a job has come that is executed again and again, so that a loop which never ends can be told
 * from work. It is of the moment: nothing follows from it, nobody acknowledges it, and it may be lost.
 */
import { limits } from '../../shared/limits.ts';
import type { Iteration } from '../../shared/messages.ts';
import type { Job } from './ledger.ts';
import { type Execution, type Progress, signalOf } from './next-step.ts';
import type { Turn } from './turn.ts';

/** The last execution that ended and did not suffice; undefined when the job does nothing twice. */
function lastIteration({ attempt, specification }: Job, progress: Progress): Iteration | undefined {
  const { run, runs, verify, executions } = progress;
  const told = (number: number, { phase, status }: Execution): Iteration => ({
    attempt,
    phase: phase === 'verify' ? 'verify' : 'run',
    number,
    exitCode: status,
    signal: signalOf(status),
  });
  if (verify !== null) return told(executions - runs - (specification.check === undefined ? 0 : 1), verify);
  return specification.until === undefined || run === null ? undefined : told(runs, run);
}

/** No more often than is of use to somebody who looks, however fast the iterations are. */
export function tellIteration(turn: Turn, progress: Progress): void {
  const { link, iterationTold } = turn.state;
  const iteration = lastIteration(turn.job, progress);
  if (link.kind !== 'joined' || iteration === undefined) return;
  const atMs = turn.now.monotonicMs;
  const soFar = iterationTold?.attempt === iteration.attempt ? iterationTold.atMs : null;
  if (soFar !== null && atMs - soFar < limits.iterationTellMs) return;
  turn.state = { ...turn.state, iterationTold: { attempt: iteration.attempt, atMs } };
  turn.emit({ kind: 'send', message: { type: 'iterated', ...iteration } });
}

/** A coordinator that has just been found knows of none. */
export function tellIterationAnew(turn: Turn): void {
  const { activity } = turn.state;
  if (activity.kind !== 'executing' && activity.kind !== 'pausing') return;
  turn.state = { ...turn.state, iterationTold: null };
  tellIteration(turn, activity.progress);
}
