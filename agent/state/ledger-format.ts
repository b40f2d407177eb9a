/**
 * How ledger records stand on disk, and the strict way back. Their meaning is in core/ledger.ts.
 *
 * A later agent takes this over, and an earlier one does when an upgrade is given up: optional fields may be added,
 * which an earlier one ignores; none is renamed, removed or given a new meaning. A new kind of record or a new
 * format is written only once an upgrade is kept (agent/upgrade), and what a past version wrote is read for ever:
 * test/agent/state/recorded holds it.
 */
import { crc32 } from 'node:zlib';
import * as z from 'zod';
import { attemptResultSchema, jobSpecificationSchema } from '../../shared/messages.ts';
import type { Ledger, LedgerRecord } from '../core/ledger.ts';

const instant = z.object({ monotonicMs: z.number(), wallMs: z.number() });

const recordSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('granted'),
    lineage: z.string(),
    boot: z.string(),
    jobs: z.array(jobSpecificationSchema).min(1),
    expiresAtMs: z.number().nullable().default(null),
  }),
  z.object({ kind: z.literal('begun'), attempt: z.string(), at: instant }),
  z.object({
    kind: z.literal('ended'),
    lineage: z.string(),
    number: z.int(),
    result: attemptResultSchema,
    files: z.array(z.string()),
    secret: z.boolean(),
    retryAtMs: z.number().nullable(),
  }),
  z.object({
    kind: z.literal('reboot'),
    attempt: z.string(),
    boot: z.string(),
    stage: z.enum(['wanted', 'begun', 'withdrawn']),
  }),
  z.object({ kind: z.literal('acknowledged'), upTo: z.int() }),
  z.object({ kind: z.literal('logs-acknowledged'), attempt: z.string() }),
]);

const ledgerSchema = z.object({
  nextNumber: z.int().positive(),
  reboot: z.object({ attempt: z.string(), boot: z.string(), begun: z.boolean() }).nullable().default(null),
  jobs: z.array(
    z.object({
      segment: z.string(),
      lineage: z.string(),
      boot: z.string(),
      specification: jobSpecificationSchema,
      attempt: z.string(),
      begun: instant.nullable(),
      notBeforeMs: z.number(),
      expiresAtMs: z.number().nullable().default(null),
    }),
  ),
  ended: z.array(
    z.object({
      number: z.int(),
      lineage: z.string(),
      result: attemptResultSchema,
      files: z.array(z.string()),
      secret: z.boolean(),
      acknowledged: z.boolean(),
      logsAcknowledged: z.boolean(),
    }),
  ),
  finished: z.array(
    z.object({
      attempt: z.string(),
      lineage: z.string(),
      result: attemptResultSchema.nullable(),
      withFiles: z.boolean().optional(),
    }),
  ),
});

const snapshotSchema = z.object({ seq: z.int().nonnegative(), ledger: ledgerSchema });

/** `seq` is that of the last record which the ledger contains. */
export type Snapshot = { readonly seq: number; readonly ledger: Ledger };

export const parseSnapshot = (document: unknown): Snapshot => snapshotSchema.parse(document);

export type Entry = { readonly seq: number; readonly record: LedgerRecord };

const entrySchema = z.object({ seq: z.int().positive(), record: recordSchema });

const checksumOf = (json: string): string => crc32(json).toString(16).padStart(8, '0');

export function formatEntry(entry: Entry): string {
  const json = JSON.stringify(entry);
  return `${checksumOf(json)} ${json}\n`;
}

/** Undefined for a line that is not what was written. */
export function parseEntry(line: string): Entry | undefined {
  const json = line.slice(9);
  if (line[8] !== ' ' || line.slice(0, 8) !== checksumOf(json)) return undefined;
  return entrySchema.parse(JSON.parse(json));
}
