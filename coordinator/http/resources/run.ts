/** Runs and their jobs, what creates a run, and what operators decide about it. */
import * as z from 'zod';
import { outcomes } from '../../../shared/attempt-result.ts';
import { limits } from '../../../shared/limits.ts';
import { bundleManifestSchema, iterationSchema } from '../../../shared/messages.ts';
import { part } from '../../../shared/parts.ts';
import { clusterName, count, flag, json, name, pageOf, paging, paramName, text, time } from './primitives.ts';
import { diagnostic } from './problem.ts';

const runStates = [
  'queued',
  'running',
  'waiting-for-approval',
  'paused',
  'held',
  'cancelling',
  'succeeded',
  'succeeded-with-deferred',
  'failed',
  'cancelled',
] as const;

const jobStates = [
  'waiting',
  'ready',
  'granted',
  'running',
  'succeeded',
  'failed',
  'skipped',
  'cancelled',
  'unknown',
  'deferred',
  'held',
] as const;

export const job = z
  .object({
    id: z.string(),
    step: z.string(),
    node: z.string(),
    /** Who carried it out, or does; null when that is the node itself. */
    executor: z.string().nullable(),
    state: z.enum(jobStates),
    attempt: count,
    exitCode: z.int().nullable(),
    startedAt: time.nullable(),
    finishedAt: time.nullable(),
    /** Secret ones are shown as `(secret)`, files as their digest. */
    outputs: z.record(z.string(), json),
    /** Since when it is in this state. */
    since: time,
    outcome: z.enum(outcomes).nullable(),
    /** Its check said that there was nothing to do. */
    unchanged: z.boolean(),
    signal: z.string().nullable(),
    reason: z.string().nullable(),
    durationMs: z.int().nullable(),
    /** How the last execution ended of an `until` or a `verify` that goes on, as its node tells from time to time. */
    iteration: iterationSchema.omit({ attempt: true }).optional(),
    /** What its script told of its parts: scripts of a folder, tasks of a playbook by host, resources of a plan. */
    parts: z.array(part).optional(),
    /** How many more there were. */
    partsOmitted: count.optional(),
    /** Since when the link to its node is lost, while the job goes on there. */
    awaySince: time.optional(),
    /** Only of one that was deferred: what has become of it since. */
    deferral: z
      .object({
        state: z.enum(['deferred', 'late', 'overdue', 'superseded', 'dropped']),
        since: time,
        /** How long its node has to be back. */
        until: time.optional(),
        /** The run that does it instead. */
        by: z.string().optional(),
      })
      .optional(),
  })
  .meta({ id: 'Job' });

const unit = z.object({
  id: z.string(),
  kind: z.enum(['step', 'group']),
  title: z.string().nullable(),
  strategy: z.enum(['parallel', 'rolling']),
  steps: z.array(
    z.object({
      id: z.string(),
      title: z.string().nullable(),
      needs: z.array(z.string()),
      /** Done after the others, on nodes where they ended: null for those; absent in what was kept of old. */
      part: z.enum(['rescue', 'always']).nullable().optional(),
    }),
  ),
  nodes: z.array(z.string()),
  approval: z.object({
    state: z.enum(['none', 'needed', 'requested', 'given']),
    text: z.string().nullable(),
    by: z.string().nullable(),
    at: time.nullable(),
  }),
  /** Which nodes may be unavailable now, and since when. */
  slots: z.array(z.object({ node: z.string(), since: time })),
  /** When nodes may begin it; `open` and `until` are null until somebody waits for it. Absent without a window. */
  window: z
    .object({
      cron: z.string(),
      timezone: z.string(),
      durationMs: z.int(),
      open: z.boolean().nullable(),
      until: time.nullable(),
    })
    .optional(),
  /** The open wave, from 1; 0 before the first. */
  wave: count,
  waves: count,
});

