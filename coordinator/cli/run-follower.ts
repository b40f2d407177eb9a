/**
 * Follows one run to where it ends or needs somebody: events as they come, and the run's document anew after
 * them, no more often than it can bear. What people see of that is live-watch.ts's and plain-watch.ts's.
 */
import { LockstepError } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import { health, run as runSchema } from '../http/resources.ts';
import type { CoordinatorClient } from './client.ts';
import { followEvents } from './event-stream.ts';
import { sleep } from './persistent-stream.ts';
import type { JournalEvent, Run } from './resources.ts';
import { segment } from './session.ts';

export type FollowListener = {
  readonly event: (event: JournalEvent) => void;
  readonly run: (run: Run) => void;
  /** The coordinator cannot be reached, in a sentence; null when it can again. */
  readonly lost: (sentence: string | null) => void;
};

type Following = {
  readonly id: string;
  /** Events after this seq are told. */
  readonly since: number;
  /** Whether the run's document is wanted with its jobs. */
  readonly jobs: boolean;
  readonly isOver: (run: Run) => boolean;
};

/** A document that took long to get is not asked for again at once: reading must stay a small part of the work. */
const restFactor = 5;
/** Events that led to the end are on their way for so long at most. */
const lastEventsMs = 1_000;
const quietMs = 200;

/** The run as it was when it was over; or as it was last, when aborted. */
export async function followRun(
  client: CoordinatorClient,
  first: Run,
  { id, since, jobs, isOver }: Following,
  listener: FollowListener,
  signal: AbortSignal,
): Promise<Run> {
  const ended = new AbortController();
  const stop = AbortSignal.any([signal, ended.signal]);
  let latest = first;
  let news = new AbortController();
  let lastEventAt = performance.now();
  let sawEnd = false;
  const tellNews = (): void => news.abort();

  const readEvents = async (from: string): Promise<void> => {
    for await (const item of followEvents(client, { since: from, run: id }, stop)) {
      switch (item.kind) {
        case 'connected':
          listener.lost(null);
          break;
        case 'interrupted':
          listener.lost(item.sentence);
          continue;
        case 'event':
          lastEventAt = performance.now();
          if (item.event.type === 'RunEnded') sawEnd = true;
          listener.event(item.event);
      }
      tellNews();
    }
  };
  const followAll = async (): Promise<void> => {
    try {
      await readEvents(String(since));
    } catch (error) {
      if (!(error instanceof LockstepError) || error.code !== 'cursor-expired') throw error;
      // The beginning of an old run is no longer in the journal: what it is now is still known.
      const { seq } = await client.read(health, '/health');
      await readEvents(String(seq));
    }
  };

  const readRun = async (): Promise<void> => {
    while (!stop.aborted && !isOver(latest)) {
      await sleep(limits.watchSafetyMs, AbortSignal.any([stop, news.signal]));
      if (stop.aborted) return;
      news = new AbortController();
      const begun = performance.now();
      try {
        latest = await client.read(runSchema, `/api/runs/${segment(id)}`, { jobs });
        listener.run(latest);
      } catch (error) {
        // The event stream tells of the loss, and that there is news once it is mended.
        if (!(error instanceof LockstepError) || error.code !== 'unreachable') throw error;
      }
      if (isOver(latest)) return;
      await sleep(Math.max(limits.watchRefetchMs, restFactor * (performance.now() - begun)), stop);
    }
  };

  const events = followAll();
  const over = async (): Promise<void> => {
    await readRun();
    const deadline = performance.now() + lastEventsMs;
    while (!stop.aborted && !sawEnd && performance.now() < deadline) {
      if (latest.finishedAt === null && performance.now() - lastEventAt > quietMs) break;
      await sleep(quietMs / 4, stop);
    }
  };
  try {
    await Promise.race([over(), events]);
  } finally {
    ended.abort();
    await events.catch(() => undefined);
  }
  return latest;
}
