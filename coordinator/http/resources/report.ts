/** What is told of a run afterwards: its report, and what is noted of it when it is archived. */
import * as z from 'zod';
import { count, json, time } from './primitives.ts';
import { run } from './run.ts';

const nodeKind = z.object({
  platform: z.string().nullable(),
  system: z.string().nullable(),
  kernel: z.string().nullable(),
  architecture: z.string().nullable(),
  threads: count.nullable(),
  memoryBytes: count.nullable(),
  /** The version of its agent. */
  agent: z.string(),
});

const notedStep = z.object({
  id: z.string(),
  /** The roles that it is for, as the pipeline writes them: `member`, `member.leader`. */
  on: z.array(z.string()),
  /** It is one of those that run when the outcome is known. */
  last: z.boolean(),
});

const givenParam = z.object({
  name: z.string(),
  /** The layer that it came from; null when that is not known any more. */
  from: z.string().nullable(),
  /** `(secret)` for a secret. */
  value: json,
  /** Where the secret is kept; null for what is none. */
  secret: z.string().nullable(),
});

/** What the report of an archived run needs beside the run as it is shown. Absent in archives of old. */
const runNote = z.object({
  pipelineDigest: z.string(),
  limit: z.string().nullable(),
  modules: z.record(z.string(), z.string()),
  params: z.array(givenParam),
  steps: z.array(notedStep),
  /** As the run found them, and as they were in its last step when that is something else. */
  nodes: z.record(z.string(), z.object({ found: nodeKind, became: nodeKind.nullable() })),
});

export const archivedRun = run.extend({ note: runNote.optional() });

const reportedStep = z.object({
  id: z.string(),
  title: z.string().nullable(),
  unit: z.string(),
  on: z.array(z.string()),
  last: z.boolean(),
  nodes: count,
  /** How many jobs are in each state. */
  counts: z.record(z.string(), count),
  /** Of those that succeeded, how many had nothing to do. */
  unchanged: count,
  attemptsMax: count,
  startedAt: time.nullable(),
  finishedAt: time.nullable(),
  /** From the first start to the last end. */
  tookMs: count.nullable(),
  /** Of single jobs. */
  medianMs: count.nullable(),
  longestMs: count.nullable(),
  slowest: z.array(z.object({ node: z.string(), durationMs: count })),
  /** Different values with the nodes that gave them; long ones are cut, secrets are not here. */
  outputs: z.array(
    z.object({
      name: z.string(),
      values: z.array(z.object({ value: json, nodes: z.array(z.string()) })),
      leftOut: count,
    }),
  ),
});

export const report = z
  .object({
    run: z.string(),
    pipeline: z.string(),
    title: z.string().nullable(),
    /** Of the pipeline alone: the same file with the same modules has the same, in whatever cluster. */
    pipelineDigest: z.string().nullable(),
    /** Of pipeline, params and nodes: what approvals are bound to. */
    digest: z.string(),
    modules: z.record(z.string(), z.string()),
    cluster: z.string(),
    state: z.string(),
    reason: z.string().nullable(),
    by: z.string(),
    limit: z.string().nullable(),
    checkOnly: z.boolean(),
    createdAt: time,
    startedAt: time.nullable(),
    finishedAt: time.nullable(),
    tookMs: count.nullable(),
    params: z.array(givenParam),
    nodes: z.array(
      z.object({
        name: z.string(),
        roles: z.array(z.string()),
        /** Roles that it leads. */
        leads: z.array(z.string()),
        kind: nodeKind.nullable(),
        /** What it was when it said something else meanwhile, such as another kernel; null when it did not. */
        became: nodeKind.nullable(),
        /** Why it takes no further part. */
        out: z.string().nullable(),
      }),
    ),
    steps: z.array(reportedStep),
    waves: z.array(z.object({ at: time, unit: z.string(), wave: count, nodes: z.array(z.string()) })),
    slots: z.array(z.object({ unit: z.string(), node: z.string(), at: time, until: time.nullable() })),
    approvals: z.array(
      z.object({
        unit: z.string(),
        text: z.string().nullable(),
        state: z.enum(['requested', 'given', 'rejected']),
        requestedAt: time.nullable(),
        by: z.string().nullable(),
        at: time.nullable(),
        reason: z.string(),
      }),
    ),
    deviations: z.array(
      z.object({
        at: time,
        until: time.nullable(),
        kind: z.string(),
        step: z.string().nullable(),
        node: z.string().nullable(),
        sentence: z.string(),
        by: z.string().nullable(),
      }),
    ),
    /** Jobs that were deferred: not done yet unless it says overdue, late, or by which run they are superseded. */
    deferred: z.array(
      z.object({
        step: z.string(),
        node: z.string(),
        overdue: z.boolean(),
        supersededBy: z.string().optional(),
        late: z.literal(true).optional(),
      }),
    ),
    /** Nodes by how far they have come, when jobs may be deferred. */
    deferral: run.shape.deferral,
    leftOut: z.object({ slots: count, deviations: count }),
    /** What cannot be told, and why. */
    missing: z.array(z.string()),
    madeAt: time,
  })
  .meta({ id: 'Report' });
