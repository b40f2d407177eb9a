/**
 * `run --from STEP`: a run that begins in the middle of its pipeline. Units before that are left out on every node.
 */
import type { Pipeline } from '../../shared/pipeline/model.ts';

export const leftOutReason = (from: string): string => `--from ${from}`;

/** How many units at the beginning are left out. */
export const unitsLeftOut = ({ units }: Pipeline, from: string | null): number =>
  from === null
    ? 0
    : Math.max(
        0,
        units.findIndex(({ id }) => id === from),
      );
