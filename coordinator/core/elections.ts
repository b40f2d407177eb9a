/**
 * Which roles need another leader before a run can go on without what failed: the leader of one is never replaced by
 * itself, and what only it was to do would be left out if it just left.
 */
import { isOpenFailure, isOver } from './derive.ts';
import { usesLeader } from './selection.ts';
import type { Run } from './state.ts';

export type Election = {
  readonly role: string;
  /** Null when the one that was kept is not in the role any more. */
  readonly leader: string | null;
  /** What it has still to do as the leader; null when it has none. */
  readonly step: string | null;
  /** Who could lead, in order of names. */
  readonly candidates: readonly string[];
};

/** Roles without a leader first, then those whose leader has failed; none when nothing has to be decided. */
export function electionsDue(run: Run): readonly Election[] {
  if (run.end !== null || run.outcome !== null) return [];
  const due: Election[] = [];
  for (const { name, nodes, leader } of run.roles.values()) {
    const candidates = nodes.filter((node) => node !== leader && mayLead(run, node));
    if (leader === null) {
      if (nodes.length > 0 && usesLeader(run.pipeline, name))
        due.unshift({ role: name, leader, step: null, candidates });
      continue;
    }
    const step = hasOpenFailure(run, leader) ? leadingStep(run, name, leader) : undefined;
    if (step !== undefined) due.push({ role: name, leader, step, candidates });
  }
  return due;
}

/** It is in the run, and has not failed there itself: else it would be the next that has to be replaced. */
const mayLead = (run: Run, node: string): boolean =>
  (run.members.get(node)?.out ?? null) === null && !hasOpenFailure(run, node);

/** What a node has still to do in a run as the leader of a role: the first such step. */
export function leadingStep(run: Run, role: string, node: string): string | undefined {
  for (const { step, unit, jobs } of run.steps) {
    if (unit.unit.finally === true || step.part !== undefined) continue;
    if (!step.on.some((target) => target.role === role && target.who === 'leader')) continue;
    const job = jobs.get(node);
    if (job === undefined || isOver(job) || job.state === 'failed') continue;
    return step.id;
  }
  return undefined;
}

const hasOpenFailure = (run: Run, node: string): boolean =>
  run.steps.some(({ jobs }) => {
    const job = jobs.get(node);
    return job !== undefined && isOpenFailure(job);
  });

/** Options of `lockstep resume RUN` as they are typed: `--elect n2|n3 --role member`. */
export function electOption({ role, candidates }: Election, among: readonly Election[]): string {
  const node = candidates.length === 0 || candidates.length > 3 ? 'NODE' : candidates.join('|');
  return `--elect ${node}${among.length > 1 ? ` --role ${role}` : ''}`;
}

/** `l1 leads member and has init still to do` */
export const describeElection = ({ role, leader, step }: Election): string =>
  leader === null ? `role ${role} has no leader` : `${leader} leads ${role} and has ${step} still to do`;

/** What is typed first to let a held run go on, without `lockstep resume RUN`; null when no role needs a leader. */
export function firstElectOption(run: Run): string | null {
  const due = run.hold === null ? [] : electionsDue(run);
  const first = due.find(({ candidates }) => candidates.length > 0);
  return first === undefined ? null : electOption(first, due);
}