const runSummary = z.object({
  id: z.string(),
  pipeline: z.string(),
  title: z.string().nullable(),
  cluster: z.string(),
  state: z.enum(runStates),
  /** Of the event that created it. */
  seq: count,
  by: z.string(),
  createdAt: time,
  startedAt: time.nullable(),
  finishedAt: time.nullable(),
  /** Why it is held, failing, cancelled or ended as it did. */
  reason: z.string().nullable(),
  /** How many of its jobs are in each state; states without jobs are left out. */
  counts: z.partialRecord(z.enum(jobStates), count),
  /**
   * Only of a run that may defer jobs: its nodes, each counted once. `late`: done after the others; `overdue`: not
   * back in time; `superseded`: left to a later run; `open`: not through, or failed.
   */
  deferral: z
    .object({
      nodes: count,
      done: count,
      late: count,
      deferred: count,
      overdue: count,
      superseded: count,
      open: count,
    })
    .optional(),
});
export const runListed = runSummary.meta({ id: 'RunListed' });
export const runPage = pageOf(runListed);

export const run = runSummary
  .extend({
    digest: z.string(),
    checkOnly: z.boolean(),
    /** The step or group that it begins at; those before it are skipped. */
    from: z.string().nullable().default(null),
    params: z.record(z.string(), json),
    roles: z.record(z.string(), z.object({ nodes: z.array(z.string()), leader: z.string().nullable() })),
    units: z.array(unit),
    /** Roles that need another leader before a held run can go on without what failed, and who could lead. */
    elections: z
      .array(
        z.object({
          role: z.string(),
          /** Null when the one that was kept is not in the role any more. */
          leader: z.string().nullable(),
          /** What the leader has still to do. */
          step: z.string().nullable(),
          candidates: z.array(z.string()),
        }),
      )
      .default([]),
    /** Nodes that take no further part, with the reason. */
    out: z.record(z.string(), z.string()),
    /** Absent with `jobs=false`, and in the answer to a submission or decision when there are very many. */
    jobs: z.array(job).optional(),
    /** Only in the answer to a submission. */
    warnings: z.array(diagnostic).optional(),
  })
  .meta({ id: 'Run' });

/** `active`: all that have not ended. */
export const runStateWords = [...runStates, 'active'] as const;

export const runsQuery = z.object({
  ...paging,
  state: z.enum(runStateWords).optional(),
  cluster: z.string().max(64).optional(),
  pipeline: z.string().max(64).optional(),
});
export const runQuery = z.object({ jobs: flag.default(true) });

const sourceFile = z.object({
  /** As people should see it in a diagnostic. */
  file: text,
  text: z.string().max(limits.pipelineFileBytesMax),
  /** What it needs of the files beside it. */
  bundle: bundleManifestSchema,
});

export const submission = z
  .object({
    file: text,
    text: z.string().max(limits.pipelineFileBytesMax),
    /** Files beside the pipeline that its jobs find in their working folder. */
    bundle: bundleManifestSchema.default({ files: [] }),
    /** Files that the pipeline extends or calls, by the names that lead to them from `file`. */
    pipelines: z.array(sourceFile).max(limits.pipelineFilesMax).default([]),
    modules: z.array(sourceFile).max(100).default([]),
    /** By declared type; a string stands for any type as it would on a command line. */
    params: z.record(paramName, json).default({}),
    cluster: clusterName.default('default'),
    /** CEL that narrows every role further. */
    limit: z.string().max(limits.expressionLengthMax).nullable().default(null),
    /** Only the checks are executed. */
    checkOnly: z.boolean().default(false),
    /** The step or group to begin at; those before it are skipped. */
    from: z.string().max(256).nullable().default(null),
  })
  .meta({ id: 'Submission' });

/** `unit` may be left out when only one waits. */
export const approval = z.object({
  unit: z.string().max(128).nullable().default(null),
  reason: text.default(''),
});

export const resumption = z.object({
  how: z
    .discriminatedUnion('kind', [
      z.object({ kind: z.literal('continue') }),
      z.object({ kind: z.literal('retry-failed') }),
      z.object({ kind: z.literal('accept-failed') }),
      z.object({ kind: z.literal('as-reported') }),
      z.object({ kind: z.literal('elect'), node: name, role: z.string().max(64).nullable().default(null) }),
    ])
    .default({ kind: 'continue' }),
  reason: text.default(''),
});

export const jobDecision = z.object({
  /** `r17/configure/n1` */
  job: z.string().max(300),
  as: z.enum(['succeeded', 'failed', 'again']),
  reason: text.default(''),
});
