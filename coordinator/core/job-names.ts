/** How jobs are named in events and to agents, and what it means that a node speaks of one. */
import { attemptIdOf, jobIdOf } from '../../shared/ids.ts';
import type { Job } from './state.ts';
import type { Turn } from './turn.ts';

export const idOf = (job: Job): string => jobIdOf(job.run.id, job.step.step.id, job.member.node.name);

export const attemptOf = (job: Job): string => attemptIdOf(idOf(job), job.attempt);

export const namesOf = (job: Job): { run: string; step: string; node: string } => ({
  run: job.run.id,
  step: job.step.step.id,
  node: job.member.node.name,
});

export function markFound(turn: Turn, job: Job): void {
  if (job.state === 'unknown') turn.emit({ type: 'JobFound', ...namesOf(job), attempt: job.attempt });
}

export function markStarted(turn: Turn, job: Job, attempt: number, nodeAt = turn.at): void {
  markFound(turn, job);
  if (job.state === 'running' && job.attempt === attempt) return;
  turn.emit({ type: 'JobStarted', ...namesOf(job), attempt, nodeAt });
}
