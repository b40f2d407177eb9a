/**
 * Why a run cannot begin where it was asked to: there is no such place, or what comes later reads what would be left
 * out. Outputs of an earlier run are not taken over.
 */
import { nearestWord } from '../../shared/nearest.ts';
import type { Pipeline, Unit } from '../../shared/pipeline/model.ts';
import { unitsLeftOut } from './beginning.ts';
import { referencesOfStep } from './selection.ts';
import type { State } from './state.ts';
import { leaderKeyOf } from './state.ts';

type Request = { readonly pipeline: Pipeline; readonly cluster: string; readonly from?: string | null };

/** Why a run cannot begin there; empty when it can. */
export function faultsOfBeginning(state: State, { pipeline, cluster, from }: Request): readonly string[] {
  if (from == null) return [];
  const unit = pipeline.units.find(({ id }) => id === from);
  if (unit === undefined) return [unknownStep(pipeline, from)];
  if (unit.finally === true)
    return [
      `--from ${from}: it stands in finally, which is run at the end of each run; name a step before it`,
    ];
  const count = unitsLeftOut(pipeline, from);
  return missingIn(pipeline.units.slice(0, count), pipeline.units.slice(count), (service) => {
    const endpoints = state.services.get(leaderKeyOf(cluster, service));
    return endpoints !== undefined && endpoints.size > 0;
  }).map((missing) => `--from ${from}: ${missing}`);
}

function unknownStep({ name, units }: Pipeline, from: string): string {
  const group = units.find(({ kind, steps }) => kind === 'group' && steps.some(({ id }) => id === from));
  if (group !== undefined)
    return `--from ${from}: it is in group ${group.id}, which each node goes through as a whole; say --from ${group.id}`;
  const valid = units.filter((unit) => unit.finally !== true).map(({ id }) => id);
  const nearest = nearestWord(from, valid);
  const instead = nearest === undefined ? `it has ${valid.join(', ')}` : `did you mean ${nearest}?`;
  return `--from ${from}: pipeline ${name} has no such step or group (${instead})`;
}

/** What later steps read of those that are left out, a sentence each. */
function missingIn(
  leftOut: readonly Unit[],
  later: readonly Unit[],
  isKnown: (service: string) => boolean,
): readonly string[] {
  const steps = leftOut.flatMap((unit) => unit.steps);
  const ids = new Set(steps.map(({ id }) => id));
  const provided = new Map(
    steps.flatMap(({ id, provides }) => (provides ? [[provides.service, id] as const] : [])),
  );
  const missing = new Set<string>();
  for (const { step, isLast } of later.flatMap((unit) =>
    unit.steps.map((step) => ({ step, isLast: unit.finally === true })),
  )) {
    for (const { path } of referencesOfStep(step)) {
      const [root, name] = path;
      // Steps of `finally` say what they do without it in any case.
      if (root === 'steps' && name !== undefined && ids.has(name) && !isLast)
        missing.add(
          `${step.id} reads what ${name} puts out, which would be left out; begin at ${name} or before`,
        );
      const provider = root === 'services' && name !== undefined ? provided.get(name) : undefined;
      if (provider !== undefined && name !== undefined && !isKnown(name))
        missing.add(
          `${step.id} reads service ${name}, which ${provider} provides and nobody did before; begin at ${provider} or before`,
        );
    }
  }
  return [...missing];
}
