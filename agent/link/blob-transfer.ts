/**
 * Content by digest over HTTP, from and to the coordinator that the agent is linked to: `GET` with ranges and
 * `PUT` from where the coordinator has it, so that a broken transfer goes on where it broke. Trouble on the way
 * is met by trying again until the caller gives up; what the coordinator says for good is not.
 */
import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Dispatcher } from 'undici';
import { isMissing, privateFileMode } from '../../shared/disk/durable-file.ts';
import { LockstepError, messageOf } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import { uploadOffsetSchema } from '../../shared/messages.ts';
import type { CoordinatorAddress } from './addresses.ts';
import type { Dial } from './dial.ts';
import type { Uplink } from './uplink.ts';

export type BlobTransferParts = {
  /** Changes when the agent finds another one. */
  readonly coordinator: () => CoordinatorAddress;
  readonly token: string;
  readonly dial: Dial;
  readonly uplink: Uplink;
  readonly note: (text: string) => void;
};

/** An answer that trying again will not change. */
class Refusal extends LockstepError {}

export class BlobTransfer {
  readonly #parts: BlobTransferParts;
  #dispatcher: Dispatcher | undefined;

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
    const response = await this.#request(digest, {
      method: 'GET',
      headers: { ...this.#authorization, ...(have > 0 ? { range: `bytes=${have}-` } : {}) },
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
    const { size } = await stat(file);
    const start = size > limits.blobResumeBytesMin ? await this.#offsetOf(digest, size, signal) : 0;
    if (start === size) return;
    const idle = new IdleTimer();
    const { statusCode, body } = await this.#request(digest, {
      method: 'PUT',
      headers: {
        ...this.#authorization,
        'content-type': 'application/octet-stream',
        'content-length': String(size - start),
        ...(start > 0 ? { 'content-range': `bytes ${start}-${size - 1}/${size}` } : {}),
      },
      body: Readable.from(this.#pieces(file, start, idle, signal), { objectMode: false }),
      // The time that the budget takes is not the coordinator's.
      headersTimeout: 0,
      signal: AbortSignal.any([signal, idle.signal]),
    }).finally(() => idle.stop());
    await body.dump();
    if (statusCode >= 300) throw refusal(statusCode, `upload ${digest}`);
  }

  /** How much of it the coordinator has, which may be from an earlier connection; all of it when that is proved. */
  async #offsetOf(digest: string, size: number, signal: AbortSignal): Promise<number> {
    const { statusCode, body } = await this.#request(`${digest}/offset`, {
      method: 'GET',
      headers: this.#authorization,
      signal,
    });
    // One that does not know the question has nothing.
    if (statusCode !== 200) {
      await body.dump();
      return 0;
    }
    const answer = uploadOffsetSchema.safeParse(await body.json());
    if (!answer.success) return 0;
    const { complete, offset } = answer.data;
    if (complete) return size;
    return offset < size ? offset : 0;
  }

  async *#pieces(file: string, start: number, idle: IdleTimer, signal: AbortSignal) {
    const { uplink } = this.#parts;
    for await (const chunk of createReadStream(file, { start, highWaterMark: uplink.pieceBytesMax })) {
      await uplink.forFile(chunk.length, signal);
      idle.restart();
      yield chunk;
    }
  }

  /** undici is loaded by the first transfer: most agents never do one. */
  async #request(place: string, options: Omit<Dispatcher.RequestOptions, 'origin' | 'path'>) {
    const { Agent, request } = await import('undici');
    const { dial, coordinator } = this.#parts;
    this.#dispatcher ??= new Agent({
      connect: (_options, done) => {
        dial(coordinator(), limits.helloWaitMs, new AbortController().signal).then(
          (socket) => done(null, socket),
          (error: unknown) => done(error instanceof Error ? error : new Error(messageOf(error)), null),
        );
      },
    });
    return request(new URL(`blobs/${place}`, coordinator().url), {
      headersTimeout: limits.blobIdleMs,
      bodyTimeout: limits.blobIdleMs,
      dispatcher: this.#dispatcher,
      ...options,
    });
  }

  get #authorization(): { readonly authorization: string } {
    return { authorization: `Bearer ${this.#parts.token}` };
  }
}

/** Aborts when nothing went on for `blobIdleMs`. */
class IdleTimer {
  readonly #controller = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The next piece may come as late as that again. */
  restart(): void {
    clearTimeout(this.#timer);
    // What was being read when the request failed may still come.
    if (this.#isOver) return;
    this.#timer = setTimeout(
      () => this.#controller.abort(new Error(`nothing could be sent for ${limits.blobIdleMs} ms`)),
      limits.blobIdleMs,
    );
  }

  stop(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }
}

/** 408, 409, 425, 429 and what is wrong with the server itself may pass; the rest is meant. 409: it has another part of it by now. */
function refusal(statusCode: number, what: string): Error {
  const message = `cannot ${what}: the coordinator answered HTTP ${statusCode}`;
  const passing = statusCode >= 500 || [408, 409, 425, 429].includes(statusCode);
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
