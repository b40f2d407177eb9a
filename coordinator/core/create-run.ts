/** A new run: its params from every layer, its nodes, and a reason for whatever does not fit. */
import { runIdOf } from '../../shared/ids.ts';
import { limits } from '../../shared/limits.ts';
import type { ParamDeclaration } from '../../shared/pipeline/model.ts';
import { utf8Length } from '../../shared/utf8.ts';
import { requireRoomForSecrets, requireThat } from './administration.ts';
import { faultsOfBeginning } from './beginning-faults.ts';
import type { CreateRun, Lookup } from './commands.ts';
import { refusalInGroup } from './concurrency.ts';
import type { LayeredValue, StoredValue } from './event-values.ts';
import { longScriptsOf } from './inputs.ts';
import { faultOfParam, generatedName } from './params.ts';
import { canWait, faultsOfSelection, faultsOfSize, isGathered, planRun } from './planning.ts';
import { faultOfProfiles, isGivenByProfile } from './profile-reach.ts';
import { describeFence } from './restoration.ts';
import { type Selection, selectRoles } from './selection.ts';
import type { State } from './state.ts';
import { Rejection, Turn } from './turn.ts';

type Resolved = {
  readonly params: Readonly<Record<string, LayeredValue>>;
  readonly generated: readonly string[];
  readonly faults: readonly string[];
};

export function createRun(turn: Turn, command: CreateRun): void {
  const { state } = turn;
  if (state.fence !== null) throw new Rejection('conflict', describeFence(state.fence));
  const { pipeline, cluster } = command;
  requireThat(
    state.activeRuns.size < limits.runsQueuedMax,
    'too-many',
    `${state.activeRuns.size} runs have not ended; at most ${limits.runsQueuedMax} are kept`,
  );
  const wrongStart = faultsOfBeginning(state, command);
  if (wrongStart.length > 0) throw new Rejection('invalid', wrongStart.join('\n'));
  const refusal = refusalInGroup(state, pipeline, cluster);
  if (refusal !== undefined) throw new Rejection('conflict', refusal);
  const selection = selectRoles(state, pipeline, cluster, command.limit, turn.lookup);
  const misfits = (canWait(selection) ? faultsOfSize : faultsOfSelection)(
    pipeline,
    selection,
    turn.lookup.secretRoom(),
  );
  if (misfits.length > 0) throw new Rejection('invalid', misfits.join('\n'));
  const run = runIdOf(state.runsCreated + 1);
  const { params, generated, faults } = resolveParams(turn, command, run, selection);
  if (faults.length > 0) throw new Rejection('invalid', faults.join('\n'));
  requireRoomForSecrets(turn, `params of pipeline ${pipeline.name}`);
  for (const task of pipeline.units.flatMap((unit) => unit.steps.flatMap((step) => step.tasks))) {
    for (const text of longScriptsOf([task])) turn.blobs.push({ digest: turn.lookup.digestOf(text), text });
  }
  rememberGenerated(turn, command, { params, generated });
  const { limit, checkOnly, by } = command;
  turn.emit({ type: 'RunCreated', run, cluster, pipeline, params, limit, checkOnly, by });
  if (command.from != null) turn.emit({ type: 'StepsLeftOut', run, from: command.from });
  const created = state.runs.get(run);
  const gathered = [...selection.roles.values()].every((role) => isGathered(role, state));
  if (created !== undefined && gathered) planRun(turn, created, selection);
}

function rememberGenerated(
  turn: Turn,
  { cluster, pipeline }: CreateRun,
  { params, generated }: Pick<Resolved, 'params' | 'generated'>,
): void {
  for (const name of generated) {
    const value = params[name]?.value;
    if (value === undefined) continue;
    const kept = generatedName(pipeline.name, name);
    turn.emit({ type: 'ParamSet', scope: { cluster }, name: kept, value, by: 'coordinator' });
  }
}

