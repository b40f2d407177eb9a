/**
 * What an agent of protocol 1, version 0.1.0, understands: its schemas as they were, with their patterns and bounds.
 * This file never changes. Whatever a later coordinator says to such an agent must pass here.
 */
import * as z from 'zod';

const attemptIdPattern = /^(r[1-9][0-9]*)\/([a-z][a-z0-9.-]*)\/([a-z0-9][a-z0-9.-]*)#([1-9][0-9]*)$/;
const digestPattern = /^sha256:[0-9a-f]{64}$/;
const identifierPattern = /^[A-Za-z_][A-Za-z0-9_]{0,62}$/;

const attemptId = z.string().max(300).regex(attemptIdPattern, 'not an attempt id');
const digest = z.string().regex(digestPattern);
const shortText = z.string().max(1_024);
const count = z.int().nonnegative();

/** A script travels inside the grant when short, else by the digest of its text. */
const script = z.object({
  /** The interpreter and its arguments; the file with the text is appended as the last one. */
  shell: z.array(z.string()).min(1),
  source: z.union([z.object({ text: z.string() }), z.object({ digest })]),
});

const outputType = z.enum(['string', 'int', 'bool', 'json', 'file']);

const outputDeclaration = z.object({ type: outputType, secret: z.boolean(), optional: z.boolean() });

/**
 * One value for a script. `value` stands for itself; `blob` is the JSON text of a long value, fetched by
 * digest; `file` is a file by digest, which the script gets as a path.
 */
const inputValue = z.union([
  z.object({ value: z.json() }),
  z.object({ blob: digest }),
  z.object({ file: digest, name: shortText }),
]);

const jobSpecification = z.object({
  /** Id of the first attempt that may be executed; retries count on from it. */
  attempt: attemptId,
  attemptsMax: z.int().min(1).max(100),
  backoffMs: count,
  /**
   * `normal`: check (if any), run, verify. `verify-first`: an earlier attempt was interrupted; the same, but
   * it must have a check. `check-only`: run the check and report what it says, change nothing.
   */
  mode: z.enum(['normal', 'verify-first', 'check-only']),
  check: script.optional(),
  run: script.optional(),
  verify: z.object({ script, everyMs: count, timeoutMs: count }).optional(),
  /** CEL over outputs, params, node, exitCode, iteration; evaluated on the node after each execution. */
  until: z.object({ expression: z.string(), everyMs: count }).optional(),
  timeoutMs: z
    .int()
    .positive()
    .max(7 * 24 * 60 * 60_000),
  /** `nothing`: processes that the job left behind are ended with it. `daemon`: they may stay. */
  leaves: z.enum(['nothing', 'daemon']),
  inputs: z.record(z.string().regex(identifierPattern), inputValue),
  /** Names among the inputs whose values are secret: they never appear in a message, error or file name. */
  secretInputs: z.array(z.string()),
  outputs: z.record(z.string().regex(identifierPattern), outputDeclaration),
  /** Digest of the manifest of files that are laid out in the working folder. */
  bundle: digest.optional(),
  /** LOCKSTEP_* values that only the coordinator knows (run, step, role, leader, cluster, …). */
  environment: z.record(z.string().regex(/^LOCKSTEP_[A-Z_]+$/), z.string()),
});

const streamName = z.enum(['stdout', 'stderr']);

const coordinatorMessage = {
  challenge: z.object({
    type: z.literal('challenge'),
    protocol: z.int().positive(),
    protocolMin: z.int().positive(),
    lineage: shortText,
    epoch: count,
    nonce: shortText,
  }),
  welcome: z.object({
    type: z.literal('welcome'),
    node: z.string(),
    heartbeatMs: z.int().positive(),
    factsWanted: z.boolean(),
  }),
  rejected: z.object({
    type: z.literal('rejected'),
    reason: shortText,
    /** Null: do not come back by yourself; somebody has to change something first. */
    retryAfterMs: count.nullable(),
  }),
  grant: z.object({
    type: z.literal('grant'),
    lineage: shortText,
    epoch: count,
    jobs: z.array(jobSpecification).min(1).max(64),
  }),
  ackResults: z.object({ type: z.literal('ack-results'), upTo: z.int().positive() }),
  ackLog: z.object({ type: z.literal('ack-log'), attempt: attemptId, stream: streamName, upTo: count }),
  cancel: z.object({ type: z.literal('cancel'), attempt: attemptId, reason: shortText }),
  ping: z.object({ type: z.literal('ping') }),
  pong: z.object({ type: z.literal('pong') }),
};

/** By type; messages of other types are skipped. */
export const heardBy010: ReadonlyMap<string, z.ZodType> = new Map(
  Object.values(coordinatorMessage).map((schema) => [schema.shape.type.value, schema]),
);
