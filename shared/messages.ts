/**
 * The wire between agent and coordinator: one websocket per agent at `/agent`, authenticated by
 * `Authorization: Bearer <token>` on the upgrade request, compression off. Each frame is text and holds a
 * JSON array of 1 to `frameMessagesMax` messages, handled in order. Unknown fields are ignored and unknown
 * message types are skipped, so that either side may be newer.
 *
 *   coordinator                                  agent
 *     challenge{protocol, lineage, epoch}  →
 *                                          ←  hello{who, what it still holds} | fenced{a newer reign was seen}
 *     welcome | rejected                   →
 *                                          ←  facts, pull{credit}
 *     grant{segment}                       →
 *                                          ←  accepted, started, iterated…, log…, result
 *     ack{results | logs}                  →
 * `iterated` says how the last execution of an `until` or a `verify` ended that goes on; at most one in
 * `iterationTellMs`, never acknowledged, and nothing is decided by it.
 *
 * `upgrade` offers another version of the agent: a program by digest, fetched like any blob. It is tried in the
 * agent's place; success shows in the `version` of a later `hello`, a failure is told at once when there is a
 * link, and in each `hello` again. The same offer comes with each connection until one or the other is known.
 *
 * After a restore from a backup the challenge names the history that goes on (`origin`). The agent then tells
 * in `hello.remembered` what it finished for the part of that history that is lost. It refuses a coordinator
 * whose lineage or epoch is older than one that it has seen, and says so (`fenced`) before it hangs up.
 *
 * What an agent can do beyond its protocol version is in `features` (see features.ts).
 *
 * Protocol versions: 1 (first). Since then, without a new number because old agents do without: grants of
 * several jobs to those that pull more than one, `grant.expiresMs`, `recall`; `origin`, `remembered`, `fenced`
 * and its `begunAt`; `iterated`; `hello.hardware`; `runner` of a job and `parts` of a result; and for agents that say
 * so in `features`: `upgrade`, `upgrade-failed`, `hello.upgradesFailed`.
 */
import * as z from 'zod';
import { attemptResult, bootInstance, outcomes } from './attempt-result.ts';
import { hardwareSchema } from './hardware.ts';
import { attemptIdPattern, digestPattern, identifierPattern, nodeNamePattern } from './ids.ts';
import { limits } from './limits.ts';

export const protocolVersion = 1;

const attemptId = z.string().max(300).regex(attemptIdPattern, 'not an attempt id');
const digest = z.string().regex(digestPattern);
const shortText = z.string().max(1_024);
const count = z.int().nonnegative();
/** Milliseconds since 1970 by the sender's own clock: shown to people, never decided upon. */
const wallMs = z.int();

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
  attemptsMax: z.int().min(1).max(limits.retryAttemptsMax),
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
  timeoutMs: z.int().positive().max(limits.jobTimeoutMaxMs),
  /** `nothing`: processes that the job left behind are ended with it. `daemon`: they may stay. */
  leaves: z.enum(['nothing', 'daemon']),
  inputs: z.record(z.string().regex(identifierPattern), inputValue),
  /** Names among the inputs whose values are secret: they never appear in a message, error or file name. */
  secretInputs: z.array(z.string()),
  outputs: z.record(z.string().regex(identifierPattern), outputDeclaration),
  /** What carries out `run` beside its interpreter, so that the agent can say what is missing on its node. */
  runner: z.string().max(64).optional(),
  /** The node reboots when the work has succeeded. */
  reboot: z.literal('after').optional(),
  /** Digest of the manifest of files that are laid out in the working folder. */
  bundle: digest.optional(),
  /** LOCKSTEP_* values that only the coordinator knows (run, step, role, leader, cluster, …). */
  environment: z.record(z.string().regex(/^LOCKSTEP_[A-Z_]+$/), z.string()),
});

/** How an execution ended that is followed by another one of the same attempt. */
const iteration = z.object({
  attempt: attemptId,
  /** `run` again and again for `until`, or `verify` until it passes. */
  phase: z.enum(['run', 'verify']),
  /** Of the phase, from 1. */
  number: z.int().positive(),
  exitCode: z.int().min(0).max(255),
  signal: shortText.nullable(),
});

/** What an agent took up and gave up again. */
const failedUpgrade = z.object({ offer: z.int().positive(), digest, reason: shortText });

const streamName = z.enum(['stdout', 'stderr']);

const lineageName = shortText;

/** What an agent finished and nobody waits for any more. */
const remembered = z.object({
  attempts: z
    .array(z.object({ attempt: attemptId, outcome: z.enum(outcomes).nullable() }))
    .max(limits.agentRememberedMax),
  /** The first attempt of those it remembers at all, when earlier ones were forgotten; else null. */
  oldest: attemptId.nullable(),
});

