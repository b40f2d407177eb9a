/**
 * Deferred jobs: their node is away and the others went on without it. Nobody waits for them any more, so they
 * count as settled; what they have still to do is done when the node is back, in order, under the same bounds.
 * A run that has only such jobs left lets its nodes go, and stands in line for each when it has returned.
 */
import type { Job, Member, Node, Run, State } from './state.ts';
import { insertSorted, setJobState, settle, stepAside } from './transitions.ts';

export function deferJob(state: State, job: Job, until: number): void {
  const { run, step, member } = job;
  setJobState(state, job, 'deferred');
  if (job.deferred === null) {
    job.deferred = { until };
    job.deferredSince ??= state.at;
    run.jobsDeferred += 1;
    insertSorted(member.deferred, step.index);
    state.deadlines.add({ at: until, kind: 'deferral', run: run.id, node: member.node.name });
    settle(state, job);
  }
  if (run.deferredAt !== null) releaseNode(state, run, member);
}

/**
 * The node goes to the next run in line, when this one, of which nothing but deferred jobs is left, has nothing
 * for it to do now.
 */
export function releaseNode(state: State, run: Run, { node, ready }: Member): void {
  if (run.deferredAt === null || ready.length > 0 || node.segment[0]?.run === run) return;
  stepAside(state, run, node);
}

/** After the runs that have begun, and before those that only wait: what was deferred is the older promise. */
export function returnNode(state: State, run: Run, node: Node): void {
  node.deferredRuns.splice(node.deferredRuns.indexOf(run), 1);
  const { queue } = node;
  const started = queue.findIndex((other) => other.startedAt === null);
  const place = started < 0 ? queue.length : started;
  const [first] = queue;
  if (place === 0 && first !== undefined) first.membersAwaited += 1;
  queue.splice(place, 0, run);
  state.agenda.nodes.add(node);
}
