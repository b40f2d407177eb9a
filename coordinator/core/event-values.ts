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
