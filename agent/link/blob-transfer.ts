/**
 * Content by digest over HTTP, from and to the coordinator that the agent is linked to: `GET` with ranges,
 * so that a broken transfer goes on where it broke, and `PUT`. Trouble on the way is met by trying again until
 * the caller gives up; what the coordinator says for good is not.
 */
import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { isMissing, privateFileMode } from '../../shared/disk/durable-file.ts';
import { LockstepError, messageOf } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';

export type BlobTransferParts = {
  /** Changes when the agent finds another coordinator. */
  readonly baseUrl: () => URL;
  readonly token: string;
  readonly note: (text: string) => void;
};

/** An answer that trying again will not change. */
class Refusal extends LockstepError {}

export class BlobTransfer {
  readonly #parts: BlobTransferParts;

  constructor(parts: BlobTransferParts) {
    this.#parts = parts;
  }

  /** Appends what is missing of the blob to the file. */
  async fetch(digest: string, file: string, signal: AbortSignal): Promise<void> {
    await this.#persist(`fetch ${digest}`, signal, () => this.#fetchOnce(digest, file, signal));
  }

  /** Resolves when the coordinator has it, durably. */
  async upload(digest: string, file: string, signal: AbortSignal): Promise<void> {
    await this.#persist(`upload ${digest}`, signal, () => this.#uploadOnce(digest, file, signal));
  }

  async #persist(what: string, signal: AbortSignal, attempt: () => Promise<void>): Promise<void> {
    for (let failures = 0; ; failures += 1) {
      try {
        return await attempt();
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof Refusal) throw error;
        if (failures === 0) this.#parts.note(`cannot ${what}, trying again: ${messageOf(error)}`);
        const delayMs = Math.min(limits.reconnectDelayMinMs * 2 ** failures, limits.blobRetryDelayMaxMs);
        await sleep(delayMs * (0.5 + Math.random() / 2), undefined, { signal });
      }
    }
  }

  async #fetchOnce(digest: string, file: string, signal: AbortSignal): Promise<void> {
    const have = await sizeOf(file);
    const { request } = await import('undici');
    const response = await request(this.#url(digest), {
      headers: { ...this.#authorization, ...(have > 0 ? { range: `bytes=${have}-` } : {}) },
      headersTimeout: limits.blobIdleMs,
      bodyTimeout: limits.blobIdleMs,
      signal,
    });
    const { statusCode, body } = response;
    // 416: there is nothing beyond what we have, so it is whole, or it is not what the digest says.
    if (statusCode === 416 || statusCode >= 300) await body.dump();
    if (statusCode === 416) return;
    if (statusCode >= 300) throw refusal(statusCode, `fetch ${digest}`);
    const target = await open(file, 'a', privateFileMode);
    let size = statusCode === 206 ? have : 0;
    try {
      if (size !== have) await target.truncate(0);
      for await (const chunk of body) {
        size += chunk.length;
        if (size > limits.blobBytesMax)
          throw new Refusal('too-large', `${digest} has more than ${limits.blobBytesMax} bytes`);
        await target.writeFile(chunk);
      }
    } finally {
      await target.close();
    }
  }

  async #uploadOnce(digest: string, file: string, signal: AbortSignal): Promise<void> {
    const { request } = await import('undici');
    const { statusCode, body } = await request(this.#url(digest), {
      method: 'PUT',
      headers: {
        ...this.#authorization,
        'content-type': 'application/octet-stream',
        'content-length': String((await stat(file)).size),
      },
      body: createReadStream(file),
      headersTimeout: limits.blobIdleMs,
      bodyTimeout: limits.blobIdleMs,
      signal,
    });
    await body.dump();
    if (statusCode >= 300) throw refusal(statusCode, `upload ${digest}`);
  }

  #url(digest: string): URL {
    return new URL(`blobs/${digest}`, this.#parts.baseUrl());
  }

  get #authorization(): { readonly authorization: string } {
    return { authorization: `Bearer ${this.#parts.token}` };
  }
}

/** 408, 425, 429 and what is wrong with the server itself may pass; the rest is meant. */
function refusal(statusCode: number, what: string): Error {
  const message = `cannot ${what}: the coordinator answered HTTP ${statusCode}`;
  const passing = statusCode >= 500 || statusCode === 408 || statusCode === 425 || statusCode === 429;
  return passing ? new LockstepError('unreachable', message) : new Refusal('not-found', message);
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    if (isMissing(error)) return 0;
    throw error;
  }
}
