/**
 * The one class for errors that are expected, with a closed set of codes. The HTTP status, the exit code
 * and whether a repeat may help follow from the code, here and nowhere else. Bugs are InvariantError.
 */
import type { Diagnostic } from './diagnostic.ts';

type Meaning = { readonly httpStatus: number; readonly exitCode: 1 | 2 | 3 | 4; readonly retry: boolean };

/** What each code means to a caller. `retry`: the same request may succeed later without a change. */
export const errorCodes = {
  invalid: { httpStatus: 422, exitCode: 2, retry: false },
  usage: { httpStatus: 400, exitCode: 2, retry: false },
  unauthorized: { httpStatus: 401, exitCode: 2, retry: false },
  forbidden: { httpStatus: 403, exitCode: 2, retry: false },
  'not-found': { httpStatus: 404, exitCode: 2, retry: false },
  conflict: { httpStatus: 409, exitCode: 2, retry: false },
  'cursor-expired': { httpStatus: 410, exitCode: 2, retry: false },
  'too-large': { httpStatus: 413, exitCode: 2, retry: false },
  'too-many': { httpStatus: 429, exitCode: 3, retry: true },
  unreachable: { httpStatus: 503, exitCode: 3, retry: true },
  'disk-full': { httpStatus: 507, exitCode: 3, retry: true },
  locked: { httpStatus: 423, exitCode: 2, retry: false },
  damaged: { httpStatus: 500, exitCode: 3, retry: false },
  version: { httpStatus: 426, exitCode: 2, retry: false },
} as const satisfies Record<string, Meaning>;

export type ErrorCode = keyof typeof errorCodes;

export class LockstepError extends Error {
  override readonly name = 'LockstepError';
  readonly code: ErrorCode;
  /** Every fault of a rejected file or request, when there is more to say than the message. */
  readonly diagnostics: readonly Diagnostic[];

  constructor(
    code: ErrorCode,
    message: string,
    more: { cause?: unknown; diagnostics?: readonly Diagnostic[] } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.code = code;
    this.diagnostics = more.diagnostics ?? [];
  }
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
