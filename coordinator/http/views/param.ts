/** Params that operators keep, and what a node gets of all layers. */
import type * as z from 'zod';
import type { Lookup } from '../../core/commands.ts';
import type { StoredValue } from '../../core/events.ts';
import { paramLayers } from '../../core/params.ts';
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

/** Lowest layer first, as core/params.ts ranks them. */
const layerOrder = ['default', 'generated', 'cluster', 'node', 'run'] as const;

type Layer = { readonly from: (typeof layerOrder)[number]; readonly value: StoredValue };

/** With a run: the params of its pipeline, with the layers that it froze; else all that stand for the node. */
export function viewEffectiveParams(
  node: Node,
  run: Run | null,
  state: State,
  lookup: Lookup,
): EffectiveParams {
  const layers = run === null ? paramLayers(state, node, clusterOf(node)) : layersOfRun(run, node);
  const items = [...layers].map(([name, unordered]) => {
    const ordered = [...unordered].sort((a, b) => layerOrder.indexOf(a.from) - layerOrder.indexOf(b.from));
    const shown = ordered.map(({ from, value }) => ({ layer: from, value: shownValue(value, lookup) }));
    const top = shown.at(-1);
    return {
      name,
      value: top?.value ?? null,
      secret: ordered.some(({ value }) => 'secret' in value),
      layer: top?.layer ?? '',
      layers: shown,
    };
  });
  return { items: items.sort((a, b) => (a.name < b.name ? -1 : 1)) };
}

function layersOfRun(run: Run, node: Node): ReadonlyMap<string, readonly Layer[]> {
  return new Map(
    Object.entries(run.params).map(([name, frozen]) => {
      const own = node.params.get(name);
      return [name, own === undefined ? [frozen] : [frozen, { from: 'node', value: own }]];
    }),
  );
}
