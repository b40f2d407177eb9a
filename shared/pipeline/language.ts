/**
 * The words of pipeline files: the one schema from which types, the JSON Schema for editors and the language
 * reference derive; those of modules, which are made of the same, are in module-language.ts. It says what may
 * stand where; what things mean together (names that must exist, order, types of expressions) is judged by the
 * files beside this one.
 */
import * as z from 'zod';
import { limits } from '../limits.ts';
import { concurrency } from './concurrency.ts';
import {
  about,
  description,
  duration,
  expression,
  identifier,
  oneOrMany,
  script,
  stepName,
  title,
  words,
} from './language-primitives.ts';
import { runnerFields } from './runner-language.ts';
import { retry, strategy, verify } from './strategy-language.ts';
import { window } from './window.ts';

export const paramFields = {
  type: about(
    z.enum(['string', 'int', 'double', 'bool', 'json']).optional(),
    'Type of the value; `string` when absent.',
  ),
  title,
  description,
  default: about(
    z.json().optional(),
    'The value when nothing else gives one. Without it, a value must be given.',
  ),
  values: about(z.array(z.json()).min(1).optional(), 'The only values that are allowed.'),
  pattern: about(
    z.string().min(1).max(limits.globLengthMax).optional(),
    'A glob (`*`, `?`, `[a-z]`) that the whole string must fit.',
  ),
  minimum: about(z.number().optional(), 'The least number allowed.'),
  maximum: about(z.number().optional(), 'The greatest number allowed.'),
  secret: about(z.boolean().optional(), 'The value never stands in the journal, in logs or on a page.'),
};

const outputType = z.enum(['string', 'int', 'bool', 'json', 'file']);
const output = z.union([
  outputType,
  z.strictObject({
    type: about(outputType, 'Type that the value must have. A `file` output names a path on the node.'),
    description,
    secret: about(z.boolean().optional(), 'The value is treated as a secret.'),
    optional: about(z.boolean().optional(), 'The job may succeed without it.'),
  }),
]);

export const paramSchema = z.strictObject({
  ...paramFields,
  generate: about(
    z
      .strictObject({
        hex: about(z.int().min(1).max(1_024).optional(), 'So many random bytes, written in hexadecimal.'),
        password: about(z.int().min(8).max(1_024).optional(), 'So many random letters and digits.'),
        uuid: about(z.literal(true).optional(), 'A random UUID.'),
      })
      .optional(),
    'Makes a value once per cluster when nothing else gives one, and keeps it. Exactly one of its keys.',
  ),
});

export const roleSchema = z.strictObject({
  select: about(
    expression.optional(),
    'CEL over `name`, `labels` and `facts`: the nodes for which it is true. All when absent.',
  ),
  count: about(
    z.int().min(1).max(limits.runNodesMax).optional(),
    'How many nodes; the run needs them all and takes no more.',
  ),
  spread: about(
    words.optional(),
    'A label, such as `labels.rack`: the nodes are taken from as many of its values as possible.',
  ),
  except: about(oneOrMany(words).optional(), 'Roles whose nodes are not taken.'),
  optional: about(
    z.boolean().optional(),
    'The run goes on when no node is selected; its steps are then skipped.',
  ),
  waitFor: about(duration.optional(), 'How long the run waits for enough nodes to join.'),
  prefer: about(
    expression.optional(),
    'CEL that gives a key per node: the node with the lowest leads, then the first by name.',
  ),
});

const need = z.union([
  words,
  z.strictObject({
    step: about(words, 'Id of a step or group.'),
    same: about(
      z.literal('node', { error: '"node"' }).optional(),
      '`node`: only the same node must be done there, not all nodes.',
    ),
  }),
]);

const shell = z.union([words, z.array(words).min(1).max(32)]);

