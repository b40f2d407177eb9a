/**
 * A long answer that is asked for again when its connection breaks, for as long as `streamRetryMs`. What is
 * asked for again (a cursor, offsets) is its reader's business, who is told of every break.
 */
import { LockstepError } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import type { CoordinatorClient, Query } from './client.ts';

type Asked = { readonly path: string; readonly query: Query; readonly headers: Record<string, string> };

export type StreamItem =
  | { readonly kind: 'connected' }
  | { readonly kind: 'chunk'; readonly chunk: Buffer }
  /** It will be asked for again in a moment; `sentence` says so. */
  | { readonly kind: 'interrupted'; readonly error: LockstepError; readonly sentence: string };

/** Ends early when aborted. */
export const sleep = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
    if (signal.aborted) done();
  });

/** Doubles from the least delay to the greatest, with full jitter, so that many watchers do not return at once. */
const retryDelay = (failures: number): number =>
  Math.random() * Math.min(limits.streamRetryDelayMaxMs, limits.reconnectDelayMinMs * 2 ** failures);

/**
 * Ends when aborted, and at the end of the answer unless it is `endless`, where an end is a break. Throws
 * what the coordinator refused, and `unreachable` when it stayed away for too long.
 */
export async function* persistentStream(
  client: CoordinatorClient,
  ask: () => Asked,
  endless: boolean,
  signal: AbortSignal,
): AsyncGenerator<StreamItem, void, void> {
  let failures = 0;
  let lostAt: number | undefined;
  while (!signal.aborted) {
    try {
      const { path, query, headers } = ask();
      const body = await client.open(path, { query, headers, signal });
      yield { kind: 'connected' };
      for await (const chunk of body) {
        failures = 0;
        lostAt = undefined;
        yield { kind: 'chunk', chunk };
      }
      if (!endless || signal.aborted) return;
      throw client.unreachable(new Error('it ended the stream'));
    } catch (error) {
      if (signal.aborted) return;
      const failure = error instanceof LockstepError ? error : client.unreachable(error);
      if (failure.code !== 'unreachable' && failure.code !== 'too-many') throw failure;
      lostAt ??= performance.now();
      if (performance.now() - lostAt > limits.streamRetryMs) throw failure;
      yield { kind: 'interrupted', error: failure, sentence: client.describeLoss(failure) };
      await sleep(retryDelay(failures), signal);
      failures += 1;
    }
  }
}
