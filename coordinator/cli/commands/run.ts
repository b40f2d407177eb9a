/** `lockstep run` and `lockstep plan`: a pipeline file handed over to be run, or only to be planned. */
import { formatDiagnostic } from '../../../shared/diagnostic.ts';
import { LockstepError } from '../../../shared/errors.ts';
import type { ParamDeclaration } from '../../../shared/pipeline/model.ts';
import { paramList, plan as planSchema, profileList, run as runSchema } from '../../http/resources.ts';
import { exitCodes } from '../outcome.ts';
import { type ParamOptions, readParams, secretsToAsk } from '../param-values.ts';
import { selectorOf } from '../render/node-names.ts';
import { drawPlan } from '../render/plan-picture.ts';
import { drawVariation } from '../render/variation-text.ts';
import type { Submission } from '../resources.ts';
import { type CommonOptions, type Session, withCoordinator } from '../session.ts';
import { type PipelineFile, readPipelineFile, uploadMissing } from '../submission.ts';
import { Terminal } from '../terminal.ts';
import { watchRun } from './watch.ts';

export type RunOptions = CommonOptions &
  ParamOptions & {
    readonly watch?: boolean;
    readonly cluster: string;
    readonly limit?: string;
    readonly check?: boolean;
    readonly from?: string;
    readonly modules?: string;
  };

/** Asks for secrets that nothing gives, when somebody is there; else the coordinator says which are missing. */
async function askSecrets(
  { client, terminal }: Session,
  declared: Readonly<Record<string, ParamDeclaration>>,
  given: Record<string, unknown>,
  cluster: string,
): Promise<Record<string, unknown>> {
  if (!terminal.canAsk || secretsToAsk(declared, given, new Set()).length === 0) return given;
  const { items } = await client.read(paramList, '/api/params', { cluster });
  const asked: Record<string, unknown> = {};
  const profiles = await client.read(profileList, '/api/profiles');
  const kept = [...items.map(({ name }) => name), ...profiles.items.flatMap(({ secrets }) => secrets)];
  for (const name of secretsToAsk(declared, given, new Set(kept))) {
    const description = declared[name]?.description;
    asked[name] = await terminal.askSecret(`${name}${description === undefined ? '' : ` (${description})`}`);
  }
  return { ...given, ...asked };
}

export async function submit(
  session: Session,
  { pipeline, submission, content }: PipelineFile,
  options: RunOptions,
): Promise<Submission> {
  const given = readParams(options, pipeline.params, process.env);
  const params = await askSecrets(session, pipeline.params, given, options.cluster);
  await uploadMissing(session.client, content);
  return {
    ...submission,
    params,
    cluster: options.cluster,
    limit: options.limit === undefined ? null : selectorOf(options.limit),
    checkOnly: options.check === true,
    from: options.from ?? null,
  };
}

export async function run(path: string, options: RunOptions): Promise<number> {
  // Before anything is asked of a coordinator: faults in the file are told also without one.
  const file = readPipelineFile(path, options.modules);
  return withCoordinator(options, async (session) => {
    const { client, terminal } = session;
    const created = await client.send('POST', '/api/runs', await submit(session, file, options), runSchema);
    for (const warning of created.warnings ?? file.warnings) terminal.note(formatDiagnostic(warning));
    if (options.watch) return watchRun(session, created.id, options);
    if (options.output === undefined)
      terminal.write(`${created.id} is ${created.state}. Watch it with: lockstep watch ${created.id}\n`);
    else terminal.printJson(created);
    return exitCodes.done;
  });
}

export type PlanOptions = RunOptions & { readonly explain?: boolean };

/** What the file does differently from the one that it extends: nothing that a coordinator has to be asked. */
function explainVariation(
  path: string,
  { pipeline, variation, warnings }: PipelineFile,
  json: boolean,
): number {
  const terminal = new Terminal();
  if (variation === undefined)
    throw new LockstepError(
      'usage',
      `${path} extends no other pipeline, so there is nothing to compare it with`,
    );
  const head = `${pipeline.name} (${path}) extends ${variation.extends}`;
  if (json) terminal.printJson({ pipeline: pipeline.name, file: path, ...variation });
  else terminal.printWhole(drawVariation(head, variation));
  for (const warning of warnings) terminal.note(formatDiagnostic(warning));
  return exitCodes.done;
}

export async function plan(path: string, options: PlanOptions): Promise<number> {
  const file = readPipelineFile(path, options.modules);
  if (options.explain === true) return explainVariation(path, file, options.output !== undefined);
  return withCoordinator(options, async (session) => {
    const { client, terminal } = session;
    const planned = await client.send('POST', '/api/plans', await submit(session, file, options), planSchema);
    if (options.output === undefined) terminal.printWhole(drawPlan(planned));
    else terminal.printJson(planned);
    for (const warning of planned.warnings) terminal.note(formatDiagnostic(warning));
    return planned.faults.length === 0 ? exitCodes.done : exitCodes.usage;
  });
}
