/** Params that operators keep, and what a node gets of all layers. */
import type * as z from 'zod';
import type { Lookup } from '../../core/commands.ts';
import type { StoredValue } from '../../core/event-values.ts';
import { paramLayers } from '../../core/params.ts';
import { hasRoleIn, matches } from '../../core/profile-matching.ts';
import type { Node, Run, State } from '../../core/state.ts';
import { clusterOf } from '../../core/state.ts';
import type * as resources from '../resources.ts';
import { shownValue } from './value.ts';

export type ParamView = z.infer<typeof resources.param>;
export type EffectiveParams = z.infer<typeof resources.effectiveParams>;

/** All of a scope; without one, those of every cluster and node. */
export function viewParams(
  state: State,
  scope: { readonly cluster?: string | undefined; readonly node?: string | undefined },
  lookup: Lookup,
): ParamView[] {
  const all = scope.cluster === undefined && scope.node === undefined;
  const views: ParamView[] = [];
  const add = (where: ParamView['scope'], params: ReadonlyMap<string, StoredValue>): void => {
    for (const [name, value] of params)
      views.push({ scope: where, name, value: shownValue(value, lookup), secret: 'secret' in value });
  };
  for (const [cluster, params] of state.clusterParams)
    if (all || cluster === scope.cluster) add({ cluster }, params);
  for (const node of state.nodes.values())
    if (all || node.name === scope.node) add({ node: node.name }, node.params);
  return views;
}

/** What a layer is called; the same param of another pipeline may have been generated with another value. */
type Layer = { readonly layer: string; readonly value: StoredValue };

/** With a run: the params of its pipeline, with the layers that it froze; else all that are kept for the node. */
export function viewEffectiveParams(
  node: Node,
  run: Run | null,
  state: State,
  lookup: Lookup,
): EffectiveParams {
  const params = run === null ? keptParams(state, node) : paramsOfRun(state, run, node);
  const items = params.map(({ name, layers }) => {
    const shown = layers.map(({ layer, value }) => ({ layer, value: shownValue(value, lookup) }));
    const top = shown.at(-1);
    return {
      name,
      value: top?.value ?? null,
      secret: layers.some(({ value }) => 'secret' in value),
      layer: top?.layer ?? '',
      layers: shown,
    };
  });
  return { items: items.sort((a, b) => (a.name < b.name ? -1 : 1)) };
}

type NamedLayers = { readonly name: string; readonly layers: readonly Layer[] };

/** One for each param; where only pipelines have generated it, one for each of them. */
function keptParams(state: State, node: Node): NamedLayers[] {
  return [...paramLayers(state, node, clusterOf(node))].flatMap(([name, kept]): NamedLayers[] => {
    const layers = kept.map(({ from, pipeline, profile, value }) => {
      const of = pipeline === null ? '' : ` for ${pipeline}`;
      return { layer: `${from}${profile === null ? of : ` ${profile}`}`, value };
    });
    const isOne = kept.some(({ from }) => from !== 'generated');
    return isOne ? [{ name, layers }] : layers.map((layer) => ({ name, layers: [layer] }));
  });
}

/** Lowest layer first, as core/params.ts ranks them. */
const layerOrder = ['default', 'generated', 'profile', 'cluster', 'node', 'run'] as const;

function paramsOfRun(state: State, run: Run, node: Node): NamedLayers[] {
  const profiles = [...state.profiles.values()].filter((profile) =>
    matches(profile, node, hasRoleIn(run, node)),
  );
  return Object.keys(run.pipeline.params).flatMap((name): NamedLayers[] => {
    const frozen = run.params[name];
    const own = node.params.get(name);
    const layers: (Layer & { readonly from: (typeof layerOrder)[number] })[] = [];
    if (frozen !== undefined) layers.push({ ...frozen, layer: frozen.from });
    for (const { profile, params } of profiles) {
      const value = params[name];
      if (value !== undefined) layers.push({ from: 'profile', layer: `profile ${profile}`, value });
    }
    if (own !== undefined) layers.push({ from: 'node', layer: 'node', value: own });
    const ordered = layers.sort((a, b) => layerOrder.indexOf(a.from) - layerOrder.indexOf(b.from));
    return ordered.length === 0
      ? []
      : [{ name, layers: ordered.map(({ layer, value }) => ({ layer, value })) }];
  });
}
