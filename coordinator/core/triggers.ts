/**
 * What starts runs by itself: a time, a node that joins, a service, a call from outside. What a trigger starts was
 * read and judged when it was declared; each is bounded in how often it does so, and whatever happens meanwhile
 * counts for the next time.
 */
import type { CronTimes } from '../../shared/cron.ts';
import type { Pipeline } from '../../shared/pipeline/model.ts';
import type { Actor, StoredValue } from './event-values.ts';

export type TriggerCause =
  | ({ readonly kind: 'cron' } & CronTimes)
  /** A node of the cluster comes into contact for which this CEL over name, labels, facts is true and was not before. */
  | { readonly kind: 'join'; readonly where: string }
  /** Some node provides it that did not, or elsewhere than before. */
  | { readonly kind: 'service'; readonly service: string }
  /** A request to `/hooks/NAME/KEY`; `hash` is the SHA-256 of the key. */
  | { readonly kind: 'webhook'; readonly hash: string };

export type Trigger = {
  readonly trigger: string;
  readonly on: TriggerCause;
  readonly atMostEveryMs: number;
  readonly cluster: string;
  readonly pipeline: Pipeline;
  readonly params: Readonly<Record<string, StoredValue>>;
  readonly limit: string | null;
  readonly checkOnly: boolean;
  /** The runs are limited to the nodes that have joined. */
  readonly onlyNew: boolean;
};

export type TriggerState = Trigger & {
  readonly by: Actor;
  readonly declaredAt: number;
  /** Of a time: when it comes next; null for all others. */
  nextAt: number | null;
  /** Nodes that have joined already. */
  readonly joined: Set<string>;
  /** What has happened since the last run, null for nothing: the first of it in words, and the nodes that it came from. */
  pending: { readonly what: string; readonly since: number; readonly nodes: readonly string[] } | null;
  /** The next run not before this time. */
  notBefore: number;
  lastRun: { readonly run: string; readonly at: number } | null;
  /** Why it started none the last time; null when it did. */
  lastFailure: { readonly reason: string; readonly at: number } | null;
};

export const actorOf = (trigger: string): Actor => `trigger:${trigger}`;

export type TriggerEvent =
  | (Trigger & {
      readonly type: 'TriggerDeclared';
      readonly by: Actor;
      readonly nextAt: number | null;
      /** Nodes that are there already and start nothing. */
      readonly joined: readonly string[];
    })
  | { readonly type: 'TriggerRemoved'; readonly trigger: string; readonly by: Actor }
  /** What it waits for has happened, on this node or, null, outside. */
  | {
      readonly type: 'TriggerMatched';
      readonly trigger: string;
      readonly from: string | null;
      readonly what: string;
    }
  | {
      readonly type: 'TriggerFired';
      readonly trigger: string;
      /** The run. */
      readonly started: string;
      readonly what: string;
      readonly nextAt: number | null;
    }
  /** It was its turn, and no run could be created. */
  | {
      readonly type: 'TriggerFailed';
      readonly trigger: string;
      readonly what: string;
      readonly reason: string;
      readonly nextAt: number | null;
    };
