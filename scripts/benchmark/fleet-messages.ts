/** What the benchmark and the processes with its simulated agents say to each other. */
import * as z from 'zod';

const ms = z.number().nonnegative();

/** To a process of the fleet. */
export const fleetOrder = z.discriminatedUnion('kind', [
  /** Brings agents `first` to `first + count - 1` into the cluster. */
  z.object({
    kind: z.literal('join'),
    url: z.url(),
    token: z.string(),
    first: z.int().nonnegative(),
    count: z.int().nonnegative(),
  }),
  /** Forgets what was measured. From now on each job takes between nothing and so long. */
  z.object({ kind: z.literal('measure'), jobMsMax: ms }),
  z.object({ kind: z.literal('report') }),
  /** The coordinator is about to go: agents come back to it. Says `back` when all have. */
  z.object({ kind: z.literal('come-back') }),
  /** Without agents: so many connections send a frame each time they get one, for so long. */
  z.object({
    kind: z.literal('echo'),
    url: z.url(),
    connections: z.int().positive(),
    frame: z.string(),
    forMs: ms,
  }),
  /** Closes the connections of the last `echo`. */
  z.object({ kind: z.literal('hang-up') }),
]);
export type FleetOrder = z.infer<typeof fleetOrder>;

const times = z.object({ step: z.string(), firstGrantAt: ms, lastGrantAt: ms, lastResultAt: ms });

/** From a process of the fleet. */
export const fleetReport = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('joined') }),
  /** Results that the coordinator has acknowledged since `measure`. */
  z.object({ kind: z.literal('progress'), acknowledged: z.int().nonnegative() }),
  z.object({
    kind: z.literal('measured'),
    acknowledged: z.int().nonnegative(),
    /** Null when nothing happened. */
    firstGrantAt: ms.nullable(),
    lastAcknowledgedAt: ms.nullable(),
    steps: z.array(times),
  }),
  /** When the last one was welcomed. */
  z.object({ kind: z.literal('back'), at: ms }),
  z.object({ kind: z.literal('connected') }),
  /** `roundTripMs` of one connection, the others are only counted. */
  z.object({ kind: z.literal('echoed'), frames: z.int().nonnegative(), roundTripMs: z.array(ms) }),
  /** Nothing that is measured means anything any more. */
  z.object({ kind: z.literal('broken'), reason: z.string() }),
]);
export type FleetReport = z.infer<typeof fleetReport>;
export type Measured = Extract<FleetReport, { kind: 'measured' }>;
