/** What one job is: its state, its attempts and what became of them. */
import type { Outcome } from '../../shared/messages.ts';
import type { Ended, JobMode, StoredValue } from './event-values.ts';

export type JobState =
  | 'waiting'
  | 'ready'
  | 'granted'
  | 'running'
  | 'unknown'
  | 'deferred'
  | 'succeeded'
  | 'failed'
  | 'skipped'
  | 'cancelled'
  | 'held';

/** What was granted, kept until the attempt has ended so that it can be sent again word for word. */
export type Grant = {
  readonly attempt: number;
  readonly attemptsMax: number;
  readonly mode: JobMode;
  readonly task: number;
  readonly inputs: Readonly<Record<string, StoredValue>>;
  readonly targets?: readonly string[];
  readonly provides?: {
    readonly service: string;
    readonly port: number | null;
    readonly address: string | null;
  };
  readonly ended?: Ended;
};

export type Disclosure = {
  readonly attempt: number;
  readonly state: 'accepted' | 'running' | 'ended';
  readonly outcome: Outcome | null;
};

export const isLive = (state: JobState): boolean =>
  state === 'granted' || state === 'running' || state === 'unknown';

/** It is its turn: it can be done, is done, or waits for a decision. */
export const isPending = (state: JobState): boolean => state === 'ready' || state === 'held' || isLive(state);

export const isFinished = (state: JobState): boolean =>
  state === 'succeeded' || state === 'failed' || state === 'skipped' || state === 'cancelled';
