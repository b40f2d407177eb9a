/** /api/params and /api/services: what operators keep for clusters and nodes, and what runs provided. */
import { LockstepError } from '../../shared/errors.ts';
import type { ParamScope } from '../core/event-values.ts';
import type { ApiPorts } from './ports.ts';
import * as resources from './resources.ts';
import { answers, createRoute, jsonBody, noContent, type Router, readState } from './routing.ts';
import { viewParams } from './views/param.ts';

const listParams = createRoute({
  method: 'get',
  path: '/api/params',
  request: { query: resources.paramsQuery },
  responses: answers(200, resources.paramList, 'Params of one cluster or node, or of all'),
});

const setParam = createRoute({
  method: 'put',
  path: '/api/params',
  request: jsonBody(resources.paramSetting),
  responses: noContent,
});

const unsetParam = createRoute({
  method: 'delete',
  path: '/api/params',
  request: { query: resources.paramUnsetting },
  responses: noContent,
});

const listServices = createRoute({
  method: 'get',
  path: '/api/services',
  request: { query: resources.servicesQuery },
  responses: answers(200, resources.serviceList, 'Endpoints that steps provided'),
});

export function addParams(api: Router, ports: ApiPorts): void {
  const { sequencer, lookup } = ports;

  api.openapi(listParams, async (context) => {
    const scope = context.req.valid('query');
    const items = await readState(context, ports, (state) => viewParams(state, scope, lookup));
    return context.json({ items }, 200);
  });

  api.openapi(setParam, async (context) => {
    const { name, value, secret, ...given } = context.req.valid('json');
    await sequencer.submit({
      type: 'SetParam',
      scope: scopeOf(given),
      name,
      value,
      secret,
      by: context.get('by'),
    });
    return context.body(null, 204);
  });

  api.openapi(unsetParam, async (context) => {
    const { name, ...given } = context.req.valid('query');
    await sequencer.submit({ type: 'UnsetParam', scope: scopeOf(given), name, by: context.get('by') });
    return context.body(null, 204);
  });

  api.openapi(listServices, async (context) => {
    const { cluster } = context.req.valid('query');
    const items = await readState(context, ports, (state) =>
      [...state.services].flatMap(([key, endpoints]) => {
        // `cluster/service`: neither has a slash in its name.
        const [of = '', service = ''] = key.split('/');
        return cluster === undefined || cluster === of
          ? [...endpoints.values()].map((endpoint) => ({ cluster: of, service, ...endpoint }))
          : [];
      }),
    );
    return context.json({ items }, 200);
  });
}

function scopeOf(given: {
  readonly cluster?: string | undefined;
  readonly node?: string | undefined;
}): ParamScope {
  const { cluster, node } = given;
  if (node !== undefined && cluster !== undefined)
    throw new LockstepError('usage', 'a param is of a cluster or of a node, not of both');
  return node === undefined ? { cluster: cluster ?? 'default' } : { node };
}
