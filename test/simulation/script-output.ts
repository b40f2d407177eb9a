/** What simulated scripts write to `$LOCKSTEP_OUTPUT`: mostly what was declared. Secrets can be told by their looks. */
import { digestOf } from '../../coordinator/sequence/contents.ts';
import type { JobSpecification } from '../../shared/messages.ts';
import type { Random } from '../coordinator/core/random-pipeline.ts';

/** In every secret of a simulation, and in nothing else: so long that random bytes in base64 never hold it. */
export const secretMark = 'sEcReT of';

const encoder = new TextEncoder();

export function outputOf(
  { outputs }: Pick<JobSpecification, 'outputs'>,
  attempt: string,
  number: number,
  random: Random,
): Uint8Array {
  const lines = Object.entries(outputs).flatMap(([name, { type, optional }]) => {
    const isThere = random.chance(optional ? 0.5 : 0.99);
    if (!isThere) return [];
    if (name === 'key') return [`key=${secretMark} ${attempt}`];
    switch (type) {
      case 'int':
        return [random.chance(0.99) ? `${name}=${number}` : `${name}=many`];
      case 'bool':
        return [`${name}=${random.chance(0.5)}`];
      case 'json':
        return [`${name}<<END`, `["${attempt}", {"number": ${number}}]`, 'END'];
      case 'file':
        return [`${name}=out/${number}`];
      default:
        return [`${name}=said by ${attempt}, ${'x'.repeat(random.below(6_000))}`];
    }
  });
  return encoder.encode(lines.map((line) => `${line}\n`).join(''));
}

/** The content of a file that a script names, with its digest. */
export function fileOf(attempt: string, path: string): { readonly digest: string; readonly text: string } {
  const text = `content of ${path} of ${attempt}`;
  return { digest: digestOf(text), text };
}
