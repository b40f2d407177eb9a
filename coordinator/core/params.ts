/**
 * Where the value of a param comes from. Lowest first: task default, pipeline default, generated, profiles by
 * priority, cluster, node, run. A run freezes all layers but those of profiles and of the node when it is created.
 */
import type { ParamDeclaration } from '../../shared/pipeline/model.ts';
import { faultOfValue } from '../../shared/pipeline/params.ts';
import type { ParamLayer, StoredValue } from './event-values.ts';
import { hasRoleIn, matches } from './profile-matching.ts';
import type { Node, Run, State } from './state.ts';

export type EffectiveParam = {
  readonly from: ParamLayer | 'profile' | 'node';
  readonly value: StoredValue;
  /** The one that gave it. */
  readonly profile?: string;
};

const belowProfiles: ReadonlySet<string | undefined> = new Set([
  undefined,
  'default',
  'generated',
  'profile',
]);

/** The params of a run as they are for one node. */
export function effectiveParams(
  { profiles }: Pick<State, 'profiles'>,
  run: Run,
  node: Node,
): ReadonlyMap<string, EffectiveParam> {
  const params = new Map<string, EffectiveParam>(Object.entries(run.params));
  for (const { profile, where, params: own } of profiles.values()) {
    if (!matches({ where }, node, hasRoleIn(run, node))) continue;
    for (const [name, value] of Object.entries(own)) {
      if (!(name in run.pipeline.params) || !belowProfiles.has(params.get(name)?.from)) continue;
      params.set(name, { from: 'profile', value, profile });
    }
  }
  for (const [name, value] of node.params) {
    if (!(name in run.pipeline.params)) continue;
    if (params.get(name)?.from !== 'run') params.set(name, { from: 'node', value });
  }
  return params;
}

/** Under which name a value that was generated for a pipeline is kept in the cluster. No operator can set such a one. */
export const generatedName = (pipeline: string, param: string): string => `${pipeline}/${param}`;

export type KeptLayer = {
  readonly from: 'generated' | 'profile' | 'cluster' | 'node';
  /** For which pipeline it was generated; null for what operators set. */
  readonly pipeline: string | null;
  /** The profile that it is of; else null. */
  readonly profile: string | null;
  readonly value: StoredValue;
};

/**
 * Every kept layer that has a value for a param on a node, lowest first; the last one wins. Profiles of roles are not
 * among them: it takes a run to have a role.
 */
export function paramLayers(
  state: State,
  node: Node,
  cluster: string,
): ReadonlyMap<string, readonly KeptLayer[]> {
  const kept: (KeptLayer & { readonly name: string })[] = [];
  const add = (
    name: string,
    from: KeptLayer['from'],
    value: StoredValue,
    of: Partial<KeptLayer> = {},
  ): void => {
    kept.push({ name, from, pipeline: null, profile: null, value, ...of });
  };
  for (const [key, value] of state.clusterParams.get(cluster) ?? []) {
    const [name = '', pipeline = null] = key.split('/').reverse();
    add(name, pipeline === null ? 'cluster' : 'generated', value, { pipeline });
  }
  for (const profile of state.profiles.values()) {
    if (!matches(profile, node, () => false)) continue;
    for (const [name, value] of Object.entries(profile.params))
      add(name, 'profile', value, { profile: profile.profile });
  }
  for (const [name, value] of node.params) add(name, 'node', value);
  const order: readonly KeptLayer['from'][] = ['generated', 'profile', 'cluster', 'node'];
  kept.sort((a, b) => order.indexOf(a.from) - order.indexOf(b.from));
  return Map.groupBy(kept, ({ name }) => name);
}

/** Why a value does not fit its declaration, or undefined. Values themselves are never named: they may be secret. */
export function faultOfParam(
  name: string,
  declaration: ParamDeclaration,
  value: unknown,
): string | undefined {
  const fault = faultOfValue(declaration, value);
  return fault === undefined ? undefined : `param ${name}: ${fault.message} (expected ${fault.expected})`;
}
