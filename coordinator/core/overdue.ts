/** What follows from time alone: nodes and jobs count as lost, pauses end, and what is not back in time is given up. */
import { limits } from '../../shared/limits.ts';
import { formatDuration } from '../../shared/pipeline/duration.ts';
import { namesOf } from './job-names.ts';
import { giveUpGathering } from './planning.ts';
import { giveUpReboot } from './results.ts';
import type { Job } from './state.ts';
import type { Turn } from './turn.ts';
import { renewWindow } from './windows.ts';

export function takeDeadlines(turn: Turn): void {
  const { state } = turn;
  for (;;) {
    const due = state.deadlines.takeDue(turn.at);
    if (due === undefined) return;
    if (due.kind === 'contact') {
      const node = state.nodes.get(due.node);
      if (node?.contact !== 'disconnected') continue;
      if (node.contactSince + limits.unknownAfterDefaultMs > turn.at) continue;
      turn.emit({ type: 'NodeUnreachable', node: node.name, since: node.contactSince });
    } else if (due.kind === 'unknown') {
      loseContact(turn, due.node);
    } else if (due.kind === 'pause') {
      const run = state.runs.get(due.run);
      const unit = run?.units[due.unit];
      if (run !== undefined && unit !== undefined && run.end === null) state.agenda.units.set(unit, run);
    } else if (due.kind === 'window') {
      renewWindow(turn, due.run, due.unit);
    } else if (due.kind === 'deferral') {
      giveUpDeferred(turn, due.run, due.node);
    } else if (due.kind === 'trigger') {
      state.agenda.triggers.add(due.trigger);
    } else if (due.kind === 'reboot') {
      giveUpReboot(turn, due.node);
    } else {
      giveUpGathering(turn, due.run);
    }
  }
}

function loseContact(turn: Turn, name: string): void {
  const node = turn.state.nodes.get(name);
  if (node === undefined || node.contact === 'connected') return;
  for (const job of [...node.segment]) {
    // Its node is away on purpose, and its work is done.
    if (job.reboot !== null) continue;
    if (job.state === 'unknown' || node.contactSince + job.step.step.unknownAfterMs > turn.at) continue;
    turn.emit({ type: 'JobUnknown', ...namesOf(job), attempt: job.attempt, since: node.contactSince });
    stopForUnknown(turn, job);
  }
}

/** What the step says that an unknown job means for its run, beyond the budget. */
function stopForUnknown(turn: Turn, { run, step, member }: Job): void {
  const { id, onUnknown } = step.step;
  if (onUnknown === undefined || run.cancel !== null || run.failing !== null) return;
  const reason = `${id} is unknown on ${member.node.name}, and its onUnknown is ${onUnknown}`;
  if (onUnknown === 'stop') {
    turn.emit({ type: 'RunFailing', run: run.id, unit: step.unit.unit.id, reason, hold: false });
  } else if (run.hold === null) {
    turn.emit({ type: 'RunHeld', run: run.id, needs: 'decision', reason });
  }
}

/** Jobs whose node was not back in time are left out, as if the step had skipped them. */
function giveUpDeferred(turn: Turn, runId: string, name: string): void {
  const run = turn.state.runs.get(runId);
  const member = run?.members.get(name);
  if (run === undefined || member === undefined || run.end !== null) return;
  for (const index of [...member.deferred]) {
    const job = run.steps[index]?.jobs.get(name);
    if (job?.deferred == null || job.deferred.until > turn.at) continue;
    if (job.state !== 'deferred' && job.state !== 'ready') continue;
    const after = formatDuration(job.step.step.deferUntilMs ?? limits.deferUntilDefaultMs);
    turn.emit({
      type: 'JobSkipped',
      ...namesOf(job),
      reason: `deferred for ${after}, and the node was not back`,
      missed: { how: 'overdue' },
    });
  }
}
