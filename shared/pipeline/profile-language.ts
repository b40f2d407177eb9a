/** The words of profile files: params that apply to the nodes that they match. */
import * as z from 'zod';
import {
  about,
  description,
  identifier,
  labelKey,
  oneOrMany,
  stepName,
  title,
  words,
} from './language-primitives.ts';

const where = z.strictObject({
  platform: about(oneOrMany(words).optional(), 'Where a node runs: `metal`, `aws`, …; the label `platform`.'),
  site: about(oneOrMany(words).optional(), 'The label `site`.'),
  role: about(
    oneOrMany(identifier).optional(),
    'Roles of a run; the profile applies to what their nodes do in it.',
  ),
  labels: about(
    z.record(labelKey, oneOrMany(words)).optional(),
    'Labels with the value, or one of the values, that they must have.',
  ),
});

const secretSource = z.strictObject({
  env: about(words.optional(), 'A variable of the environment of whoever applies the profile.'),
  file: about(words.optional(), 'A file, by a path from the folder of this one.'),
});

export const profileSchema = z
  .strictObject({
    kind: about(z.literal('profile'), 'What this file is.'),
    name: about(stepName, 'Name of the profile; applied again, it takes the place of what it was.'),
    title,
    description,
    priority: about(
      z.int().min(-1_000_000).max(1_000_000).optional(),
      'Of several profiles that give a param the greatest wins; 0 when absent.',
    ),
    where: about(where.optional(), 'Where it applies: all that is said must hold. Everywhere when absent.'),
    params: about(
      z.record(identifier, z.json()).optional(),
      'Values of params, for every pipeline that has them.',
    ),
    secrets: about(
      z.record(identifier, secretSource).optional(),
      'Values that stand in no file like this: where they are taken from when the profile is applied.',
    ),
  })
  .meta({ title: 'Lockstep profile', description: 'Params that apply to the nodes that they match.' });
