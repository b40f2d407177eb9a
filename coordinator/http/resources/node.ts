/** Nodes as operators see and change them. */
import * as z from 'zod';
import { limits } from '../../../shared/limits.ts';
import { flag, json, labelKey, labelValue, pageOf, paging, text, time } from './primitives.ts';

const nodeStates = [
  'expected',
  'pending',
  'ready',
  'busy',
  'unreachable',
  'cordoned',
  'maintenance',
  'quarantined',
  'retired',
] as const;

export const node = z
  .object({
    name: z.string(),
    state: z.enum(nodeStates),
    labels: z.record(z.string(), z.string()),
    /** Where it runs (`metal`, `aws`, …); null until it was discovered or labelled. */
    platform: z.string().nullable(),
    cluster: z.string(),
    contact: z.enum(['connected', 'disconnected', 'unreachable']),
    contactSince: time,
    administration: z.enum(['in-service', 'cordoned', 'maintenance', 'quarantined', 'retired']),
    administrationReason: z.string(),
    address: z.string().nullable(),
    machineId: z.string().nullable(),
    version: z.string(),
    incarnation: z.string(),
    boot: z.string(),
    diskless: z.boolean(),
    joinedAt: time,
    /** The job it has been granted and has not ended, and the runs that want it, in order. */
    job: z.string().nullable(),
    runs: z.array(z.string()),
    factsDigest: z.string().nullable(),
    /** Absent with `facts=false`; null when it has not reported yet. */
    facts: json.optional(),
  })
  .meta({ id: 'Node' });
export const nodePage = pageOf(node);

export const nodesQuery = z.object({
  ...paging,
  /** CEL over name, labels, facts. */
  where: z.string().max(limits.expressionLengthMax).optional(),
  facts: flag.default(true),
});

/** A null value takes the label off. */
export const labelChange = z.object({ labels: z.record(labelKey, labelValue.nullable()) });

export const administrationChange = z.object({
  administration: z.enum(['in-service', 'cordoned', 'maintenance', 'quarantined', 'retired']),
  reason: text.default(''),
});
