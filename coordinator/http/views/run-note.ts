/** What is noted of a run for its report, while the state has it whole: of pipeline, params, and its nodes' kinds. */
import type * as z from 'zod';
import { canonicalJson } from '../../../shared/canonical-json.ts';
import { factsSchema } from '../../../shared/facts.ts';
import type { Pipeline, Target } from '../../../shared/pipeline/model.ts';
import type { Lookup } from '../../core/commands.ts';
import type { LayeredValue } from '../../core/event-values.ts';
import type { Member, Run } from '../../core/state.ts';
import type * as resources from '../resources.ts';
import { shownValue } from './value.ts';

export type RunNote = NonNullable<z.infer<typeof resources.archivedRun>['note']>;
export type NodeKind = RunNote['nodes'][string]['found'];

export function viewNote(run: Run, lookup: Lookup): RunNote {
  return {
    ...viewPipeline(run.pipeline, lookup),
    limit: run.limit,
    params: viewGiven(run.params, lookup),
    nodes: Object.fromEntries(
      [...run.members.values()].map((member) => [member.node.name, kindsOf(run, member, lookup)]),
    ),
  };
}

/** The part that the pipeline alone says. */
export const viewPipeline = (
  pipeline: Pipeline,
  lookup: Lookup,
): Pick<RunNote, 'pipelineDigest' | 'modules' | 'steps'> => ({
  pipelineDigest: lookup.digestOf(canonicalJson(pipeline)),
  modules: { ...pipeline.modules },
  steps: pipeline.units.flatMap((unit) =>
    unit.steps.map((step) => ({
      id: step.id,
      on: step.on.map(targetText),
      last: unit.finally === true,
    })),
  ),
});

export const viewGiven = (
  params: Readonly<Record<string, LayeredValue>>,
  lookup: Lookup,
): RunNote['params'] =>
  Object.entries(params).map(([name, { from, value }]) => ({
    name,
    from,
    value: shownValue(value, lookup),
    secret: 'secret' in value ? value.secret : null,
  }));

const targetText = ({ role, who }: Target): string => (who === 'all' ? role : `${role}.${who}`);

/** As it was when the first step was opened, which is what the run found, and when the last one was. */
function kindsOf(run: Run, { node, agentVersion }: Member, lookup: Lookup): RunNote['nodes'][string] {
  const seen = run.steps.flatMap(({ facts }) => facts?.get(node.name) ?? []);
  const kind = (digest: string | null): NodeKind =>
    kindFrom(digest, node.labels.platform ?? null, agentVersion, lookup);
  const [first = node.factsDigest] = seen;
  const last = seen.at(-1) ?? first;
  return { found: kind(first), became: last === first ? null : changed(kind(first), kind(last)) };
}

/** The later kind when it is known and another one. */
export const changed = (found: NodeKind, later: NodeKind): NodeKind | null =>
  later.kernel === null || canonicalJson(found) === canonicalJson(later) ? null : later;

export function kindFrom(
  digest: string | null,
  platform: string | null,
  agent: string,
  lookup: Lookup,
): NodeKind {
  const facts = factsSchema.safeParse(digest === null ? undefined : lookup.facts(digest));
  if (!facts.success)
    return {
      platform,
      system: null,
      kernel: null,
      architecture: null,
      threads: null,
      memoryBytes: null,
      agent,
    };
  const { os, kernel, cpu, memory } = facts.data;
  return {
    platform,
    system: os.name,
    kernel: kernel.release,
    architecture: cpu.architecture,
    threads: cpu.threads,
    memoryBytes: memory.totalBytes,
    agent,
  };
}