/** Makes the values that a run would make, so that a later run without chance at hand finds them. */
export function keepGenerated(turn: Turn, command: CreateRun): void {
  const kept = turn.secrets.length;
  const { params, generated } = resolveParams(turn, command, '');
  const made = new Set(generated.map((name) => params[name]?.value));
  const wanted = turn.secrets
    .slice(kept)
    .filter(({ reference }) =>
      [...made].some((value) => value !== undefined && 'secret' in value && value.secret === reference),
    );
  turn.dropSecrets(kept);
  for (const { reference, value } of wanted) turn.conceal(reference, JSON.parse(value));
  rememberGenerated(turn, command, { params, generated });
}

/** Why the params of a run would be refused; nothing is kept or changed. */
export function faultsOfParams(
  state: State,
  request: Pick<CreateRun, 'pipeline' | 'cluster' | 'limit' | 'params'>,
  lookup: Lookup,
  selection?: Selection,
): readonly string[] {
  const generated = Object.fromEntries(Object.keys(request.pipeline.params).map((name) => [name, '']));
  const command: CreateRun = { ...request, type: 'CreateRun', by: '', checkOnly: false, generated };
  return resolveParams(new Turn(state, state.at, lookup), command, '', selection).faults;
}

/** Checks every param before anything is emitted, and names all faults at once. */
function resolveParams(turn: Turn, command: CreateRun, run: string, selection?: Selection): Resolved {
  const { pipeline } = command;
  const faults: string[] = [];
  for (const name of Object.keys(command.params)) {
    if (!Object.hasOwn(pipeline.params, name)) {
      const known = Object.keys(pipeline.params).join(', ') || 'none';
      faults.push(`pipeline ${pipeline.name} has no param ${name} (it has ${known})`);
    }
  }
  const params: Record<string, LayeredValue> = {};
  const generated: string[] = [];
  const keep = (
    name: string,
    declaration: ParamDeclaration,
    reference: string,
    value: unknown,
  ): StoredValue => {
    if (utf8Length(JSON.stringify(value)) > limits.jobInputsBytesMax)
      faults.push(`param ${name} is longer than ${limits.jobInputsBytesMax} bytes`);
    return declaration.secret
      ? turn.conceal(reference, value)
      : turn.store(value, limits.jobInputInlineBytesMax);
  };
  for (const [name, declaration] of Object.entries(pipeline.params)) {
    const given = Object.hasOwn(command.params, name) ? command.params[name] : undefined;
    if (given !== undefined) {
      const fault = faultOfParam(name, declaration, given);
      if (fault !== undefined) faults.push(fault);
      else params[name] = { from: 'run', value: keep(name, declaration, `${run}/param/${name}`, given) };
      continue;
    }
    const lower = lowerLayer(turn.state, command, name);
    if (lower !== undefined) {
      params[name] = lower;
    } else if (declaration.generate !== undefined && command.generated[name] !== undefined) {
      const reference = `generated/${command.cluster}/${pipeline.name}/${name}/${turn.state.seq + 1}`;
      params[name] = {
        from: 'generated',
        value: keep(name, declaration, reference, command.generated[name]),
      };
      generated.push(name);
    } else if (declaration.default !== undefined) {
      const value = keep(name, declaration, `${run}/param/${name}`, declaration.default);
      params[name] = { from: 'default', value };
    } else if (isGivenByProfile(turn.state, name)) {
      const fault = faultOfProfiles(turn.state, name, selection);
      if (fault !== undefined) faults.push(fault);
    } else {
      faults.push(`param ${name} (${declaration.type}) has no value: ${howToGive(name, declaration)}`);
    }
  }
  return { params, generated, faults };
}

/** A secret on a command line is seen by everybody on the machine. */
const howToGive = (name: string, { secret }: ParamDeclaration): string =>
  secret
    ? `give it as LOCKSTEP_PARAM_${name.toUpperCase()} or in a --param-file, or keep one: lockstep params set ${name} --secret`
    : `give it with --param ${name}=…`;

function lowerLayer(state: State, command: CreateRun, name: string): LayeredValue | undefined {
  const cluster = state.clusterParams.get(command.cluster);
  const value = cluster?.get(name);
  if (value !== undefined) return { from: 'cluster', value };
  const kept = cluster?.get(generatedName(command.pipeline.name, name));
  return kept === undefined ? undefined : { from: 'generated', value: kept };
}
