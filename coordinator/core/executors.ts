/**
 * Who carries out a job. It is the job's own node, unless the step says `runOn`: then the job is done for that
 * node, its target, by another one. The target has the slot and its place in the order; the executor has the
 * attempt, with its credit, its link and its one job at a time.
 */
import { parseAttemptId } from '../../shared/ids.ts';
import type { Target } from '../../shared/pipeline/model.ts';
import { isOfLostRun } from './reign.ts';
import type { Job, Member, Node, Run, State } from './state.ts';

/** Of the attempt that was granted last. */
export const executorOf = (job: Job): Member => job.executor ?? job.member;

/**
 * Who is to carry it out as things are: of a role of several the targets are spread over those that can be
 * reached, in order of names. Undefined when nobody is left who could.
 */
export function executorFor(job: Job): Member | undefined {
  const { runOn } = job.step.step;
  if (runOn === undefined) return job.member;
  const candidates = membersOf(job.run, runOn).filter(({ out }) => out === null);
  const usable = candidates.filter(
    ({ node }) => node.contact !== 'unreachable' && node.administration === 'in-service',
  );
  const among = usable.length > 0 ? usable : candidates;
  const place = job.step.unit.rank.get(job.member.node.name) ?? 0;
  return among[place % among.length];
}

/** Whom it is for, the node in its name among them: of a step for a whole role all that take part in the run. */
export function targetsOf(job: Job): readonly Member[] {
  const { run, member } = job;
  const { scope, offline } = job.step.step;
  if (scope === undefined) return [member];
  return membersOf(run, { role: scope.role, who: 'all' }).filter(
    ({ out, node }) => out === null && (offline !== 'skip' || node.contact !== 'unreachable'),
  );
}

/** For whom the live job is, but for the node that carries it out: nothing else is done for them meanwhile. */
export function attendedBy(job: Job): readonly Node[] {
  const carrier = executorOf(job).node;
  const names = job.grant?.targets ?? [job.member.node.name];
  return names.flatMap((name) => job.run.members.get(name)?.node ?? []).filter((node) => node !== carrier);
}

function membersOf(run: Run, { role: name, who }: Target): readonly Member[] {
  const role = run.roles.get(name);
  if (role === undefined) return [];
  const names = role.nodes.filter((node) => who === 'all' || (who === 'leader') === (node === role.leader));
  return names.flatMap((node) => run.members.get(node) ?? []);
}

/** Jobs of `waiting` are looked at again when the node that is to carry them out, or that they are for too, has time. */
export function awaitNode(node: Node, waiting: Node): void {
  node.awaitedBy.add(waiting);
}

/** Whether another node than the one in its name may have an attempt; also of runs that are archived or lost. */
export function mayBeCarriedOutByOthers(state: State, attempt: string): boolean {
  const name = parseAttemptId(attempt);
  if (name === undefined) return false;
  if (isOfLostRun(state.restoration, name)) return true;
  const run = state.runs.get(name.run);
  if (run === undefined) return state.archive.has(name.run);
  return run.steps[run.stepIndex.get(name.step) ?? -1]?.step.runOn !== undefined;
}
