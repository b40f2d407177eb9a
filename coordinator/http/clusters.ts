/** /api/clusters: which clusters there are, who is unavailable in them, and how many may be. */
import type * as z from 'zod';
import { parseAmount } from '../../shared/pipeline/amount.ts';
import { budgetInNodes, causesIn, standingOf } from '../core/disruption.ts';
import { compareNames } from '../core/order.ts';
import type { State } from '../core/state.ts';
import type { ApiPorts } from './ports.ts';
import * as resources from './resources.ts';
import { answers, createRoute, jsonBody, type Router, readState } from './routing.ts';
import { timeOf } from './views/value.ts';

const list = createRoute({
  method: 'get',
  path: '/api/clusters',
  responses: answers(200, resources.clusterList, 'Every cluster that has nodes or a disruption budget'),
});

const change = createRoute({
  method: 'patch',
  path: '/api/clusters/{name}',
  request: { params: resources.clusterParam, ...jsonBody(resources.clusterChange) },
  responses: answers(200, resources.cluster, 'The cluster as it is now'),
});

export function addClusters(api: Router, ports: ApiPorts): void {
  api.openapi(list, async (context) => {
    const items = await readState(context, ports, (state) =>
      [...new Set([...state.standings.keys(), ...state.budgets.keys()])]
        .sort(compareNames)
        .map((name) => viewCluster(state, name)),
    );
    return context.json({ items }, 200);
  });

  api.openapi(change, async (context) => {
    const { name } = context.req.valid('param');
    const { maxUnavailable } = context.req.valid('json');
    await ports.sequencer.submit({
      type: 'SetDisruptionBudget',
      cluster: name,
      maxUnavailable: maxUnavailable === null ? null : parseAmount(maxUnavailable),
      by: context.get('by'),
    });
    return context.json(await readState(context, ports, (state) => viewCluster(state, name)), 200);
  });
}

function viewCluster(state: State, name: string): z.infer<typeof resources.cluster> {
  const { nodes, unavailable } = standingOf(state, name);
  const budget = state.budgets.get(name);
  const max = budget?.maxUnavailable;
  return {
    name,
    nodes: nodes.size,
    unavailable: unavailable.size,
    causes: causesIn(state, name).map(({ cause, nodes }) => ({ cause, nodes: [...nodes] })),
    maxUnavailable: max === undefined ? null : 'count' in max ? max.count : `${max.percent}%`,
    allowed: max === undefined ? null : budgetInNodes(max, nodes.size),
    setBy: budget?.by ?? null,
    setAt: budget === undefined ? null : timeOf(budget.at),
  };
}
