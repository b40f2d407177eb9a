/** Why something does not happen yet, with times as the API writes them. */
import type * as z from 'zod';
import type { Explanation } from '../../core/explain.ts';
import type { ApiPorts } from '../ports.ts';
import type * as resources from '../resources.ts';
import { timeOrNull } from './value.ts';

/** `stallOf` knows what only the connections show: that a node answers and does nothing with its grant. */
export function viewExplanation(
  explanation: Explanation,
  stallOf: ApiPorts['stallOf'],
): z.infer<typeof resources.explanation> {
  const { node, gate, sentence } = explanation;
  const stall = gate === 'start' && node !== null ? stallOf(node) : undefined;
  return {
    ...explanation,
    sentence: stall === undefined ? sentence : `${sentence}; ${stall.sentence}`,
    since: timeOrNull(explanation.since),
  };
}
