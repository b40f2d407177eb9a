/**
 * Delivery by HTTP. The signature is over time and body, so that neither can be changed and an old request cannot be
 * sent again for good. Redirects are not followed: the body is meant for the address that the operator gave.
 */
import { createHmac } from 'node:crypto';
import { Agent, request } from 'undici';
import { messageOf } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import { type Delivered, delivered, failed, refused } from './delivery.ts';
import type { Message } from './message.ts';

export type Webhook = { readonly url: string; readonly key: string };

/** Hex of the HMAC-SHA256 of `<timestamp>.<body>`; the key is the text of the secret. */
export const signatureOf = (key: string, timestamp: number, body: string): string =>
  createHmac('sha256', key).update(`${timestamp}.${body}`).digest('hex');

/** Asked again later, these may be answered otherwise. */
const passing: ReadonlySet<number> = new Set([408, 425, 429]);

export async function post({ url, key }: Webhook, message: Message, signal: AbortSignal): Promise<Delivered> {
  // One connection for one delivery: what is rare need not be kept open, and a half-open one cannot mislead.
  const agent = new Agent({ connect: { timeout: limits.deliveryWaitMs }, pipelining: 0 });
  const timestamp = Math.floor(Date.now() / 1_000);
  try {
    const answer = await request(url, {
      method: 'POST',
      dispatcher: agent,
      headers: {
        'content-type': 'application/json',
        'user-agent': 'lockstep',
        'lockstep-delivery': message.id,
        'lockstep-kind': message.kind,
        'lockstep-timestamp': String(timestamp),
        'lockstep-signature': `v1=${signatureOf(key, timestamp, message.body)}`,
      },
      body: message.body,
      signal: AbortSignal.any([signal, AbortSignal.timeout(limits.deliveryWaitMs)]),
    });
    let bytes = 0;
    for await (const chunk of answer.body) {
      bytes += Buffer.byteLength(chunk);
      // Whoever answers at such length has at least understood.
      if (bytes > limits.deliveryAnswerBytesMax) break;
    }
    return judge(answer.statusCode);
  } catch (error) {
    return failed(explain(error));
  } finally {
    await agent.destroy();
  }
}

function judge(status: number): Delivered {
  if (status >= 200 && status < 300) return delivered;
  if (status >= 300 && status < 400)
    return refused(
      `it answered ${status}, and redirects are not followed: give the address that it leads to`,
    );
  const reason = `it answered ${status}`;
  return status < 500 && !passing.has(status) ? refused(reason) : failed(reason);
}

/** The address may be secret, so that no message of a library is passed on that may hold it. */
function explain(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (error instanceof Error && error.name === 'TimeoutError')
    return `no whole answer within ${limits.deliveryWaitMs / 1_000} s`;
  return code === '' ? messageOf(error).split(' ').slice(0, 6).join(' ') : `no answer (${code})`;
}
