/**
 * Named sets of params that apply where they match: by labels of a node (platform and site are labels too), and by
 * the roles that it has in a run. Unlike what a run freezes, they count as they are when a job is granted, as the
 * params of a node do.
 */
import type { StoredValue } from './event-values.ts';
import { compareNames } from './order.ts';

/** All that is said must hold; of several values one. */
export type ProfileWhere = {
  /** By key; the values that fit. */
  readonly labels: Readonly<Record<string, readonly string[]>>;
  /** Null: in any role, or in none. */
  readonly roles: readonly string[] | null;
};

export type Profile = {
  readonly profile: string;
  /** The greater one wins; of equal ones, the first by name. */
  readonly priority: number;
  readonly where: ProfileWhere;
  readonly params: Readonly<Record<string, StoredValue>>;
};

export type ProfileState = Profile & {
  readonly by: string;
  readonly appliedSeq: number;
  readonly appliedAt: number;
};

export type ProfileEvent =
  | (Profile & { readonly type: 'ProfileApplied'; readonly by: string })
  | { readonly type: 'ProfileRemoved'; readonly profile: string; readonly by: string };

/** Lowest first: the last one that has a value wins. */
export const ranked = <T extends Pick<Profile, 'profile' | 'priority'>>(profiles: Iterable<T>): T[] =>
  [...profiles].sort((a, b) => a.priority - b.priority || compareNames(b.profile, a.profile));
