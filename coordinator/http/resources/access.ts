/** Who may speak to the coordinator, the files that travel by digest, and how the coordinator is. */
import * as z from 'zod';
import { limits } from '../../../shared/limits.ts';
import { count, digest, time } from './primitives.ts';

export const tokenRequest = z.object({
  kind: z.enum(['join', 'operator']).default('join'),
  expiresAt: time.nullable().default(null),
});
export const tokenCreated = z.object({ id: z.string(), token: z.string() });
const token = z.object({
  id: z.string(),
  kind: z.enum(['join', 'operator']),
  createdAt: time,
  expiresAt: time.nullable(),
  revoked: z.boolean(),
});
export const tokenList = z.object({ items: z.array(token) });

export const digests = z.object({ digests: z.array(digest).max(limits.bundleFilesMax + 1) });

export const health = z
  .object({
    status: z.enum(['ok', 'disk-full', 'replaced']),
    /** What is wrong and what to do, when something is. */
    detail: z.string().nullable(),
    version: z.string(),
    lineage: z.string(),
    epoch: count,
    seq: count,
    agents: count,
    uptimeMs: count,
  })
  .meta({ id: 'Health' });

/** The durable end of the journal when everything stood still; what has come after it may be in the files too. */
export const upkeepPause = z.object({
  id: z.string(),
  version: z.string(),
  lineage: z.string(),
  epoch: count,
  seq: count,
  hash: z.string(),
});

/** What `<data>/operator.json` holds, mode 0600, for the command line on the coordinator's own machine. */
export const operatorFile = z.object({ url: z.string(), token: z.string() });
