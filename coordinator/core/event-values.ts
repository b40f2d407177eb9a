/** Values of which events are made. */

/** A value as the journal holds it: itself, the digest of its JSON text, or a reference into the secret store. */
export type StoredValue =
  | { readonly value: unknown }
  | { readonly blob: string }
  | { readonly file: string }
  | { readonly secret: string };

/** The layer that a param's value came from; a node's own value stands between `cluster` and `run`. */
export type ParamLayer = 'default' | 'generated' | 'cluster' | 'run';

export type LayeredValue = { readonly from: ParamLayer; readonly value: StoredValue };

/** Who did something: `operator:<token name>`, `agent:<node>` or `coordinator`. */
export type Actor = string;

export type RolePlan = { readonly nodes: readonly string[]; readonly leader: string | null };

/** Whether an operator lets a node work; contact is another matter. */
export type NodeAdministration = 'in-service' | 'cordoned' | 'maintenance' | 'quarantined' | 'retired';

export type JobMode = 'normal' | 'verify-first' | 'check-only';

export type ParamScope = { readonly cluster: string } | { readonly node: string };

/** What failed, as whoever is to deal with it sees it. */
export type Failure = {
  readonly node: string;
  readonly step: string;
  /** Null when a signal ended it, or when it never ran. */
  readonly exit: number | null;
  readonly reason: string;
  /** The end of what it printed, in as far as that had arrived; secrets that are known are not in it. */
  readonly logTail: StoredValue;
};

/** How that ended which a job comes after: the steps of its unit on its node, or the run. */
export type Ended = {
  readonly outcome: 'succeeded' | 'failed' | 'cancelled';
  readonly failure?: Failure;
};
