/**
 * Who is told of what happens, as the journal keeps it. A webhook's address is kept with its key in the secret
 * store, because many carry a token in their path; the journal has only where it leads. What is worth telling is
 * notifications.ts, how it is delivered the edge's.
 */
import { matchGlob } from '../../shared/expressions/glob.ts';
import type { NotificationKind } from './notification-kinds.ts';

export type ReceiverTarget =
  /** `origin`: `https://hooks.example`; `secret`: of `{url, key}`. */
  | { readonly kind: 'webhook'; readonly origin: string; readonly secret: string }
  /** By the name of a file in the folder that the coordinator was given. */
  | { readonly kind: 'command'; readonly program: string }
  | { readonly kind: 'mail'; readonly to: readonly string[] };

/** Of what it is told: all of these hold. */
export type ReceiverFilter = {
  readonly kinds: readonly NotificationKind[];
  /** Empty: of every cluster. */
  readonly clusters: readonly string[];
  /** Globs; empty: of every pipeline, and of nodes, which have none. */
  readonly pipelines: readonly string[];
};

export type Receiver = {
  readonly receiver: string;
  readonly target: ReceiverTarget;
  readonly filter: ReceiverFilter;
};

export type ReceiverState = Receiver & {
  readonly by: string;
  readonly declaredSeq: number;
  readonly declaredAt: number;
};

/** As an operator gives it: a webhook with what is to be kept secret. */
export type ReceiverRequest = Omit<Receiver, 'target'> & {
  readonly target:
    | { readonly kind: 'webhook'; readonly url: string; readonly key: string }
    | Exclude<ReceiverTarget, { kind: 'webhook' }>;
};

export const wants = (
  { kinds, clusters, pipelines }: ReceiverFilter,
  about: {
    readonly kind: NotificationKind;
    readonly cluster: string | null;
    readonly pipeline: string | null;
  },
): boolean =>
  kinds.includes(about.kind) &&
  (clusters.length === 0 || (about.cluster !== null && clusters.includes(about.cluster))) &&
  (pipelines.length === 0 ||
    pipelines.some((glob) => about.pipeline !== null && matchGlob(glob, about.pipeline)));