/** Where a lineage comes from that began with a restore. */
const origin = z.object({
  /** Lineages that it continues, the first of all at the beginning. */
  ancestors: z.array(lineageName).min(1),
  /** Among lineages with the same first ancestor the one that began last counts. */
  begunAt: wallMs,
  /** Runs that had not ended in the backup. */
  runs: z.array(z.string()).max(limits.runsQueuedMax),
  /** Runs from this number on are not in the backup. */
  runsFrom: z.int().positive(),
});

const agentMessage = {
  hello: z.object({
    type: z.literal('hello'),
    protocol: z.int().positive(),
    version: shortText,
    name: z.string().regex(nodeNamePattern),
    labels: z.record(z.string().max(253), z.string().max(253)),
    incarnation: z.string().min(8).max(64),
    boot: bootInstance,
    /** The attempt whose reboot is still to come. */
    rebooting: attemptId.optional(),
    /** The last reboot that a job asked for; not planned when the host went down before the agent let it. */
    rebooted: z.object({ attempt: attemptId, planned: z.boolean() }).optional(),
    /** Grows with each connection of this incarnation; a number seen before is a clone. */
    counter: z.int().positive(),
    machineId: shortText.optional(),
    /** Only from agents that take whatever name the welcome gives them. */
    hardware: hardwareSchema.optional(),
    /** The state folder does not survive a reboot. */
    diskless: z.boolean(),
    features: z.array(shortText).max(64),
    factsDigest: digest.optional(),
    /** The local address of this connection. */
    address: shortText.optional(),
    /** Every attempt granted and not ended here, and every attempt whose result is not acknowledged. */
    held: z
      .array(z.object({ attempt: attemptId, state: z.enum(['accepted', 'running', 'ended']) }))
      .max(10_000),
    /** Offers that this agent tried and that failed, the last ones. */
    upgradesFailed: z.array(failedUpgrade).max(64).optional(),
    /** Only when the challenge has an origin; an agent without it is too old to tell. */
    remembered: remembered.optional(),
  }),
  /** Instead of hello: a reign was seen here that this coordinator's must give way to. */
  fenced: z.object({
    type: z.literal('fenced'),
    name: z.string().regex(nodeNamePattern),
    lineage: lineageName,
    epoch: count,
    /** Of a lineage that began with a restore: the `begunAt` of its origin. */
    begunAt: wallMs.optional(),
  }),
  facts: z.object({ type: z.literal('facts'), digest, facts: z.json() }),
  pull: z.object({ type: z.literal('pull'), credit: count }),
  accepted: z.object({ type: z.literal('accepted'), attempt: attemptId }),
  started: z.object({ type: z.literal('started'), attempt: attemptId, at: wallMs }),
  iterated: iteration.extend({ type: z.literal('iterated') }),
  /** `base64` holds the bytes; a gap says how many bytes were cut at this offset instead. */
  log: z.object({
    type: z.literal('log'),
    attempt: attemptId,
    stream: streamName,
    offset: count,
    base64: z.string().optional(),
    gapBytes: count.optional(),
  }),
  result: z.object({ type: z.literal('result'), number: z.int().positive(), result: attemptResult }),
  upgradeFailed: failedUpgrade.extend({ type: z.literal('upgrade-failed') }),
  ping: z.object({ type: z.literal('ping') }),
  pong: z.object({ type: z.literal('pong') }),
};

