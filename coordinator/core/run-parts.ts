/** What a run and its units are made of that knows of no other part of the state. */

export type RoleState = { readonly name: string; nodes: readonly string[]; leader: string | null };

export type RunEnd = {
  readonly state: 'succeeded' | 'failed' | 'cancelled';
  readonly at: number;
  readonly reason: string;
};

export type ApprovalState =
  | { readonly kind: 'none' }
  | { readonly kind: 'needed'; readonly text: string }
  | { readonly kind: 'requested'; readonly text: string; readonly at: number }
  | { readonly kind: 'given'; readonly by: string; readonly at: number };

/** The strategy's amounts in nodes of this unit. */
export type UnitLimits = {
  /** Jobs at once (parallel) or unavailable nodes at once (rolling). */
  readonly atOnce: number;
  readonly failed: number;
  readonly unknown: number;
  readonly unreachable: number;
};

/** Candidates by rank, with lazy deletion: an entry counts only while its node is in `nodes`. */
export type Waiting = {
  readonly nodes: Set<string>;
  readonly all: number[];
  readonly byDomain: Map<string, number[]>;
};

/** Nodes, each in one of these; `open` has something else to do, or failed. */
export type DeferralCounts = {
  readonly nodes: number;
  readonly done: number;
  readonly late: number;
  readonly deferred: number;
  readonly overdue: number;
  readonly superseded: number;
  readonly open: number;
};

export type ArchivedRun = {
  readonly id: string;
  readonly pipeline: string;
  readonly cluster: string;
  readonly by: string;
  readonly createdSeq: number;
  readonly createdAt: number;
  readonly startedAt: number | null;
  readonly end: RunEnd;
  /** Absent when it deferred nothing, and in archives of old. */
  readonly deferral?: DeferralCounts;
  /** Blob with the whole run as the API showed it. */
  readonly digest: string;
};
