/** How every error is answered: application/problem+json. */
import * as z from 'zod';
import type { ErrorCode } from '../../../shared/errors.ts';
import { errorCodes } from '../../../shared/errors.ts';

export const diagnostic = z.object({
  severity: z.enum(['error', 'warning']),
  file: z.string(),
  line: z.int(),
  column: z.int(),
  message: z.string(),
  expected: z.string().optional(),
  nearest: z.string().optional(),
});

export const problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    code: z.enum(Object.keys(errorCodes) as [ErrorCode, ...ErrorCode[]]),
    detail: z.string(),
    /** The same request may succeed later without a change. */
    retryable: z.boolean(),
    diagnostics: z.array(diagnostic).optional(),
    /** With `cursor-expired`: the oldest cursor from which events can still be read. */
    resumeFrom: z.string().optional(),
  })
  .meta({ id: 'Problem' });
