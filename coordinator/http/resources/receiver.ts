/** Who is told of what happens, and how far that is. */
import * as z from 'zod';
import { limits } from '../../../shared/limits.ts';
import { clusterName, count, name, text, time } from './primitives.ts';

/** In the words of core/notifications.ts, which the compiler holds this to where it is used. */
export const notificationKindWords = [
  'held',
  'failed',
  'waiting-for-approval',
  'not-started',
  'quarantined',
  'paused',
  'deferred',
  'overdue',
  'cancelled',
  'succeeded',
  'unreachable',
] as const;

const words = <T extends z.ZodType>(word: T) => z.array(word).max(limits.receiverWordsMax);

const filter = z.object({
  kinds: words(z.enum(notificationKindWords)),
  /** Empty: of every cluster. */
  clusters: words(clusterName),
  /** Globs; empty: of every pipeline, and of nodes. */
  pipelines: words(z.string().min(1).max(limits.globLengthMax)),
});

const command = z.object({
  kind: z.literal('command'),
  /** A file in the folder of programs that the coordinator was given. */
  program: z
    .string()
    .regex(
      /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/,
      "not the name of a program: it has to be a file in the coordinator's folder of programs",
    ),
});
const mail = z.object({
  kind: z.literal('mail'),
  to: words(
    z.string().regex(/^[A-Za-z0-9.!#$%&'*+/=?^_{|}~-]{1,64}@[A-Za-z0-9.-]{1,253}$/, 'not an address'),
  ).min(1),
});

export const receiverDeclaration = z.object({
  name,
  target: z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('webhook'),
      url: z
        .url({ protocol: /^https?$/, error: 'not an address like https://host/path' })
        .max(limits.receiverUrlLengthMax),
      /** With which deliveries are signed; null: one is made, and shown in the answer. */
      key: z.string().min(16).max(1_024).nullable().default(null),
    }),
    command,
    mail,
  ]),
  filter: filter
    .extend({ kinds: words(z.enum(notificationKindWords)).nullable().default(null) })
    .partial({ clusters: true, pipelines: true })
    .prefault({}),
});

export const receiver = z
  .object({
    name: z.string(),
    /** Of a webhook only where it leads: its address may carry a secret. */
    target: z.discriminatedUnion('kind', [
      z.object({ kind: z.literal('webhook'), origin: z.string() }),
      command,
      mail,
    ]),
    filter,
    by: z.string(),
    declaredAt: time,
    delivered: count,
    deliveredAt: time.nullable(),
    /** What it tries to deliver at the moment, and what came of the last attempt. */
    trying: z
      .object({
        id: z.string(),
        what: z.string(),
        at: time,
        attempts: count,
        reason: z.string().nullable(),
      })
      .nullable(),
    /** How many were given up, and the last one. */
    givenUp: count,
    lastGivenUp: z.object({ id: z.string(), what: z.string(), at: time, reason: z.string() }).nullable(),
  })
  .meta({ id: 'Receiver' });

export const receiverList = z.object({ items: z.array(receiver) });

/** `key` only when it was made here. */
export const receiverDeclared = receiver.extend({ key: text.nullable() }).meta({ id: 'ReceiverDeclared' });

export const deliveryTest = z.object({ delivered: z.boolean(), reason: z.string().nullable() });
