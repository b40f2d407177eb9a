/** What starts runs by itself, as it is declared and shown. */
import * as z from 'zod';
import { limits } from '../../../shared/limits.ts';
import { count, name, text, time } from './primitives.ts';
import { submission } from './run.ts';

const cron = z.object({ kind: z.literal('cron'), cron: text, timezone: text });
const join = z.object({ kind: z.literal('join'), where: z.string().max(limits.expressionLengthMax) });
const service = z.object({ kind: z.literal('service'), service: text });
const webhook = z.object({ kind: z.literal('webhook') });
const cause = z.discriminatedUnion('kind', [cron, join, service, webhook]);

export const triggerDeclaration = z.object({
  name,
  on: cause,
  atMostEveryMs: z
    .int()
    .min(limits.triggerEveryMinMs)
    .max(limits.triggerEveryMaxMs)
    .default(limits.triggerEveryDefaultMs),
  /** The runs are limited to the nodes that have joined; only for `join`. */
  onlyNew: z.boolean().default(false),
  submission,
});

export const trigger = z
  .object({
    name: z.string(),
    on: cause,
    atMostEveryMs: count,
    cluster: z.string(),
    pipeline: z.string(),
    limit: z.string().nullable(),
    checkOnly: z.boolean(),
    onlyNew: z.boolean(),
    by: z.string(),
    declaredAt: time,
    /** Of a time: when it comes next. */
    nextAt: time.nullable(),
    /** What it waits for. */
    sentence: z.string(),
    lastRun: z.object({ run: z.string(), at: time }).nullable(),
    /** Why it started none the last time. */
    lastFailure: z.object({ reason: z.string(), at: time }).nullable(),
  })
  .meta({ id: 'Trigger' });

export const triggerList = z.object({ items: z.array(trigger) });

/** `key` only of a webhook, and only now: the last part of its path. */
export const triggerDeclared = trigger.extend({ key: text.nullable() }).meta({ id: 'TriggerDeclared' });

export const triggerCalled = z.object({ trigger: z.string() });

export const triggerFired = z.object({ run: z.string() });
