/** Approvals, cancels and archiving: what operators do to a run as a whole. Resuming is in resume.ts. */

import { requireThat } from './administration.ts';
import type { Command } from './commands.ts';
import { isAftermath } from './derive.ts';
import { attemptOf } from './job-names.ts';
import { runStateOf } from './shown-states.ts';
import type { Run, UnitState } from './state.ts';
import type { Turn } from './turn.ts';
import { Rejection } from './turn.ts';

function requireRun(turn: Turn, id: string): Run {
  const run = turn.state.runs.get(id);
  if (run !== undefined) return run;
  const archived = turn.state.archive.get(id);
  if (archived !== undefined) throw new Rejection('conflict', `run ${id} has ended (${archived.end.state})`);
  throw new Rejection('not-found', `no run has the id ${id}: see lockstep runs`);
}

export function requireActive(turn: Turn, id: string): Run {
  const run = requireRun(turn, id);
  requireThat(run.end === null, 'conflict', `run ${id} has ended (${run.end?.state ?? ''})`);
  return run;
}

export function answerApproval(
  turn: Turn,
  command: Extract<Command, { type: 'ApproveUnit' | 'RejectUnit' }>,
): void {
  const run = requireActive(turn, command.run);
  const unit = requestedUnit(run, command.unit);
  const { by, reason } = command;
  if (command.type === 'ApproveUnit') {
    turn.emit({ type: 'ApprovalGiven', run: run.id, unit: unit.unit.id, digest: run.digest, by, reason });
    return;
  }
  turn.emit({ type: 'ApprovalRejected', run: run.id, unit: unit.unit.id, by, reason });
  if (run.cancel === null) cancelRun(turn, run.id, by, `${unit.unit.id} was rejected: ${reason}`);
}

function requestedUnit(run: Run, id: string | null): UnitState {
  const requested = run.units.filter((unit) => unit.approval.kind === 'requested');
  const names = requested.map((unit) => unit.unit.id).join(', ');
  if (id !== null) {
    const unit = run.units.find((candidate) => candidate.unit.id === id);
    if (unit === undefined) throw new Rejection('not-found', `run ${run.id} has no step ${id}`);
    requireThat(
      unit.approval.kind === 'requested',
      'conflict',
      `step ${id} of run ${run.id} does not wait for an approval${names === '' ? '' : ` (${names} does)`}`,
    );
    return unit;
  }
  const [only] = requested;
  if (only === undefined) {
    throw new Rejection('conflict', `run ${run.id} does not wait for an approval (it is ${runStateOf(run)})`);
  }
  requireThat(
    requested.length === 1,
    'usage',
    `run ${run.id} waits for several approvals: name one of ${names}`,
  );
  return only;
}

export function cancelRun(turn: Turn, id: string, by: string, reason: string): void {
  const run = requireActive(turn, id);
  // One that only gives way to another may be ended at once all the same. Said once more, it also ends what is done
  // after steps that have ended.
  const again = run.cancel !== null && run.cancel.replacedBy === undefined;
  if (again && (run.cancel?.wholly === true || run.jobsAftermath === 0)) return;
  turn.emit({ type: 'RunCancelRequested', run: id, by, reason });
  for (const { node } of run.members.values()) {
    // The last one first: otherwise the next would begin when the one before it is ended.
    for (const job of node.segment.toReversed()) {
      if (job.run !== run) break;
      if (!again && isAftermath(job.step)) continue;
      turn.effect({ kind: 'cancel', node: node.name, attempt: attemptOf(job), reason });
    }
  }
}

export function archiveRun(turn: Turn, id: string, digest: string): void {
  const run = requireRun(turn, id);
  requireThat(run.end !== null, 'conflict', `run ${id} has not ended`);
  turn.emit({ type: 'RunArchived', run: id, digest });
}
