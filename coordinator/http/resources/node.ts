/** Nodes as operators see and change them. */
import * as z from 'zod';
import { hardwareSchema } from '../../../shared/hardware.ts';
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
    administrationBy: z.string().default(''),
    administrationSince: time.nullable().default(null),
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
    /** Empty while it is only expected. */
    incarnation: z.string(),
    /** When this incarnation joined; null while it is only expected. */
    incarnationSince: time.nullable().default(null),
    /** Who had the name before, oldest first. */
    formers: z
      .array(
        z.object({
          incarnation: z.string(),
          machineId: z.string().nullable(),
          hardware: hardwareSchema.nullable(),
          version: z.string(),
          address: z.string().nullable(),
          from: time,
          until: time,
          /** Null when the same host came back with a new state folder. */
          replaced: z.object({ by: z.string(), reason: z.string() }).nullable(),
        }),
      )
      .default([]),
    /** Who gave its name free for another machine; null while a machine has it. */
    vacancy: z.object({ by: z.string(), reason: z.string(), since: time }).nullable().default(null),
    /** What its machine is known by, as its agent tells. */
    hardware: hardwareSchema.nullable().default(null),
    /** What was told of it before it came; null when nothing was. */
    expectation: z
      .object({
        serial: z.string().nullable(),
        uuid: z.string().nullable(),
        macs: z.array(z.string()),
        labels: z.record(z.string(), z.string()),
        address: z.string().nullable(),
        bmc: z.string().nullable(),
        by: z.string(),
        since: time,
      })
      .nullable()
      .default(null),
    /** Why it is none of the nodes that were expected, although it could have been. */
    unmet: z.string().nullable().default(null),
    boot: z.string(),
    diskless: z.boolean(),
    joinedAt: time.nullable(),
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

/** A CSV or YAML file that tells of nodes which are to come. */
export const inventory = z.object({
  /** As people should see it in a diagnostic; its ending says what it is. */
  file: text,
  text: z.string().max(limits.inventoryFileBytesMax),
  /** Only says what would change. */
  dryRun: z.boolean().default(false),
});

export const imported = z
  .object({
    dryRun: z.boolean(),
    /** In the order of the file. */
    nodes: z.array(
      z.object({
        name: z.string(),
        line: z.int().positive(),
        change: z.enum(['expected', 'changed', 'unchanged']),
        /** Whether its machine is there. */
        joined: z.boolean(),
      }),
    ),
  })
  .meta({ id: 'Imported' });

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
