/** What the state keeps of where its history comes from, and of one that goes on without it. */
import type { AttemptName } from '../../shared/ids.ts';

/** The restore that the lineage began with. */
export type Restoration = {
  /** Lineages that this one continues, the first of all at the beginning. */
  readonly ancestors: readonly string[];
  /** The last seq that was in the backup. */
  readonly seq: number;
  /** Time of the last event of the backup, ms since 1970. */
  readonly takenAt: number;
  /** Grows from restore to restore within one history, ms since 1970. */
  readonly begunAt: number;
  /** Attempts are numbered from here on, beyond all that the lost part of the history can have used. */
  readonly attemptsFrom: number;
  /** Runs from this number on are not in the backup. */
  readonly runsFrom: number;
};

/** Whether a restore lost the run that the attempt is of: one of this history may have the same id. */
export const isOfLostRun = (restoration: Restoration | null, { run, attempt }: AttemptName): boolean =>
  restoration !== null && Number(run.slice(1)) >= restoration.runsFrom && attempt <= restoration.attemptsFrom;

export type Fence = {
  readonly node: string;
  readonly lineage: string;
  readonly epoch: number;
  readonly at: number;
  /** Of the restore that the other lineage began with, ms since 1970. */
  readonly begunAt?: number;
};
