/** The report of a run: what its jobs, its note and its story come to. How it is written out is the reader's. */
import type * as z from 'zod';
import { limits } from '../../../shared/limits.ts';
import type { Lookup } from '../../core/commands.ts';
import type { Story } from '../../core/run-story.ts';
import type * as resources from '../resources.ts';
import type { JobView, RunView } from './run.ts';
import { changed, kindFrom, type RunNote, viewGiven, viewPipeline } from './run-note.ts';
import { timeOf, timeOrNull } from './value.ts';

export type ReportView = z.infer<typeof resources.report>;

export type ReportParts = {
  readonly run: RunView;
  /** Undefined for a run that a version archived which noted nothing. */
  readonly note: RunNote | undefined;
  readonly story: Story;
  readonly missing: readonly string[];
  readonly now: number;
  readonly lookup: Lookup;
};

export function viewReport({ run, note, story, missing, now, lookup }: ReportParts): ReportView {
  const { created } = story;
  const pipeline = note ?? (created === null ? undefined : viewPipeline(created.pipeline, lookup));
  const params = note?.params ?? (created === null ? undefined : viewGiven(created.params, lookup));
  const jobs = jobsByStep(run.jobs ?? []);
  return {
    run: run.id,
    pipeline: run.pipeline,
    title: run.title,
    pipelineDigest: pipeline?.pipelineDigest ?? null,
    digest: run.digest,
    modules: pipeline?.modules ?? {},
    cluster: run.cluster,
    state: run.state,
    reason: run.reason,
    by: run.by,
    limit: note?.limit ?? created?.limit ?? null,
    checkOnly: run.checkOnly,
    createdAt: run.createdAt,
    startedAt: run.startedAt,
    finishedAt: run.finishedAt,
    tookMs: spanMs(run.startedAt ?? run.createdAt, run.finishedAt),
    params:
      params ??
      Object.entries(run.params).map(([name, value]) => ({ name, from: null, value, secret: null })),
    nodes: viewNodes(run, note, story, lookup),
    steps: run.units.flatMap((unit) =>
      unit.steps.map(({ id, title }) => {
        const noted = pipeline?.steps.find((step) => step.id === id);
        return {
          id,
          title,
          unit: unit.id,
          on: noted?.on ?? [],
          last: noted?.last ?? false,
          ...summarise(jobs.get(id) ?? []),
        };
      }),
    ),
    waves: story.waves.map((wave) => ({ ...wave, at: timeOf(wave.at), nodes: [...wave.nodes] })),
    slots: story.slots.map((slot) => ({ ...slot, at: timeOf(slot.at), until: timeOrNull(slot.until) })),
    approvals: viewApprovals(run, story),
    deviations: story.deviations.map((one) => ({
      ...one,
      at: timeOf(one.at),
      until: timeOrNull(one.until),
    })),
    deferred: (run.jobs ?? []).filter(isOwed).map(({ step, node, state, deferral }) => ({
      step,
      node,
      overdue: deferral === undefined ? state !== 'deferred' : deferral.state === 'overdue',
      ...(deferral?.by === undefined ? {} : { supersededBy: deferral.by }),
      ...(deferral?.state === 'late' ? { late: true } : {}),
    })),
    ...(run.deferral === undefined ? {} : { deferral: run.deferral }),
    leftOut: story.leftOut,
    missing: [
      ...missing,
      ...(run.jobs === undefined ? ['what became of single jobs: it was not kept'] : []),
      ...(pipeline === undefined ? ['the digest of the pipeline, and which roles its steps are for'] : []),
      ...(note === undefined ? ['what kinds of nodes these were: nothing was noted of them'] : []),
    ],
    madeAt: timeOf(now),
  };
}

/** It was deferred, and done, given up or left to a later run since. What old versions archived says so by its reason. */
const isOwed = ({ state, reason, deferral }: JobView): boolean =>
  (deferral !== undefined && deferral.state !== 'dropped') ||
  state === 'deferred' ||
  (state === 'skipped' && reason?.startsWith('deferred for ') === true);

const spanMs = (from: string | null, to: string | null): number | null =>
  from === null || to === null ? null : Math.max(0, Date.parse(to) - Date.parse(from));

function jobsByStep(jobs: readonly JobView[]): ReadonlyMap<string, readonly JobView[]> {
  const byStep = new Map<string, JobView[]>();
  for (const job of jobs) {
    const others = byStep.get(job.step);
    if (others === undefined) byStep.set(job.step, [job]);
    else others.push(job);
  }
  return byStep;
}

