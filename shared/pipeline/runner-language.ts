/** The words for what carries out a step instead of a script: working automation, unchanged. */
import * as z from 'zod';
import { about, identifier, oneOrMany, script, words } from './language-primitives.ts';

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

const container = z.union([
  words,
  z.strictObject({
    image: about(words, 'The image; it may name values, as in `app:$PARAM_RELEASE`.'),
    run: about(
      script.optional(),
      'Script that `sh -e` runs in the container, in the working folder `/work`.',
    ),
    command: about(oneOrMany(words).optional(), 'Words that the image is started with, instead of a script.'),
    volumes: about(oneOrMany(words).optional(), 'Folders of the node, as `/srv/app:/srv/app:ro`.'),
    arguments: about(oneOrMany(words).optional(), 'Anything else that `docker run` or `podman run` takes.'),
  }),
]);

const terraform = z.union([
  words,
  z.strictObject({
    folder: about(words, 'The folder with the configuration, beside this file.'),
    keep: about(
      z.string().regex(/^\//, { error: 'an absolute path' }).optional(),
      'Where the node keeps state and providers; below `/var/lib/lockstep-terraform` when absent.',
    ),
    arguments: about(oneOrMany(words).optional(), 'Anything else that `plan` takes.'),
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
  container: about(
    container.optional(),
    'A command or a script in a container, by docker or podman, whichever the node has.',
  ),
  terraform: about(
    terraform.optional(),
    'Plans and applies a configuration on the node, which keeps its state.',
  ),
  tofu: about(terraform.optional(), 'The same as `terraform`, by OpenTofu.'),
};

export const runnerNames = [
  'runParts',
  'ansible',
  'container',
  'terraform',
  'tofu',
] as const satisfies readonly (keyof typeof runnerFields)[];

export type AnsibleFile = z.infer<typeof ansible>;
export type ContainerFile = z.infer<typeof container>;
export type TerraformFile = z.infer<typeof terraform>;
