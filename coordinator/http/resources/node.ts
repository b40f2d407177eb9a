/** Nodes as operators see and change them. */
import * as z from 'zod';
import { digestPattern } from '../../../shared/ids.ts';
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
    /** What its agent can do that older ones cannot. */
    features: z.array(z.string()),
    /** The version that it is to take, and how far that is; null when there is none. */
    upgrade: z
      .object({
        version: z.string(),
        state: z.enum(['waits', 'taking', 'failed', 'away', 'incapable']),
        reason: z.string().nullable(),
      })
      .nullable(),
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

/** A program that is stored by its digest, for the agents that it is meant for. */
export const agentOffer = z.object({
  /** What the program says to `--version`. */
  version: z.string().regex(/^[0-9A-Za-z][0-9A-Za-z.+-]{0,63}$/),
  digest: z.string().regex(digestPattern),
  sizeBytes: z.int().positive().max(limits.blobBytesMax),
  /** In the words of `facts.cpu.architecture`. */
  architecture: text.nullable().default(null),
  /** CEL over name, labels, facts. */
  where: z.string().max(limits.expressionLengthMax).nullable().default(null),
  atOnce: z.int().min(1).max(limits.upgradesAtOnceMax).default(limits.upgradesAtOnceDefault),
  healthyWithinMs: z.int().positive().max(limits.upgradeTrialMaxMs).default(limits.upgradeTrialDefaultMs),
});

export const agentOffered = z
  .object({
    offer: z.int(),
    version: z.string(),
    digest: z.string(),
    /** Those that are to take it, by name. */
    nodes: z.array(z.string()),
  })
  .meta({ id: 'AgentOffer' });
