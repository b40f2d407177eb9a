/** Of what somebody can be told. A new kind has its row here, and its case in notifications.ts. */

/** Each with whether it is told when a receiver does not say what it wants. */
export const notificationKinds = {
  /** A run or a job waits for a decision. */
  held: true,
  /** A run has failed. */
  failed: true,
  /** A run waits for an approval. */
  'waiting-for-approval': true,
  /** A trigger was to start a run, and could not. */
  'not-started': true,
  /** A node was quarantined. */
  quarantined: true,
  /** A run waits for nodes that cannot be reached. */
  paused: false,
  /** A run has succeeded but for nodes that are away. */
  deferred: false,
  /** A node did not do its deferred job in time. */
  overdue: false,
  /** A run was cancelled. */
  cancelled: false,
  /** A run has succeeded. */
  succeeded: false,
  /** Contact with a node was lost. */
  unreachable: false,
} as const satisfies Record<string, boolean>;

export type NotificationKind = keyof typeof notificationKinds;

export const isNotificationKind = (word: string): word is NotificationKind =>
  Object.hasOwn(notificationKinds, word);