export const scriptFields = {
  ...runnerFields,
  check: about(
    script.optional(),
    'Script that looks whether there is anything to do: exit status 0 is done already, 1 is not yet, else failed.',
  ),
  run: about(script.optional(), 'Script that does the work.'),
  verify: about(verify.optional(), 'Script that must succeed after `run`, tried again until it does.'),
  shell: about(
    shell.optional(),
    'Interpreter of the scripts: `bash`, `python3`, … or a list of program and arguments; `sh -e` when absent.',
  ),
  files: about(
    oneOrMany(words).optional(),
    'Files and folders beside this file that are laid out for the scripts. Files named as `./name` in a script come along by themselves.',
  ),
  outputs: about(
    z.record(identifier, output).optional(),
    'Values that the script writes to `$LOCKSTEP_OUTPUT` as KEY=value, with their types.',
  ),
  leaves: about(
    z.enum(['nothing', 'daemon']).optional(),
    '`daemon`: processes that the script leaves behind go on; else they are ended with it.',
  ),
  rerun: about(
    z.enum(['idempotent', 'verify-first', 'never-twice']).optional(),
    'What may happen after an interruption: go again, run `check` first, or wait for a decision. `verify-first` with a `check`, else `never-twice`.',
  ),
  retry: about(retry.optional(), 'Tries again when the script reports failure.'),
  timeout: about(duration.optional(), 'Bounds the whole job, all tries included; 1h when absent.'),
};

const uses = z.union([
  words,
  z
    .array(
      z.strictObject({
        if: about(expression.optional(), 'CEL: the first alternative for which it is true is taken.'),
        uses: about(words, 'Task of a module: `module/task@version`.'),
      }),
    )
    .min(1)
    .max(32),
]);

const provides = z.union([
  stepName,
  z.strictObject({
    service: about(stepName, 'Name under which others find it as `services.NAME.endpoints`.'),
    port: about(
      z.union([z.int().min(1).max(65_535), expression]).optional(),
      'Port number, or a template that gives one.',
    ),
    address: about(expression.optional(), 'Template that gives the address; that of the node when absent.'),
  }),
]);

/** What a step has wherever it stands. */
const memberStepFields = {
  id: about(stepName, 'Its name, unique in the pipeline.'),
  title,
  description,
  needs: about(
    z.union([need, z.array(need)]).optional(),
    'Steps that must be done before: on all nodes, or with `same: node` on this node. The step before it when absent; `[]` for none.',
  ),
  runOn: about(
    words.optional(),
    'Who carries it out for each node: `role.leader`, or a role over which the nodes are spread. The node is the `target`, and `$LOCKSTEP_TARGET`.',
  ),
  if: about(expression.optional(), 'CEL, per node: the step is skipped where it is false.'),
  with: about(
    z.record(identifier, z.json()).optional(),
    'Values for the scripts, as `$PARAM_NAME`; `${{ }}` holds expressions.',
  ),
  uses: about(
    uses.optional(),
    'A task of a module instead of scripts: `module/task@version`, or alternatives with `if`.',
  ),
  ...scriptFields,
  until: about(
    expression.optional(),
    'CEL over `outputs`, `params`, `node`, `exitCode` and `iteration`: the script is run again until it is true.',
  ),
  every: about(duration.optional(), 'Time between two iterations of `until`; 2s when absent.'),
  provides: about(provides.optional(), 'A service that this step starts on its nodes.'),
  offline: about(
    z.enum(['wait', 'skip', 'defer']).optional(),
    'What happens with a node that cannot be reached: `wait` for it, `skip` it, or let the others go on and `defer` its job until it is back.',
  ),
  deferUntil: about(duration.optional(), 'How long a deferred job may wait for its node; 72h when absent.'),
  unknownAfter: about(
    duration.optional(),
    'How long a node may be out of contact before its job is unknown; 1m when absent.',
  ),
  onUnknown: about(
    z.enum(['wait', 'hold', 'stop']).optional(),
    'What an unknown job means for the run: `wait` for the truth within the budget, `hold` for a decision, or `stop`: nothing new begins, and the run fails when the truth is known.',
  ),
  reboot: about(
    z.literal('after').optional(),
    '`after`: the node reboots when the script has succeeded, and the job is done when it is back.',
  ),
  rebootTimeout: about(
    duration.optional(),
    'How long a node may take to be back after a reboot that this step asked for; 15m when absent.',
  ),
};

export const memberStepSchema = z.strictObject(memberStepFields);

/** What is done when a step or group has ended on a node: one after the other, and where the node can be reached. */
export const aftermathStepSchema = z.strictObject(memberStepFields).omit({
  needs: true,
  offline: true,
  deferUntil: true,
  onUnknown: true,
  reboot: true,
  rebootTimeout: true,
});

const aftermathFields = {
  rescue: about(
    z.array(aftermathStepSchema).min(1).optional(),
    'Steps that are done on a node where it failed, before the run goes on, fails or is held; they know what failed as `failure`, and cannot hide it.',
  ),
  always: about(
    z.array(aftermathStepSchema).min(1).optional(),
    'Steps that are done on each node that began it, however it ended there: done, failed or cancelled.',
  ),
};

