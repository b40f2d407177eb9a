/** The one place where an error becomes an answer. What cannot be explained is logged whole and told in short. */

import { STATUS_CODES } from 'node:http';
import type { Context } from 'hono';
import { HTTPException } from 'hono/http-exception';
import type { ZodError } from 'zod';
import { errorCodes, LockstepError } from '../../shared/errors.ts';

/** `resumeFrom` goes with `cursor-expired`. */
export class CursorExpired extends LockstepError {
  readonly resumeFrom: string;

  constructor(message: string, resumeFrom: string) {
    super('cursor-expired', message);
    this.resumeFrom = resumeFrom;
  }
}

export function answerProblem(error: unknown, onBug: (error: unknown) => void): Response {
  const expected = explain(error);
  if (expected === undefined) onBug(error);
  const known =
    expected ??
    new LockstepError(
      'damaged',
      'the coordinator met something it does not understand; its log has the details',
    );
  const { httpStatus, retry } = errorCodes[known.code];
  const body = {
    type: `urn:lockstep:problem:${known.code}`,
    title: STATUS_CODES[httpStatus] ?? known.code,
    status: httpStatus,
    code: known.code,
    detail: known.message,
    retryable: retry,
    ...(known.diagnostics.length > 0 ? { diagnostics: known.diagnostics } : {}),
    ...(known instanceof CursorExpired ? { resumeFrom: known.resumeFrom } : {}),
  };
  const headers = new Headers({ 'content-type': 'application/problem+json' });
  if (httpStatus === 401) headers.set('www-authenticate', 'Bearer');
  return new Response(JSON.stringify(body), { status: httpStatus, headers });
}

function explain(error: unknown): LockstepError | undefined {
  if (error instanceof LockstepError) return error;
  // Hono's own, for a body that is not JSON.
  if (error instanceof HTTPException && error.status === 400)
    return new LockstepError('usage', error.message);
  return undefined;
}

/** What a schema refused, with the place of each fault. */
export function refuseInput(target: string, error: ZodError): never {
  const faults = error.issues.map((issue) => {
    const { path, message } = issue;
    // For a key of a record, what the schema of keys says is said, not that there is something to say.
    const said = issue.code === 'invalid_key' ? issue.issues.map((each) => each.message).join(', ') : message;
    return `${path.length > 0 ? path.join('.') : target}: ${said}`;
  });
  throw new LockstepError(
    target === 'json' ? 'invalid' : 'usage',
    `the request is not valid: ${faults.join('; ')}`,
  );
}

export function notFoundHere(context: Context): never {
  throw new LockstepError(
    'not-found',
    `there is no ${context.req.method} ${context.req.path}; see /openapi.json`,
  );
}
