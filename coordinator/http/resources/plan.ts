/** What would happen and why something does not: the answers of `plan` and `why`. */
import * as z from 'zod';
import { count, time } from './primitives.ts';
import { diagnostic } from './problem.ts';

export const explanation = z
  .object({
    job: z.string().nullable(),
    run: z.string().nullable(),
    node: z.string().nullable(),
    state: z.string(),
    /** What it waits for: the name of the gate, and one sentence that says who or what holds it. */
    gate: z.string(),
    sentence: z.string(),
    since: time.nullable(),
  })
  .meta({ id: 'Explanation' });
export const explanations = z.object({ items: z.array(explanation) });

export const plan = z
  .object({
    pipeline: z.string(),
    cluster: z.string(),
    roles: z.array(
      z.object({
        name: z.string(),
        nodes: z.array(z.string()),
        leader: z.string().nullable(),
        /** It would wait for more nodes to come. */
        waits: z.boolean(),
        /** Those of them that are expected and have not joined. */
        expected: z.array(z.string()).default([]),
        excluded: z.array(z.object({ node: z.string(), reason: z.string() })),
      }),
    ),
    units: z.array(
      z.object({
        id: z.string(),
        kind: z.enum(['step', 'group']),
        title: z.string().nullable(),
        strategy: z.enum(['parallel', 'rolling']),
        approve: z.string().nullable(),
        steps: z.array(z.object({ id: z.string(), nodes: z.array(z.string()), gates: z.array(z.string()) })),
        /** Who may start in which wave; one wave without a rolling strategy. */
        waves: z.array(z.array(z.string())),
        /** How many nodes may be down at once because of this unit, in total and per failure domain. */
        downMax: count,
        domains: z.array(z.object({ domain: z.string(), nodes: z.array(z.string()), downMax: count })),
      }),
    ),
    downMax: count,
    /** Why the run would not be accepted; empty when it would be. */
    faults: z.array(z.string()),
    warnings: z.array(diagnostic),
  })
  .meta({ id: 'Plan' });
