/** Why something does not happen yet, with times as the API writes them. */
import type * as z from 'zod';
import type { Explanation } from '../../core/explain.ts';
import type * as resources from '../resources.ts';
import { timeOrNull } from './value.ts';

export const viewExplanation = (explanation: Explanation): z.infer<typeof resources.explanation> => ({
  ...explanation,
  since: timeOrNull(explanation.since),
});
