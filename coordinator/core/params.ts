/**
 * Where the value of a param comes from. Lowest first: task default, pipeline default, generated, cluster,
 * node, run. A run freezes all layers but the node's when it is created.
 */
import type { ParamDeclaration } from '../../shared/pipeline/model.ts';
import { faultOfValue } from '../../shared/pipeline/params.ts';
import type { ParamLayer, StoredValue } from './events.ts';
import type { Node, Run, State } from './state.ts';

export type EffectiveParam = { readonly from: ParamLayer | 'node'; readonly value: StoredValue };

/** The params of a run as they are for one node. */
export function effectiveParams(run: Run, node: Node): ReadonlyMap<string, EffectiveParam> {
  const params = new Map<string, EffectiveParam>(Object.entries(run.params));
  for (const [name, value] of node.params) {
    if (!(name in run.pipeline.params)) continue;
    if (params.get(name)?.from !== 'run') params.set(name, { from: 'node', value });
  }
  return params;
}

/** Every layer that has a value for a param on a node, lowest first; the last one wins. */
export function paramLayers(
  state: State,
  node: Node,
  cluster: string,
): ReadonlyMap<string, readonly { readonly from: 'cluster' | 'node'; readonly value: StoredValue }[]> {
  const layers = new Map<string, { from: 'cluster' | 'node'; value: StoredValue }[]>();
  const add = (name: string, from: 'cluster' | 'node', value: StoredValue): void => {
    const list = layers.get(name) ?? [];
    list.push({ from, value });
    layers.set(name, list);
  };
  for (const [name, value] of state.clusterParams.get(cluster) ?? []) add(name, 'cluster', value);
  for (const [name, value] of node.params) add(name, 'node', value);
  return layers;
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