const scope = about(
  z.enum(['node', 'role']).optional(),
  '`role`: it runs once, on the leader of the role or where `runOn` says, for all its nodes: `targets`, and `$LOCKSTEP_TARGETS`. Once per node when absent.',
);
const on = about(oneOrMany(words), 'Who does it: a role, `role.leader` or `role.rest`, or a list of these.');
const unitFields = {
  approve: about(words.optional(), 'A question that an operator must approve before the first node begins.'),
  strategy: about(strategy.optional(), 'How many nodes at once: `parallel` (all, when absent) or `rolling`.'),
  window: about(
    window.optional(),
    'When nodes may begin it, instead of the window of the pipeline. What has begun on a node goes on to its end.',
  ),
};

const stepFields = { ...memberStepFields, on, scope, ...unitFields };

/** A step without what is done after it, which is judged one by one. */
export const stepHeadSchema = z.strictObject(stepFields);

export const stepSchema = z.strictObject({ ...stepFields, ...aftermathFields });

/** What is run at the end waits for no node to come back, and nothing stops it. */
export const finallySchema = z
  .strictObject({ ...memberStepFields, on })
  .omit({ deferUntil: true, onUnknown: true, reboot: true, rebootTimeout: true });

const groupHeadFields = {
  id: memberStepFields.id,
  title,
  description,
  on,
  needs: memberStepFields.needs,
  if: memberStepFields.if,
  ...unitFields,
  verify: about(verify.optional(), 'The last step of the group: the node keeps its slot until it succeeds.'),
};

/** A group without its steps and those after it, which are judged one by one. */
export const groupHeadSchema = z.strictObject(groupHeadFields);

export const groupSchema = z.strictObject({
  ...groupHeadFields,
  group: about(
    z.array(memberStepSchema).min(1),
    'Steps that each node goes through on its own, in order, as one unit.',
  ),
  ...aftermathFields,
});

export const callSchema = z.strictObject({
  id: about(
    stepName,
    'Its name, unique in the pipeline: the steps of the other one are called `ID.STEP` here.',
  ),
  title,
  description,
  pipeline: about(words, 'The pipeline whose steps stand here: a path that begins with `./` or `../`.'),
  roles: about(
    z.record(identifier, words).optional(),
    'Which role of this pipeline each role of the other one is; those of the same name when absent.',
  ),
  with: about(
    z.record(identifier, z.json()).optional(),
    'Values for the params of the other pipeline; `${{ }}` holds expressions.',
  ),
  needs: memberStepFields.needs,
  if: about(expression.optional(), 'CEL, per node: all its steps are skipped where it is false.'),
});

export const pipelineHead = {
  kind: about(z.literal('pipeline'), 'What this file is.'),
  name: about(stepName, 'Name of the pipeline.'),
  title,
  description,
};

export const pipelineSchema = z
  .strictObject({
    ...pipelineHead,
    params: about(
      z.record(identifier, paramSchema).optional(),
      'Values that may differ from cluster to cluster, node to node and run to run.',
    ),
    roles: about(z.record(identifier, roleSchema), 'Named selections of nodes.'),
    concurrency: about(
      concurrency.optional(),
      'How its runs stand to others of the same group. Runs that share nodes queue in any case.',
    ),
    window: about(
      window.optional(),
      'When nodes may begin its steps and groups. What has begun on a node goes on to its end.',
    ),
    steps: about(
      z.array(z.union([stepSchema, groupSchema, callSchema])).min(1),
      'Steps, groups and calls of other pipelines, in order.',
    ),
    finally: about(
      z.array(finallySchema).min(1).optional(),
      'Steps that are run at the end, whatever became of the others; they cannot change the outcome, which they know as `outcome`.',
    ),
  })
  .meta({
    title: 'Lockstep pipeline',
    description: 'An ordered list of steps across the nodes of a cluster.',
  });

export type ParamFile = z.infer<typeof paramSchema>;
export type RoleFile = z.infer<typeof roleSchema>;
export type MemberStepFile = z.infer<typeof memberStepSchema>;
export type StepFile = z.infer<typeof stepHeadSchema>;
export type CallFile = z.infer<typeof callSchema>;
export type GroupHeadFile = z.infer<typeof groupHeadSchema>;
export type ShellFile = z.infer<typeof shell>;
