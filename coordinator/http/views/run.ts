/** A run of the state, or what is left of an archived one, as the API shows it. */
import type * as z from 'zod';
import { jobIdOf } from '../../../shared/ids.ts';
import type { Iteration } from '../../../shared/messages.ts';
import { parts } from '../../../shared/parts.ts';
import type { Lookup } from '../../core/commands.ts';
import { countDeferrals, deferralOf } from '../../core/deferral-count.ts';
import { electionsDue } from '../../core/elections.ts';
import type { StoredValue } from '../../core/event-values.ts';
import { executorOf } from '../../core/executors.ts';
import { type IterationOf, iterationOfJob } from '../../core/explain-live.ts';
import type { JobState } from '../../core/job-state.ts';
import type { ApprovalState, ArchivedRun, DeferralCounts } from '../../core/run-parts.ts';
import { isParkedAsWhole, runStateOf } from '../../core/shown-states.ts';
import type { Job, Run, UnitState } from '../../core/state.ts';
import type * as resources from '../resources.ts';
import { shownValue, shownValues, timeOf, timeOrNull } from './value.ts';

export type RunView = z.infer<typeof resources.run>;
export type RunListed = z.infer<typeof resources.runListed>;
export type JobView = z.infer<typeof resources.job>;

export function viewRunListed(run: Run): RunListed {
  return {
    id: run.id,
    pipeline: run.pipeline.name,
    title: run.pipeline.title ?? null,
    cluster: run.cluster,
    state: runStateOf(run),
    seq: run.createdSeq,
    by: run.by,
    createdAt: timeOf(run.createdAt),
    startedAt: timeOrNull(run.startedAt),
    finishedAt: timeOrNull(run.end?.at ?? null),
    reason: reasonOf(run),
    counts: countJobs(run),
    ...deferralCounts(countDeferrals(run)),
  };
}

/** How many jobs it had in which state is in its document only. */
export function viewArchivedRun(run: ArchivedRun): RunListed {
  return {
    id: run.id,
    pipeline: run.pipeline,
    title: null,
    cluster: run.cluster,
    state: run.end.state,
    seq: run.createdSeq,
    by: run.by,
    createdAt: timeOf(run.createdAt),
    startedAt: timeOrNull(run.startedAt),
    finishedAt: timeOf(run.end.at),
    reason: run.end.reason === '' ? null : run.end.reason,
    counts: {},
    ...deferralCounts(run.deferral),
  };
}

const deferralCounts = (deferral: DeferralCounts | undefined): Pick<RunListed, 'deferral'> =>
  deferral === undefined ? {} : { deferral };

export function viewRun(run: Run, lookup: Lookup, withJobs: boolean, iterationOf: IterationOf): RunView {
  const params = Object.entries(run.params).map(([name, { value }]) => [name, shownValue(value, lookup)]);
  const out = [...run.members.values()].filter((member) => member.out !== null);
  return {
    ...viewRunListed(run),
    digest: run.digest,
    checkOnly: run.checkOnly,
    from: run.from,
    params: Object.fromEntries(params),
    roles: Object.fromEntries(
      [...run.roles.values()].map(({ name, nodes, leader }) => [name, { nodes: [...nodes], leader }]),
    ),
    units: run.units.map(viewUnit),
    elections: electionsDue(run).map((due) => ({ ...due, candidates: [...due.candidates] })),
    out: Object.fromEntries(out.map(({ node, out }) => [node.name, out ?? ''])),
    ...(withJobs
      ? {
          jobs: run.steps.flatMap((step) =>
            [...step.jobs.values()].map((job) => viewJob(job, lookup, iterationOfJob(job, iterationOf))),
          ),
        }
      : {}),
  };
}

