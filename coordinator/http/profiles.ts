/** /api/profiles: params that apply where they match. */
import type * as z from 'zod';
import { LockstepError } from '../../shared/errors.ts';
import type { Lookup } from '../core/commands.ts';
import { matches } from '../core/profile-matching.ts';
import type { ProfileState } from '../core/profiles.ts';
import type { State } from '../core/state.ts';
import type { ApiPorts } from './ports.ts';
import * as resources from './resources.ts';
import { answers, createRoute, jsonBody, nameParam, noContent, type Router, readState } from './routing.ts';
import { shownValues, timeOf } from './views/value.ts';

const apply = createRoute({
  method: 'put',
  path: '/api/profiles',
  request: jsonBody(resources.profileApplication),
  responses: answers(200, resources.profile, 'The profile as it now is'),
});

const list = createRoute({
  method: 'get',
  path: '/api/profiles',
  responses: answers(200, resources.profileList, 'Every profile, the one that wins first'),
});

const remove = createRoute({
  method: 'delete',
  path: '/api/profiles/{name}',
  request: { params: nameParam },
  responses: noContent,
});

export function addProfiles(api: Router, ports: ApiPorts): void {
  const { sequencer, lookup } = ports;

  api.openapi(apply, async (context) => {
    const { name, ...application } = context.req.valid('json');
    await sequencer.submit({ type: 'ApplyProfile', profile: name, ...application, by: context.get('by') });
    const shown = await readState(context, ports, (state) => {
      const profile = state.profiles.get(name);
      if (profile === undefined)
        throw new LockstepError('not-found', `profile ${name} was removed meanwhile`);
      return viewProfile(state, profile, lookup);
    });
    return context.json(shown, 200);
  });

  api.openapi(list, async (context) => {
    const items = await readState(context, ports, (state) =>
      [...state.profiles.values()].reverse().map((profile) => viewProfile(state, profile, lookup)),
    );
    return context.json({ items }, 200);
  });

  api.openapi(remove, async (context) => {
    const { name } = context.req.valid('param');
    await sequencer.submit({ type: 'RemoveProfile', profile: name, by: context.get('by') });
    return context.body(null, 204);
  });
}

function viewProfile(
  state: State,
  { profile: name, priority, where, params, by, appliedAt }: ProfileState,
  lookup: Lookup,
): z.infer<typeof resources.profile> {
  const { labels, roles } = where;
  return {
    name,
    priority,
    where: {
      labels: Object.fromEntries(Object.entries(labels).map(([key, values]) => [key, [...values]])),
      roles: roles === null ? null : [...roles],
    },
    params: shownValues(params, lookup),
    secrets: Object.keys(params).filter((param) => 'secret' in (params[param] ?? {})),
    nodes: [...state.nodes.values()].filter((node) => matches({ where }, node, () => true)).length,
    by,
    appliedAt: timeOf(appliedAt),
  };
}
