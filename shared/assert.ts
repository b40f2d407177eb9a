/**
 * What the code says of itself: broken invariants stop the process, because state is rebuilt from the
 * journal and a wrong state must not be. Expected errors do not belong here; they are in errors.ts.
 */

export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}

/** The value, or a broken invariant named `what` when it is not there. */
export function present<T>(value: T | undefined | null, what: string): T {
  if (value === undefined || value === null) throw new InvariantError(`missing ${what}`);
  return value;
}

export function assertNever(value: never): never {
  throw new InvariantError(`unexpected case: ${JSON.stringify(value)}`);
}
