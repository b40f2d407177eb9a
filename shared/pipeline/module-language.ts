/** The words of module files, made of those that a step has too. */
import * as z from 'zod';
import { paramFields, scriptFields } from './language.ts';
import { about, description, identifier, stepName, title } from './language-primitives.ts';
import { runnerFields } from './runner-language.ts';

const versionPattern = /^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/;

const {
  outputs,
  leaves,
  rerun,
  retry: retryField,
  timeout,
  files,
  check,
  run,
  shell: shellField,
} = scriptFields;

const taskSchema = z.strictObject({
  title,
  description,
  params: about(
    z.record(identifier, z.strictObject(paramFields)).optional(),
    'Inputs of the task; a step gives them in `with`.',
  ),
  check,
  run,
  verify: scriptFields.verify,
  shell: shellField,
  files,
  outputs,
  leaves,
  rerun,
  retry: retryField,
  timeout,
  ...runnerFields,
});

export const moduleSchema = z
  .strictObject({
    kind: about(z.literal('module'), 'What this file is.'),
    name: about(stepName, 'Name of the module.'),
    version: about(
      z.string().regex(versionPattern, { error: 'a version such as 1.4.0' }),
      'Its version; a version never changes once it is used.',
    ),
    title,
    description,
    tasks: about(z.record(stepName, taskSchema), 'Tasks, used as `module/task@version`.'),
  })
  .meta({ title: 'Lockstep module', description: 'A versioned package of tasks with their files.' });

export type TaskFile = z.infer<typeof taskSchema>;
