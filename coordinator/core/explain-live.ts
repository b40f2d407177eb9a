/** What is awaited of a job that its node was given: a start, a result, a reboot; and how far it is, as the node tells. */
import type { Iteration } from '../../shared/messages.ts';
import { executorOf } from './executors.ts';
import type { Gate } from './gate.ts';
import { attemptOf } from './job-names.ts';
import type { Job } from './state.ts';

/** What connected nodes tell of the executions that they repeat. It is of the moment, and not part of the state. */
export type IterationOf = (node: string) => Iteration | undefined;

/** The iteration of its live attempt, when its node tells of one. */
export function iterationOfJob(job: Job, iterationOf: IterationOf): Iteration | undefined {
  const iteration = job.state === 'running' ? iterationOf(executorOf(job).node.name) : undefined;
  return iteration?.attempt === attemptOf(job) ? iteration : undefined;
}

export function howFar(job: Job, iterationOf: IterationOf): string {
  const iteration = iterationOfJob(job, iterationOf);
  if (iteration === undefined) return '';
  const { phase, number, exitCode, signal } = iteration;
  const how = signal === null ? `ended with exit code ${exitCode}` : `was ended by ${signal}`;
  return phase === 'verify'
    ? `: its verify has not passed, try ${number} ${how}`
    : `: iteration ${number} ${how}, and its until does not hold yet`;
}

export function grantedGate(job: Job): Gate {
  const { segment, name } = executorOf(job).node;
  const before = segment[segment.indexOf(job) - 1];
  if (before !== undefined) {
    return {
      gate: 'segment',
      sentence: `was granted to ${name} as attempt ${job.attempt} and begins there when ${before.step.step.id} has succeeded${away(job)}`,
      since: job.since,
    };
  }
  return {
    gate: 'start',
    sentence: `was granted to ${name} as attempt ${job.attempt} and has not been reported as started${away(job)}`,
    since: job.since,
  };
}

export function rebootGate(job: Job, { boot, until }: NonNullable<Job['reboot']>): Gate {
  const { node } = job.member;
  const where =
    node.contact === 'connected' && node.boot === boot
      ? 'is about to reboot'
      : 'is to come back from its reboot';
  return {
    gate: 'reboot',
    sentence: `is done but for the reboot that it asked for: ${node.name} ${where} until ${new Date(until).toISOString()}`,
    since: job.since,
  };
}

export function away(job: Job): string {
  const { node } = executorOf(job);
  return node.contact === 'connected' ? '' : `; ${node.name} is not connected at the moment${mayGoOn(job)}`;
}

/** How far the node may go by itself while nobody hears from it. */
export function mayGoOn(job: Job): string {
  const { segment } = executorOf(job).node;
  const last = segment.at(-1);
  if (last === undefined || last === job) return '';
  return ` and may go on as far as ${last.step.step.id}`;
}
