/** What is read as it grows: logs and the sequence of events. */
import * as z from 'zod';
import { count, flag, time } from './primitives.ts';

export const logsQuery = z.object({
  step: z.string().max(128).optional(),
  node: z.string().max(64).optional(),
  attempt: z.coerce.number().int().positive().optional(),
  stream: z.enum(['stdout', 'stderr']).optional(),
  /** Only the last so many bytes of each stream. */
  tailBytes: z.coerce.number().int().positive().optional(),
  follow: flag.default(false),
  format: z.enum(['text', 'ndjson']).default('text'),
});

/** `text` when the bytes are UTF-8, else `base64`; a gap says how many bytes were cut at this offset. */
export const logChunk = z
  .object({
    attempt: z.string(),
    step: z.string(),
    node: z.string(),
    stream: z.enum(['stdout', 'stderr']),
    offset: count,
    text: z.string().optional(),
    base64: z.string().optional(),
    gapBytes: count.optional(),
  })
  .meta({ id: 'LogChunk' });

export const eventsQuery = z.object({
  /** Seq after which to begin, or a cursor `lineage:seq`; without it, the oldest event that is kept. */
  since: z.string().max(128).optional(),
  follow: flag.default(false),
  run: z.string().max(32).optional(),
  node: z.string().max(64).optional(),
});

/** The other fields follow from the type: see coordinator/core/events.ts. */
export const event = z.looseObject({ seq: count, at: time, type: z.string() }).meta({ id: 'Event' });
