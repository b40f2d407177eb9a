/** The end of one attempt as its agent tells it: the message that everything in a run turns on. */
import * as z from 'zod';
import { attemptIdPattern } from './ids.ts';
import { parts } from './parts.ts';

const attemptId = z.string().max(300).regex(attemptIdPattern, 'not an attempt id');
const shortText = z.string().max(1_024);
const count = z.int().nonnegative();
/** Milliseconds since 1970 by the node's own clock: shown to people, never decided upon. */
const wallMs = z.int();

/** Changes with every boot of the host: boot id plus the start time of PID 1. */
export const bootInstance = z.string().min(1).max(128);

/** What one attempt came to. Only `succeeded` and `failed` say something about the work itself. */
export const outcomes = [
  'succeeded',
  'failed',
  'timed-out',
  'cancelled',
  'interrupted',
  'not-started',
] as const;

export const attemptResult = z.object({
  attempt: attemptId,
  outcome: z.enum(outcomes),
  /** False when the agent goes on by itself with the next attempt of this grant. */
  final: z.boolean(),
  /** True when `check` said that there was nothing to do; in `check-only` mode false says what would change. */
  unchanged: z.boolean(),
  exitCode: z.int().min(0).max(255).nullable(),
  signal: shortText.nullable(),
  /** Why it did not succeed, for people, without values of inputs or outputs. */
  reason: shortText.nullable(),
  phase: z.enum(['check', 'run', 'verify', 'none']),
  iterations: count,
  startedAt: wallMs.nullable(),
  finishedAt: wallMs,
  /** By the node's monotonic clock. */
  durationMs: count,
  /** Declared outputs by type; a `file` output is the digest of its content. */
  outputs: z.record(z.string(), z.json()),
  /** Length of each log stream; with gap markers counted as the bytes they stand for. */
  logs: z.object({ stdout: count, stderr: count }),
  /** The node reboots now: it is all done when the node is back on another boot instance than this one. */
  reboot: z.object({ boot: bootInstance }).optional(),
  /** What the script told of its parts; absent when it told nothing, or the agent is too old to listen. */
  parts: parts.optional(),
});
