/** The words for what carries out a step instead of a script: working automation, unchanged. */
import * as z from 'zod';
import { about, identifier, oneOrMany, words } from './language-primitives.ts';

const ansible = z.union([
  words,
  z.strictObject({
    playbook: about(words, 'The playbook, beside this file or inside of `folder`.'),
    folder: about(
      words.optional(),
      'The folder that ansible-playbook runs in, which comes along whole; that of the playbook when absent.',
    ),
    inventory: about(
      oneOrMany(words).optional(),
      'Inventories of your own, inside of `folder`: their groups and variables count for the hosts of the step.',
    ),
    groups: about(
      oneOrMany(identifier).optional(),
      'Groups of the inventory that all hosts of the step are in, beside the roles of the pipeline.',
    ),
    tags: about(oneOrMany(words).optional(), 'Only tasks with these tags.'),
    skipTags: about(oneOrMany(words).optional(), 'No tasks with these tags.'),
    vaultPassword: about(
      identifier.optional(),
      'Name of the value in `with` that opens the vault. It is no variable then.',
    ),
    arguments: about(oneOrMany(words).optional(), 'Anything else that ansible-playbook takes.'),
  }),
]);

export const runnerFields = {
  runParts: about(
    words.optional(),
    'A folder beside this file: its executable files are run one after the other in the order of their names, up to the first that fails.',
  ),
  ansible: about(
    ansible.optional(),
    'A playbook, run by ansible-playbook on the node for itself; with `scope: role` by one node for all of the role.',
  ),
};

export const runnerNames = ['runParts', 'ansible'] as const satisfies readonly (keyof typeof runnerFields)[];

const _runnerFile = z.object(runnerFields);
export type RunnerFile = z.infer<typeof _runnerFile>;
export type AnsibleFile = z.infer<typeof ansible>;
