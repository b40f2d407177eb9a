/** How a run stands to others of its group: the words, and what they come to. */
import * as z from 'zod';
import { about, stepName } from './language-primitives.ts';
import type { Concurrency } from './model.ts';
import type { Report } from './report.ts';
import type { Path } from './source.ts';

export const concurrency = z.union([
  stepName,
  z.strictObject({
    group: about(
      stepName,
      'Runs of one group in one cluster concern each other, of whatever pipeline they are.',
    ),
    policy: about(
      z.enum(['queue', 'reject', 'replace']).optional(),
      '`queue`: after the older runs of the group (when absent); `reject`: not at all while there is one; `replace`: the older ones are cancelled once their live jobs have ended.',
    ),
    per: about(
      z.literal('node', { error: '"node"' }).optional(),
      '`node`, with `replace`: only what an older run has deferred for the same nodes is replaced.',
    ),
  }),
]);

export function readConcurrency(file: z.infer<typeof concurrency>, path: Path, report: Report): Concurrency {
  if (typeof file === 'string') return { group: file, policy: 'queue' };
  const { group, policy = 'queue', per } = file;
  if (per !== undefined && policy !== 'replace') {
    report.atKey([...path, 'per'], 'per: node says what is replaced', { expected: 'policy: replace' });
  }
  return { group, policy, ...(per === undefined ? {} : { per }) };
}
