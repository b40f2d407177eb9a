/** Clusters: how many of their nodes are unavailable, why, and how many may be. */
import * as z from 'zod';
import { percentPattern } from '../../../shared/pipeline/amount.ts';
import { clusterName, count, time } from './primitives.ts';

const amount = z.union([
  z.int().min(0).max(1_000_000),
  z.string().regex(percentPattern, 'not a number of nodes, nor a percentage from 1% to 100%'),
]);

export const clusterChange = z.object({
  /** Null takes the budget away. */
  maxUnavailable: amount.nullable(),
});
export const clusterParam = z.object({ name: clusterName });

export const cluster = z
  .object({
    name: z.string(),
    /** Without those that are retired. */
    nodes: count,
    unavailable: count,
    /** Each unavailable node once, the most frequent cause first. */
    causes: z.array(z.object({ cause: z.string(), nodes: z.array(z.string()) })),
    maxUnavailable: amount.nullable(),
    /** The same in nodes; null without a budget. */
    allowed: count.nullable(),
    setBy: z.string().nullable(),
    setAt: time.nullable(),
  })
  .meta({ id: 'Cluster' });
export const clusterList = z.object({ items: z.array(cluster) });
