/**
 * Answers that go on for as long as the reader stays. Each piece is made when the socket takes it, so that a
 * slow reader costs one piece of memory; a reader that goes away ends what it waits for.
 */
import { LockstepError } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';

/** Widened on purpose: the routes' types know no lines of JSON. */
export const ndjson: string = 'application/x-ndjson';

/** How many read along at once. */
export class Followers {
  #count = 0;

  enter(): void {
    if (this.#count >= limits.followersMax)
      throw new LockstepError('too-many', `${this.#count} readers follow already; try again later`);
    this.#count += 1;
  }

  leave(): void {
    this.#count -= 1;
  }
}

export type StreamedAnswer = {
  readonly contentType: string;
  /** Among which it counts; null when it ends by itself. */
  readonly followers: Followers | null;
  readonly generate: (signal: AbortSignal) => AsyncGenerator<string>;
  /** The answer has begun: what goes wrong now can only break it off. */
  readonly onError: (error: unknown) => void;
  /** The coordinator ends, and with it all that would go on. */
  readonly ending: AbortSignal;
};

export function answerStream(answer: StreamedAnswer): Response {
  const { contentType, followers, generate, onError, ending } = answer;
  followers?.enter();
  const controller = new AbortController();
  const pieces = watched(generate(AbortSignal.any([controller.signal, ending])), followers, onError);
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    async pull(stream) {
      // A pull that brings nothing is not asked again.
      for (;;) {
        const { done, value } = await pieces.next();
        if (done) return stream.close();
        if (value !== '') return stream.enqueue(encoder.encode(value));
      }
    },
    async cancel() {
      // The generator may be waiting: aborting lets it go on to its end.
      controller.abort();
      await pieces.return(undefined);
    },
  });
  // Proxies must hand on each event as it comes.
  const headers = { 'content-type': contentType, 'cache-control': 'no-store', 'x-accel-buffering': 'no' };
  return new Response(body, { status: 200, headers });
}

async function* watched(
  pieces: AsyncGenerator<string>,
  followers: Followers | null,
  onError: (error: unknown) => void,
): AsyncGenerator<string> {
  try {
    yield* pieces;
  } catch (error) {
    onError(error);
    throw error;
  } finally {
    followers?.leave();
  }
}

/** Waits for something, but no longer than a follower may stay without a sign of life. */
export async function quietly(
  signal: AbortSignal,
  wait: (either: AbortSignal) => Promise<void>,
): Promise<void> {
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(), limits.followSilenceMs);
  try {
    await wait(AbortSignal.any([signal, silence.signal]));
  } finally {
    clearTimeout(timer);
  }
}