const coordinatorMessage = {
  challenge: z.object({
    type: z.literal('challenge'),
    protocol: z.int().positive(),
    protocolMin: z.int().positive(),
    lineage: lineageName,
    epoch: count,
    nonce: shortText,
    /** Only for a lineage that began with a restore. */
    origin: origin.optional(),
  }),
  welcome: z.object({
    type: z.literal('welcome'),
    /** Not the name that it said, when another one is expected of its hardware. */
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
  /** A segment: the agent goes through its jobs in order, each after the one before has succeeded. */
  grant: z.object({
    type: z.literal('grant'),
    lineage: shortText,
    epoch: count,
    jobs: z.array(jobSpecification).min(1).max(limits.segmentJobsMax),
    /** What has not begun so long after the grant came, by the node's monotonic clock, is `not-started`. */
    expiresMs: count.optional(),
  }),
  /** Those of these attempts that have not begun are `not-started`; the others are not touched. */
  recall: z.object({
    type: z.literal('recall'),
    attempts: z.array(attemptId).min(1).max(limits.segmentJobsMax),
    reason: shortText,
  }),
  ackResults: z.object({ type: z.literal('ack-results'), upTo: z.int().positive() }),
  ackLog: z.object({ type: z.literal('ack-log'), attempt: attemptId, stream: streamName, upTo: count }),
  cancel: z.object({ type: z.literal('cancel'), attempt: attemptId, reason: shortText }),
  upgrade: z.object({
    type: z.literal('upgrade'),
    /** Each offer that an operator makes has a number of its own, also of the same program. */
    offer: z.int().positive(),
    /** What the program says to `--version`. */
    version: z.string().min(1).max(64),
    digest,
    healthyWithinMs: z.int().positive().max(limits.upgradeTrialMaxMs),
  }),
  ping: z.object({ type: z.literal('ping') }),
  pong: z.object({ type: z.literal('pong') }),
};

type MessagesOf<Schemas extends Record<string, z.ZodType>> = z.infer<Schemas[keyof Schemas]>;
export type AgentMessage = MessagesOf<typeof agentMessage>;
export type CoordinatorMessage = MessagesOf<typeof coordinatorMessage>;
export type Origin = z.infer<typeof origin>;
export type Hello = z.infer<typeof agentMessage.hello>;
export type JobSpecification = z.infer<typeof jobSpecification>;
export type Script = z.infer<typeof script>;
export type InputValue = z.infer<typeof inputValue>;
export type OutputDeclaration = z.infer<typeof outputDeclaration>;
export type OutputType = z.infer<typeof outputType>;
export type AttemptResult = z.infer<typeof attemptResult>;
export type Iteration = z.infer<typeof iteration>;
export type Outcome = AttemptResult['outcome'];
export type StreamName = z.infer<typeof streamName>;

export type Frame<Message> =
  | { readonly ok: true; readonly messages: readonly Message[]; readonly skipped: readonly string[] }
  | { readonly ok: false; readonly reason: string };

const typeLengthMax = 64;

type SchemaOf<Message> = z.ZodType<Message> & { readonly shape: { readonly type: z.ZodLiteral<string> } };
type Schemas<Message> = ReadonlyMap<string, z.ZodType<Message>>;

const byType = <Message>(schemas: Readonly<Record<string, SchemaOf<Message>>>): Schemas<Message> =>
  new Map(Object.values(schemas).map((schema) => [schema.shape.type.value, schema]));
const agentSchemas = byType<AgentMessage>(agentMessage);
const coordinatorSchemas = byType<CoordinatorMessage>(coordinatorMessage);

function parseFrame<Message>(text: string, schemas: Schemas<Message>): Frame<Message> {
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch {
    return { ok: false, reason: 'the frame is not JSON' };
  }
  // Not a schema: it would copy every message before its own schema looks at it.
  if (!Array.isArray(list) || list.length === 0 || list.length > limits.frameMessagesMax) return noMessages;
  const messages: Message[] = [];
  const skipped: string[] = [];
  for (const raw of list) {
    const type = typeOf(raw);
    if (type === undefined) return noMessages;
    const schema = schemas.get(type);
    if (schema === undefined) {
      skipped.push(type);
      continue;
    }
    let message: z.ZodSafeParseResult<Message>;
    try {
      message = schema.safeParse(raw);
    } catch {
      return { ok: false, reason: `${type}: nested too deeply` };
    }
    if (!message.success) {
      const [issue] = message.error.issues;
      return { ok: false, reason: `${type}.${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'invalid'}` };
    }
    messages.push(message.data);
  }
  return { ok: true, messages, skipped };
}

const noMessages = { ok: false, reason: 'the frame is not an array of messages with a type' } as const;

function typeOf(raw: unknown): string | undefined {
  if (typeof raw !== 'object' || raw === null || !('type' in raw)) return undefined;
  return typeof raw.type === 'string' && raw.type.length <= typeLengthMax ? raw.type : undefined;
}

/** Parses what an agent sent. Never throws; a reason names the message and field at fault, not the value. */
export const parseAgentFrame = (text: string): Frame<AgentMessage> => parseFrame(text, agentSchemas);

/** Parses what a coordinator sent. Never throws. */
export const parseCoordinatorFrame = (text: string): Frame<CoordinatorMessage> =>
  parseFrame(text, coordinatorSchemas);

export const formatFrame = (messages: readonly (AgentMessage | CoordinatorMessage)[]): string =>
  JSON.stringify(messages);

/** The files of a bundle: laid out in the job's working folder, each fetched by its digest. */
export const bundleManifestSchema = z.object({
  files: z
    .array(
      z.object({
        path: z
          .string()
          .max(512)
          .refine(
            (path) =>
              path !== '' &&
              !path.startsWith('/') &&
              !path.includes('\\') &&
              !path.split('/').some((part) => part === '' || part === '.' || part === '..'),
            'not a relative path inside the bundle',
          ),
        digest,
        sizeBytes: count,
        executable: z.boolean(),
      }),
    )
    .max(limits.bundleFilesMax),
});
export type BundleManifest = z.infer<typeof bundleManifestSchema>;

/** The answer to `GET /blobs/{digest}/offset`: from where on the content is still to be sent, if it is. */
export const uploadOffsetSchema = z.object({ complete: z.boolean(), offset: count });

/** For durable copies of what came or went over the wire, parsed again when they are read back, and for what is shown of it. */
export {
  attemptResult as attemptResultSchema,
  iteration as iterationSchema,
  jobSpecification as jobSpecificationSchema,
};
