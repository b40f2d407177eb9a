/** The words that say how many nodes at once, and how often something is tried. */
import * as z from 'zod';
import { limits } from '../limits.ts';
import { about, amount, duration, labelKey, script } from './language-primitives.ts';

const budgets = {
  maxFailed: about(amount.optional(), 'How many nodes may fail before the run stops; 0 when absent.'),
  maxUnknown: about(
    amount.optional(),
    'How many nodes may be out of contact while the work may be running; 0 when absent.',
  ),
  maxUnreachable: about(
    amount.optional(),
    'How many nodes may be left out because they cannot be reached; 0 when absent.',
  ),
};

export const strategy = z.union([
  z.enum(['parallel', 'rolling']),
  z.strictObject({
    parallel: about(
      z
        .strictObject({
          maxParallel: about(amount.optional(), 'How many nodes at once; all when absent.'),
          ...budgets,
        })
        .optional(),
      'All nodes at once, or as many as `maxParallel`.',
    ),
    rolling: about(
      z
        .strictObject({
          maxUnavailable: about(
            amount.optional(),
            'How many nodes may be unavailable at once, from whatever cause; 1 when absent.',
          ),
          by: about(
            z
              .strictObject({
                label: about(labelKey, 'The label whose values are the failure domains, such as `rack`.'),
                domains: about(
                  z.int().min(1).optional(),
                  'How many of them may have unavailable nodes at once; 1 when absent.',
                ),
                perDomain: about(
                  z.int().min(1).optional(),
                  'How many nodes of one of them may be unavailable at once.',
                ),
              })
              .optional(),
            'Keeps unavailable nodes within few failure domains.',
          ),
          waves: about(
            z.array(amount).min(1).max(100).optional(),
            'Cumulative targets, such as `[1, 10%, 100%]`; each is finished before the next begins.',
          ),
          pause: about(duration.optional(), 'Time between one node being done and the next one beginning.'),
          ...budgets,
        })
        .optional(),
      'A few nodes at a time, never more unavailable than allowed.',
    ),
  }),
]);

export const verify = z.union([
  script,
  z.strictObject({
    run: about(script, 'The script; exit status 0 means that all is well.'),
    every: about(duration.optional(), 'Time between two tries; 2s when absent.'),
    timeout: about(duration.optional(), 'How long it may take to become well; 1m when absent.'),
  }),
]);

export const retry = z.union([
  z.int().min(1).max(limits.retryAttemptsMax),
  z.strictObject({
    attempts: about(z.int().min(1).max(limits.retryAttemptsMax), 'How often it is tried in all.'),
    backoff: about(
      duration.optional(),
      'Time before the second try, longer before each further one; 5s when absent.',
    ),
  }),
]);

export type StrategyFile = z.infer<typeof strategy>;
export type VerifyFile = z.infer<typeof verify>;
export type RetryFile = z.infer<typeof retry>;
