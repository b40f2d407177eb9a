/**
 * What a script tells of its parts while it runs, one line of JSON each, in the file `$LOCKSTEP_PARTS`: the scripts of
 * a folder, the tasks of a playbook on each host, the resources of a plan. People read them, and a job that failed is
 * explained by them; nothing is decided by them.
 */
import * as z from 'zod';
import { limits } from './limits.ts';

/** `rescued`: failed, and what ran answered that by itself. `ignored`: failed, and was allowed to. */
const partStates = ['ok', 'changed', 'skipped', 'ignored', 'rescued', 'failed', 'unreachable'] as const;

const label = z.string().min(1).max(limits.partLabelLengthMax);

export const part = z.object({
  name: label,
  /** What it belongs to, such as the play of a task. */
  within: label.optional(),
  host: label.optional(),
  state: z.enum(partStates),
  message: z.string().max(limits.partMessageLengthMax).optional(),
  exitCode: z.int().min(0).max(255).optional(),
  durationMs: z.int().nonnegative().optional(),
});

export const parts = z.object({
  list: z.array(part).max(limits.partsMax),
  /** How many more there were. */
  omitted: z.int().nonnegative(),
});

export type Part = z.infer<typeof part>;
export type Parts = z.infer<typeof parts>;

export const isBroken = ({ state }: Part): boolean => state === 'failed' || state === 'unreachable';

/** `"web : install" in "Web servers" failed on n1: no package nginx`. */
export function sentenceOfPart({ name, within, host, state, message, exitCode }: Part): string {
  const what = within === undefined ? `"${name}"` : `"${name}" in "${within}"`;
  const where = host === undefined ? '' : ` on ${host}`;
  const how = state === 'unreachable' ? 'could not reach its host' : state;
  const why = message ?? (exitCode === undefined ? undefined : `exit status ${exitCode}`);
  return `${what} ${how}${where}${why === undefined || why === '' ? '' : `: ${why}`}`;
}
