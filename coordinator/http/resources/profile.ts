/** Params that apply where they match, as they are applied and shown. */
import * as z from 'zod';
import { limits } from '../../../shared/limits.ts';
import { count, json, name, paramName, text, time } from './primitives.ts';

const where = z.object({
  labels: z.record(z.string(), z.array(text).min(1).max(limits.profileParamsMax)),
  roles: z.array(text).min(1).max(limits.profileParamsMax).nullable(),
});

/** `secrets` are params too, whose values are never shown. */
export const profileApplication = z.object({
  name,
  priority: z.int().default(0),
  where: where.default({ labels: {}, roles: null }),
  params: z.record(paramName, json).default({}),
  secrets: z.record(paramName, json).default({}),
});

export const profile = z
  .object({
    name: z.string(),
    priority: z.int(),
    where,
    /** `(secret)` for a secret. */
    params: z.record(z.string(), json),
    secrets: z.array(z.string()),
    /** How many nodes it fits by their labels; roles are those of a run. */
    nodes: count,
    by: z.string(),
    appliedAt: time,
  })
  .meta({ id: 'Profile' });

export const profileList = z.object({ items: z.array(profile) });
