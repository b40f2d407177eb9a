/** /api/upkeep/pauses: for whoever copies the data folder, so that nothing is deleted under his hands. */
import type { ApiPorts } from './ports.ts';
import * as resources from './resources.ts';
import { answers, createRoute, idParam, noContent, type Router } from './routing.ts';

const begin = createRoute({
  method: 'post',
  path: '/api/upkeep/pauses',
  responses: answers(201, resources.upkeepPause, 'What may be copied'),
});

const renew = createRoute({
  method: 'put',
  path: '/api/upkeep/pauses/{id}',
  request: { params: idParam },
  responses: noContent,
});

const end = createRoute({
  method: 'delete',
  path: '/api/upkeep/pauses/{id}',
  request: { params: idParam },
  responses: noContent,
});

const idBytes = 8;

export function addUpkeep(api: Router, ports: ApiPorts): void {
  const { events, sequencer, upkeep, version } = ports;

  api.openapi(begin, async (context) => {
    const id = ports.random(idBytes);
    await upkeep.pause(id);
    const place = await sequencer.read(({ lineage, epoch, seq }) => ({ lineage, epoch, seq }));
    return context.json({ id, version, ...place, hash: await events.hashAt(place.seq) }, 201);
  });

  api.openapi(renew, (context) => {
    upkeep.renewPause(context.req.valid('param').id);
    return context.body(null, 204);
  });

  api.openapi(end, (context) => {
    upkeep.endPause(context.req.valid('param').id);
    return context.body(null, 204);
  });
}
