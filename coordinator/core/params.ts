/**
 * Where the value of a param comes from. Lowest first: task default, pipeline default, generated, cluster,
 * node, run. A run freezes all layers but the node's when it is created.
 */
import type { ParamDeclaration } from '../../shared/pipeline/model.ts';
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
  if (!hasType(declaration.type, value))
    return `param ${name} must be ${declaration.type}, not ${typeName(value)}`;
  if (declaration.values !== undefined && !declaration.values.some((allowed) => allowed === value)) {
    return `param ${name} must be one of ${declaration.values.map((allowed) => JSON.stringify(allowed)).join(', ')}`;
  }
  if (typeof value === 'number') {
    if (declaration.minimum !== undefined && value < declaration.minimum) {
      return `param ${name} must be at least ${declaration.minimum}`;
    }
    if (declaration.maximum !== undefined && value > declaration.maximum) {
      return `param ${name} must be at most ${declaration.maximum}`;
    }
  }
  return undefined;
}

function hasType(type: ParamDeclaration['type'], value: unknown): boolean {
  switch (type) {
    case 'string':
      return typeof value === 'string';
    case 'int':
      return typeof value === 'number' && Number.isSafeInteger(value);
    case 'double':
      return typeof value === 'number' && Number.isFinite(value);
    case 'bool':
      return typeof value === 'boolean';
    case 'json':
      return value !== undefined;
  }
}

const typeName = (value: unknown): string =>
  value === null ? 'null' : Array.isArray(value) ? 'a list' : typeof value;
