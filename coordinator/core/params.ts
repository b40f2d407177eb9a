/**
 * Where the value of a param comes from. Lowest first: task default, pipeline default, generated, cluster,
 * node, run. A run freezes all layers but the node's when it is created.
 */
import type { ParamDeclaration } from '../../shared/pipeline/model.ts';
import { faultOfValue } from '../../shared/pipeline/params.ts';
import type { ParamLayer, StoredValue } from './event-values.ts';
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

/** Under which name a value that was generated for a pipeline is kept in the cluster. No operator can set such a one. */
export const generatedName = (pipeline: string, param: string): string => `${pipeline}/${param}`;

export type KeptLayer = {
  readonly from: 'generated' | 'cluster' | 'node';
  /** For which pipeline it was generated; null for what operators set. */
  readonly pipeline: string | null;
  readonly value: StoredValue;
};

/** Every kept layer that has a value for a param on a node, lowest first; the last one wins. */
export function paramLayers(
  state: State,
  node: Node,
  cluster: string,
): ReadonlyMap<string, readonly KeptLayer[]> {
  const kept: (KeptLayer & { readonly name: string })[] = [];
  for (const [key, value] of state.clusterParams.get(cluster) ?? []) {
    const [name = '', pipeline = null] = key.split('/').reverse();
    kept.push({ name, from: pipeline === null ? 'cluster' : 'generated', pipeline, value });
  }
  for (const [name, value] of node.params) kept.push({ name, from: 'node', pipeline: null, value });
  const order: readonly KeptLayer['from'][] = ['generated', 'cluster', 'node'];
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
