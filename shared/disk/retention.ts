/** Which of the oldest files go, by age and total size. Only the decision; whoever owns the files removes them. */

export type KeptFile = {
  readonly bytes: number;
  /** Of the newest thing in it, in milliseconds since 1970. */
  readonly newestAt: number;
};

export type RetentionPolicy = { readonly now: number; readonly keptMs: number; readonly keptBytes: number };

/**
 * The files to delete: always the oldest ones without a hole, because what is kept must be one stretch. The
 * first that may not go yet protects all after it.
 */
export function expiredFiles<K extends KeptFile>(
  oldestFirst: readonly K[],
  policy: RetentionPolicy,
  mayGo: (file: K) => boolean,
): readonly K[] {
  let total = oldestFirst.reduce((sum, { bytes }) => sum + bytes, 0);
  const kept = oldestFirst.findIndex((file) => {
    const goes = mayGo(file) && (total > policy.keptBytes || file.newestAt < policy.now - policy.keptMs);
    if (goes) total -= file.bytes;
    return !goes;
  });
  return oldestFirst.slice(0, kept === -1 ? oldestFirst.length : kept);
}
