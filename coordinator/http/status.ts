/** How the coordinator is, for people, monitors and editors: health, metrics, and the schemas it speaks. */
import { getConnInfo } from '@hono/node-server/conninfo';
import { LockstepError } from '../../shared/errors.ts';
import { pipelineEditorSchema, profileJsonSchema } from '../../shared/pipeline/editor-schema.ts';
import type { Fence } from '../core/reign.ts';
import { describeFence } from '../core/restoration.ts';
import type { ApiPorts } from './ports.ts';
import * as resources from './resources.ts';
import { createRoute, type Router } from './routing.ts';

const health = createRoute({
  method: 'get',
  path: '/health',
  responses: {
    200: { description: 'It works', content: { 'application/json': { schema: resources.health } } },
    503: {
      description: 'It cannot accept work',
      content: { 'application/json': { schema: resources.health } },
    },
  },
});

export function addStatus(api: Router, ports: ApiPorts): void {
  const startedAt = ports.now();

  api.openapi(health, async (context) => {
    const { stalled } = ports.sequencer;
    const { fence, ...place } = await ports.sequencer.read(({ lineage, epoch, seq, fence }) => ({
      lineage,
      epoch,
      seq,
      fence,
    }));
    const body = {
      ...conditionOf(stalled, fence),
      version: ports.version,
      ...place,
      agents: ports.agents(),
      uptimeMs: ports.now() - startedAt,
    };
    return body.status === 'ok' ? context.json(body, 200) : context.json(body, 503);
  });

  api.get('/metrics', async (context) => {
    const { address } = getConnInfo(context).remote;
    if (!isLoopback(address)) {
      const admission = ports.admit(context.req.header('authorization'));
      if (!admission.ok) throw new LockstepError(admission.code, admission.detail);
      if (admission.kind !== 'operator') throw new LockstepError('forbidden', 'metrics are for operators');
    }
    const { render, contentType } = ports.metrics;
    const rendering = await ports.sequencer.read((state) => ({ text: render(state) }));
    return context.body(await rendering.text, 200, { 'content-type': contentType });
  });

  api.get('/openapi.json', (context) =>
    context.json(
      api.getOpenAPI31Document({
        openapi: '3.1.0',
        info: { title: 'Lockstep coordinator', version: ports.version },
        security: [{ bearer: [] }],
      }),
    ),
  );

  api.get('/schema/pipeline.json', (context) => context.json(pipelineEditorSchema()));
  api.get('/schema/profile.json', (context) => context.json(profileJsonSchema()));
}

function conditionOf(stalled: LockstepError | null, fence: Fence | null) {
  if (stalled !== null)
    return {
      status: 'disk-full' as const,
      detail: `${stalled.message}; nothing is granted or accepted until then`,
    };
  if (fence !== null) return { status: 'replaced' as const, detail: describeFence(fence) };
  return { status: 'ok' as const, detail: null };
}

const isLoopback = (address: string | undefined): boolean =>
  address === '::1' || address?.startsWith('127.') === true || address?.startsWith('::ffff:127.') === true;
