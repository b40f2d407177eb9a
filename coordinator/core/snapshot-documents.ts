/**
 * The documents of a snapshot. A reader knows every format that was ever written; the number grows when an old
 * one would mislead. Fields are added, and a reader does without those that it does not find.
 */
import type { Opening } from '../../shared/window.ts';
import type { StoredValue } from './event-values.ts';
import type { ExpectedNode } from './expectation.ts';
import type { OfferState } from './offer.ts';
import type { ProfileState } from './profiles.ts';
import type { ReceiverState } from './receivers.ts';
import type { ArchivedRun } from './run-parts.ts';
import type {
  DisruptionBudget,
  Endpoint,
  Job,
  Node,
  Run,
  State,
  StepState,
  Token,
  UnitState,
} from './state.ts';
import type { TriggerState } from './triggers.ts';

export const snapshotFormat = 1;

export type NodeDocument = Omit<
  Node,
  | 'features'
  | 'params'
  | 'queue'
  | 'deferredRuns'
  | 'segment'
  | 'attended'
  | 'awaitedBy'
  | 'countsIn'
  | 'credit'
  | 'lineage'
  | 'hardware'
  | 'incarnationSince'
  | 'formers'
  | 'vacancy'
  | 'unmet'
  | 'administrationBy'
  | 'administrationSince'
> &
  Partial<
    Pick<
      Node,
      | 'hardware'
      | 'incarnationSince'
      | 'formers'
      | 'vacancy'
      | 'unmet'
      | 'administrationBy'
      | 'administrationSince'
    >
  > & {
    readonly lineage?: string;
    readonly params: readonly (readonly [string, StoredValue])[];
    readonly features?: readonly string[];
    readonly queue: readonly string[];
    /** Absent in snapshots of old. */
    readonly deferredRuns?: readonly string[];
  };

export type OfferDocument = Omit<OfferState, 'taking' | 'failed'> & {
  readonly taking: readonly (readonly [string, number])[];
  readonly failed: readonly (readonly [string, string])[];
};

export type JobDocument = Omit<Job, 'run' | 'step' | 'member' | 'executor' | 'blockers' | 'admitted'> & {
  /** Only when it is another node. */
  readonly executor?: string;
  readonly step: number;
  readonly node: string;
};

export type UnitDocument = Pick<UnitState, 'approval' | 'nodes' | 'wave' | 'pauseUntil'> & {
  /** Only when somebody has looked at it. */
  readonly window?: Opening;
  readonly domains: readonly (readonly [string, string])[] | null;
  readonly slots: readonly (readonly [string, number])[];
  readonly waveOf: readonly (readonly [string, number])[];
};

export type StepDocument = Pick<StepState, 'opened'> & {
  readonly facts: readonly (readonly [string, string])[] | null;
  /** Only when there are any. */
  readonly passedOn?: readonly JobDocument[];
};

export const runFields = [
  'id',
  'cluster',
  'pipeline',
  'digest',
  'params',
  'limit',
  'checkOnly',
  'from',
  'by',
  'createdSeq',
  'createdAt',
  'planned',
  'plannedSeq',
  'plannedAt',
  'startedAt',
  'end',
  'outcome',
  'cancel',
  'hold',
  'failing',
  'deferredAt',
  'pausedAt',
] as const satisfies readonly (keyof Run)[];

export type RunDocument = Pick<Run, (typeof runFields)[number]> & {
  readonly roles: readonly {
    readonly name: string;
    readonly nodes: readonly string[];
    readonly leader: string | null;
  }[];
  /** The last, the version of its agent, is absent in snapshots of old. */
  readonly members: readonly (readonly [string, string | null, boolean, string?])[];
  readonly units: readonly UnitDocument[];
  readonly steps: readonly StepDocument[];
  readonly jobShards: number;
};

export type TriggerDocument = Omit<TriggerState, 'joined'> & { readonly joined: readonly string[] };

export type Head = {
  readonly format: number;
  readonly seq: number;
  readonly at: number;
  readonly lineage: string;
  readonly epoch: number;
  readonly version?: string;
  readonly types?: readonly string[];
  readonly offer?: OfferDocument;
  /** Absent in snapshots of versions that could not restore. */
  readonly restoration?: State['restoration'];
  readonly fence?: State['fence'];
  readonly runsCreated: number;
  readonly tokens: readonly Token[];
  readonly clusterParams: readonly (readonly [string, readonly (readonly [string, StoredValue])[]])[];
  readonly modules: readonly (readonly [string, string])[];
  /** Absent in snapshots of versions that told nobody. */
  readonly receivers?: readonly ReceiverState[];
  /** Absent when none are expected, and in snapshots of old. */
  readonly expected?: readonly ExpectedNode[];
  /** Absent when there are none, and in snapshots of old. */
  readonly profiles?: readonly ProfileState[];
  /** Absent in snapshots of versions that started nothing by themselves. */
  readonly triggers?: readonly TriggerDocument[];
  readonly leaders: readonly (readonly [string, string])[];
  readonly services: readonly (readonly [string, readonly Endpoint[]])[];
  /** Absent in snapshots of versions that had none. */
  readonly budgets?: readonly (readonly [string, DisruptionBudget])[];
  readonly archive: readonly ArchivedRun[];
  readonly nodeShards: number;
  readonly runs: readonly string[];
};