function viewNodes(
  run: RunView,
  note: RunNote | undefined,
  story: Story,
  lookup: Lookup,
): ReportView['nodes'] {
  const roles = Object.entries(run.roles);
  const names = [...new Set(roles.flatMap(([, { nodes }]) => nodes))];
  const rolesOf = new Map<string, string[]>(names.map((name) => [name, []]));
  for (const [role, { nodes }] of roles) for (const node of nodes) rolesOf.get(node)?.push(role);
  return names.map((name) => {
    const noted = note?.nodes[name];
    const kind = noted?.found ?? null;
    const agent = story.agents.get(name) ?? kind?.agent ?? '';
    const facts = story.facts.get(name) ?? null;
    const later =
      kind === null
        ? null
        : facts === null
          ? { ...(noted?.became ?? kind), agent }
          : kindFrom(facts, kind.platform, agent, lookup);
    return {
      name,
      roles: rolesOf.get(name) ?? [],
      leads: roles.filter(([, { leader }]) => leader === name).map(([role]) => role),
      kind,
      became: kind === null || later === null ? null : (changed(kind, later) ?? noted?.became ?? null),
      out: run.out[name] ?? null,
    };
  });
}

type Summary = Omit<ReportView['steps'][number], 'id' | 'title' | 'unit' | 'on' | 'last'>;

function summarise(jobs: readonly JobView[]): Summary {
  const counts: Record<string, number> = {};
  for (const { state } of jobs) counts[state] = (counts[state] ?? 0) + 1;
  const starts = jobs.flatMap(({ startedAt }) => startedAt ?? []).toSorted();
  const ends = jobs.flatMap(({ finishedAt, startedAt }) => (startedAt === null ? [] : (finishedAt ?? [])));
  const startedAt = starts[0] ?? null;
  const finishedAt = ends.toSorted().at(-1) ?? null;
  const timed = jobs
    .flatMap(({ node, durationMs }) => (durationMs === null ? [] : { node, durationMs }))
    .sort((a, b) => b.durationMs - a.durationMs);
  return {
    nodes: jobs.length,
    counts,
    unchanged: jobs.filter(({ state, unchanged }) => unchanged && state === 'succeeded').length,
    attemptsMax: jobs.reduce((most, { attempt }) => Math.max(most, attempt), 0),
    startedAt,
    finishedAt,
    tookMs: spanMs(startedAt, finishedAt),
    medianMs: timed[timed.length >> 1]?.durationMs ?? null,
    longestMs: timed[0]?.durationMs ?? null,
    slowest: timed.slice(0, limits.reportSlowestMax),
    outputs: gatherOutputs(jobs),
  };
}

const concealed = '(secret)';

/** Equal values once, with all the nodes that gave them. */
function gatherOutputs(jobs: readonly JobView[]): Summary['outputs'] {
  const byName = new Map<string, Map<string, { value: unknown; nodes: string[] }>>();
  for (const { node, outputs } of jobs) {
    for (const [name, value] of Object.entries(outputs)) {
      if (value === concealed) continue;
      const values = byName.get(name) ?? new Map();
      byName.set(name, values);
      const text = JSON.stringify(value);
      const known = values.get(text);
      if (known === undefined) values.set(text, { value: shortened(value, text), nodes: [node] });
      else known.nodes.push(node);
    }
  }
  return [...byName].map(([name, values]) => ({
    name,
    values: [...values.values()].slice(0, limits.reportValuesMax),
    leftOut: Math.max(0, values.size - limits.reportValuesMax),
  }));
}

const shortened = (value: unknown, text: string): unknown =>
  text.length <= limits.reportValueLengthMax ? value : `${text.slice(0, limits.reportValueLengthMax)}…`;

/** As the events tell, and where they are gone as the run itself shows. */
function viewApprovals(run: RunView, story: Story): ReportView['approvals'] {
  const told = story.approvals.map((one) => ({
    ...one,
    requestedAt: timeOrNull(one.requestedAt),
    at: timeOrNull(one.at),
  }));
  const rest = run.units.flatMap(({ id, approval }): ReportView['approvals'] =>
    approval.state === 'given' && !told.some(({ unit }) => unit === id)
      ? [
          {
            unit: id,
            text: approval.text,
            state: 'given',
            requestedAt: null,
            by: approval.by,
            at: approval.at,
            reason: '',
          },
        ]
      : [],
  );
  return [...told, ...rest];
}
