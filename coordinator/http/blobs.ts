/**
 * /blobs: files by digest, in pieces both ways. Agents fetch scripts, inputs and bundles here and put outputs. An
 * upload that broke goes on: `GET /blobs/{digest}/offset` says from where, and a `PUT` with `Content-Range: bytes
 * START-LAST/SIZE` sends the rest, up to the last byte.
 */
import * as z from 'zod';
import { LockstepError } from '../../shared/errors.ts';
import { digestPattern } from '../../shared/ids.ts';
import { limits } from '../../shared/limits.ts';
import { uploadOffsetSchema } from '../../shared/messages.ts';
import { readRange, readRest } from './byte-range.ts';
import type { ApiPorts } from './ports.ts';
import * as resources from './resources.ts';
import { answers, createRoute, jsonBody, problems, type Router } from './routing.ts';

const digestParam = z.object({ digest: z.string().regex(digestPattern) });
const bytes = { 'application/octet-stream': { schema: z.string().meta({ format: 'binary' }) } };

const missing = createRoute({
  method: 'post',
  path: '/blobs/missing',
  request: jsonBody(resources.digests),
  responses: answers(200, resources.digests, 'Those that are not stored yet'),
});

const get = createRoute({
  method: 'get',
  path: '/blobs/{digest}',
  request: { params: digestParam },
  responses: {
    200: { description: 'The bytes', content: bytes },
    206: { description: 'The bytes of the range that was asked for', content: bytes },
    default: problems,
  },
});

const offset = createRoute({
  method: 'get',
  path: '/blobs/{digest}/offset',
  request: { params: digestParam },
  responses: answers(200, uploadOffsetSchema, 'From where on it is still to be sent'),
});

const put = createRoute({
  method: 'put',
  path: '/blobs/{digest}',
  request: { params: digestParam },
  responses: {
    200: { description: 'It was there already' },
    204: { description: 'It is stored' },
    default: problems,
  },
});

export function addBlobs(api: Router, ports: ApiPorts): void {
  const { blobs } = ports;
  let uploads = 0;

  api.openapi(missing, async (context) => {
    const { digests } = context.req.valid('json');
    return context.json({ digests: [...(await blobs.missing(digests))] }, 200);
  });

  api.openapi(get, async (context) => {
    const { digest } = context.req.valid('param');
    const { size } = await blobs.stream(digest, { start: 0, end: 0 });
    const range = readRange(context.req.header('range'), size);
    const headers = {
      'accept-ranges': 'bytes',
      etag: `"${digest}"`,
      'content-type': 'application/octet-stream',
    };
    if (range === 'unsatisfiable') {
      context.header('content-range', `bytes */${size}`);
      return context.body(null, 416);
    }
    if (context.req.header('if-none-match') === headers.etag) return context.body(null, 304);
    const part = range === 'whole' ? { start: 0, end: size } : range;
    const { chunks } = await blobs.stream(digest, part);
    const length = { 'content-length': String(part.end - part.start) };
    const body = ReadableStream.from(chunks);
    if (range === 'whole') return new Response(body, { status: 200, headers: { ...headers, ...length } });
    const place = { 'content-range': `bytes ${part.start}-${part.end - 1}/${size}` };
    return new Response(body, { status: 206, headers: { ...headers, ...length, ...place } });
  });

  api.openapi(offset, async (context) => {
    const { digest } = context.req.valid('param');
    const complete = await blobs.has(digest);
    return context.json({ complete, offset: complete ? 0 : await blobs.offset(digest) }, 200);
  });

  api.openapi(put, async (context) => {
    const { digest } = context.req.valid('param');
    const length = context.req.header('content-length');
    const part = readRest(context.req.header('content-range'), length === undefined ? null : Number(length));
    if ((part?.size ?? 0) > limits.blobBytesMax)
      throw new LockstepError('too-large', `a blob has at most ${limits.blobBytesMax} bytes`);
    if (await blobs.has(digest)) return context.body(null, 200);
    if (uploads >= limits.uploadsAtOnceMax)
      throw new LockstepError('too-many', `${uploads} uploads are under way; try again in a moment`);
    uploads += 1;
    try {
      // Touched only here: a body that was looked at and not read keeps the connection from being used again.
      const body = context.req.raw.body ?? ReadableStream.from([]);
      if (part !== null && part.size > limits.blobResumeBytesMin) await blobs.putPart(digest, part, body);
      else await putWhole(digest, body);
    } finally {
      uploads -= 1;
    }
    return context.body(null, 204);
  });

  async function putWhole(digest: string, body: AsyncIterable<Uint8Array>): Promise<void> {
    const stored = await blobs.putStream(body);
    if (stored.digest !== digest)
      throw new LockstepError(
        'invalid',
        `the content that was sent is ${stored.digest}, not ${digest}; send it again`,
      );
  }
}
