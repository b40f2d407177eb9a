/** The words of a pipeline file that says only what it does differently from another one. */
import * as z from 'zod';
import {
  callSchema,
  finallySchema,
  groupSchema,
  memberStepSchema,
  paramSchema,
  pipelineHead,
  pipelineSchema,
  roleSchema,
  stepSchema,
} from './language.ts';
import { about, identifier, stepName, words } from './language-primitives.ts';

const anyStep = z.union([stepSchema, groupSchema, callSchema, memberStepSchema, finallySchema]);
const id = about(stepName.optional(), 'As it was: others know the step by it.');
const anyReplacement = z.union([
  stepSchema.extend({ id }),
  groupSchema.extend({ id }),
  callSchema.extend({ id }),
  memberStepSchema.extend({ id }),
  finallySchema.extend({ id }),
]);

const insertion = z.strictObject({
  before: about(words.optional(), 'Id of the step, group or call before which they come.'),
  after: about(words.optional(), 'Id of the step, group or call after which they come.'),
  steps: about(
    z.array(anyStep).min(1),
    'Steps and groups; inside a group, or in `finally`, what may stand there.',
  ),
});

const replacement = z.strictObject({
  step: about(words, 'Id of the step or group.'),
  with: about(anyReplacement, 'What stands there instead, under the same id.'),
});

export const extensionSchema = z
  .strictObject({
    kind: pipelineHead.kind,
    name: about(stepName.optional(), 'Name of the pipeline; that of the other one when absent.'),
    title: pipelineHead.title,
    description: pipelineHead.description,
    extends: about(words, 'The pipeline that this one varies: a path that begins with `./` or `../`.'),
    params: about(
      z.record(identifier, paramSchema).optional(),
      'Further params, and what is said otherwise of those of the other pipeline, key by key.',
    ),
    roles: about(
      z.record(identifier, roleSchema).optional(),
      'Further roles, and what is said otherwise of those of the other pipeline, key by key.',
    ),
    concurrency: pipelineSchema.shape.concurrency,
    window: pipelineSchema.shape.window,
    insert: about(z.array(insertion).min(1).optional(), 'Steps that come in addition.'),
    replace: about(z.array(replacement).min(1).optional(), 'Steps that are done in another way.'),
    remove: about(z.array(words).min(1).optional(), 'Ids of steps and groups that are not done.'),
  })
  .meta({
    title: 'Lockstep pipeline that extends another',
    description: 'What one site does differently from a common sequence.',
  });