function viewUnit({ unit, nodes, approval, slots, wave, window }: UnitState): RunView['units'][number] {
  return {
    id: unit.id,
    kind: unit.kind,
    title: unit.title ?? null,
    strategy: unit.strategy.kind,
    steps: unit.steps.map(({ id, title, needs, part }) => ({
      id,
      title: title ?? null,
      needs: needs.map((need) => need.step),
      part: part ?? null,
    })),
    nodes: [...nodes],
    approval: viewApproval(unit.approve ?? null, approval),
    slots: [...slots].map(([node, since]) => ({ node, since: timeOf(since) })),
    ...(unit.window === undefined
      ? {}
      : {
          window: {
            ...unit.window,
            open: window?.open ?? null,
            until: timeOrNull(window?.until ?? null),
          },
        }),
    wave: wave + 1,
    waves: unit.strategy.kind === 'rolling' ? unit.strategy.waves.length : 1,
  };
}

function viewApproval(text: string | null, approval: ApprovalState): RunView['units'][number]['approval'] {
  return {
    state: approval.kind,
    text,
    by: 'by' in approval ? approval.by : null,
    at: 'at' in approval ? timeOf(approval.at) : null,
  };
}

function viewJob(job: Job, lookup: Lookup, iteration: Iteration | undefined): JobView {
  const { contact, contactSince } = executorOf(job).node;
  const isAway = contact !== 'connected' && (job.state === 'granted' || job.state === 'running');
  const step = job.step.step.id;
  const node = job.member.node.name;
  return {
    id: jobIdOf(job.run.id, step, node),
    step,
    node,
    executor: job.executor?.node.name ?? null,
    state: job.state,
    attempt: job.attempt,
    exitCode: job.exitCode,
    startedAt: timeOrNull(job.startedAt),
    finishedAt: timeOrNull(job.finishedAt),
    outputs: job.outputs === null ? {} : shownValues(job.outputs, lookup),
    since: timeOf(job.since),
    outcome: job.outcome,
    unchanged: job.unchanged,
    signal: job.signal,
    reason: job.reason,
    durationMs: job.durationMs,
    ...viewParts(job.parts, lookup),
    ...(iteration === undefined ? {} : { iteration: viewIteration(iteration) }),
    ...(isAway ? { awaySince: timeOf(contactSince) } : {}),
    ...viewDeferral(job),
  };
}

function viewDeferral(job: Job): Pick<JobView, 'deferral'> {
  const deferral = deferralOf(job);
  if (deferral === undefined) return {};
  const { state, since } = deferral;
  return {
    deferral: {
      state,
      since: timeOf(since),
      ...(state === 'deferred' ? { until: timeOf(deferral.until) } : {}),
      ...(state === 'superseded' ? { by: deferral.by } : {}),
    },
  };
}

function viewParts(stored: StoredValue | undefined, lookup: Lookup): Pick<JobView, 'parts' | 'partsOmitted'> {
  if (stored === undefined) return {};
  const { list, omitted } = parts.parse(shownValue(stored, lookup));
  return { parts: list, ...(omitted === 0 ? {} : { partsOmitted: omitted }) };
}

const viewIteration = ({ attempt: _, ...iteration }: Iteration): JobView['iteration'] => iteration;

function reasonOf(run: Run): string | null {
  if (run.end === null && run.cancel === null && run.hold === null && isParkedAsWhole(run)) {
    const parked = run.units
      .filter((unit) => unit.jobsReady > 0)
      .map(({ unit, window }) => {
        const until = window?.until == null ? '' : ` until ${timeOf(window.until)}`;
        return `${unit.id} is outside of its window${until}`;
      });
    return parked.join('; ');
  }
  const { reason } = run.end ?? run.outcome ?? run.cancel ?? run.hold ?? run.failing ?? { reason: '' };
  return reason === '' ? null : reason;
}

function countJobs(run: Run): Partial<Record<JobState, number>> {
  const counts: Partial<Record<JobState, number>> = {};
  for (const { jobs } of run.steps)
    for (const { state } of jobs.values()) counts[state] = (counts[state] ?? 0) + 1;
  return counts;
}
