/** The words for what carries out a step instead of a script: working automation, unchanged. */
import * as z from 'zod';
import { about, words } from './language-primitives.ts';

export const runnerFields = {
  runParts: about(
    words.optional(),
    'A folder beside this file: its executable files are run one after the other in the order of their names, up to the first that fails.',
  ),
};

export const runnerNames = ['runParts'] as const satisfies readonly (keyof typeof runnerFields)[];

const _runnerFile = z.object(runnerFields);
export type RunnerFile = z.infer<typeof _runnerFile>;
