/**
 * What the journal holds: everything that happened, in the past tense, in one order. State is the fold of
 * these and nothing else, so an event carries all that folding needs; secrets are references, long values
 * digests. Old journals are read for ever: fields are added, never renamed or given a new meaning.
 */
import type { Amount } from '../../shared/pipeline/model.ts';
import type { Actor, ParamScope, StoredValue } from './event-values.ts';
import type { JobEvent } from './job-events.ts';
import type { NodeEvent } from './node-events.ts';
import type { ProfileEvent } from './profiles.ts';
import type { Receiver } from './receivers.ts';
import type { RunEvent } from './run-events.ts';
import type { TriggerEvent } from './triggers.ts';

type ReignEvent =
  | {
      readonly type: 'ReignBegan';
      readonly lineage: string;
      readonly epoch: number;
      readonly version: string;
      /** After a restore: the lineage that goes on as another one, and the last event that both have. */
      readonly continues?: { readonly lineage: string; readonly seq: number; readonly at: number };
    }
  /** A node has seen a reign that this one must give way to: nothing more is granted here. */
  | {
      readonly type: 'ReignFenced';
      readonly node: string;
      readonly lineage: string;
      readonly epoch: number;
      /** When that lineage began with a restore, as its coordinator's clock had it; absent when nobody said. */
      readonly begunAt?: number;
    };

type ParamEvent =
  | {
      readonly type: 'ParamSet';
      readonly scope: ParamScope;
      readonly name: string;
      readonly value: StoredValue;
      readonly by: Actor;
    }
  | { readonly type: 'ParamUnset'; readonly scope: ParamScope; readonly name: string; readonly by: Actor }
  | { readonly type: 'ModulePinned'; readonly module: string; readonly digest: string; readonly by: Actor };

type ClusterEvent = {
  readonly type: 'DisruptionBudgetSet';
  readonly cluster: string;
  /** Null: as many as may be. */
  readonly maxUnavailable: Amount | null;
  readonly by: Actor;
};

type ReceiverEvent =
  | (Receiver & { readonly type: 'ReceiverDeclared'; readonly by: Actor })
  | { readonly type: 'ReceiverRemoved'; readonly receiver: string; readonly by: Actor };

export type EventBody =
  | ReignEvent
  | NodeEvent
  | ParamEvent
  | ClusterEvent
  | ReceiverEvent
  | ProfileEvent
  | TriggerEvent
  | RunEvent
  | JobEvent;

/** `at` is the coordinator's clock in ms since 1970; it never goes back within a journal. */
export type Event = EventBody & { readonly seq: number; readonly at: number };

export type EventType = EventBody['type'];
