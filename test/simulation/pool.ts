/** Plays many stories on a few threads, in order of the seeds as far as threads allow. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Story } from './cluster.ts';
import type { PlantedFault } from './planted-faults.ts';
import type { Played } from './worker.ts';

export type PoolOptions = {
  readonly threads: number;
  readonly fault?: PlantedFault;
  /** False: no further story is begun. */
  readonly onPlayed: (played: Played) => boolean;
};

export async function playAll(
  stories: Iterator<Story>,
  { threads, fault, onPlayed }: PoolOptions,
): Promise<void> {
  let goesOn = true;
  const work = async (): Promise<void> => {
    const worker = new Worker(new URL('worker.ts', import.meta.url), {
      workerData: fault ?? null,
      execArgv: [],
    });
    try {
      while (goesOn) {
        const next = stories.next();
        if (next.done === true) return;
        worker.postMessage(next.value);
        const [played]: Played[] = await once(worker, 'message');
        if (played === undefined || !goesOn) return;
        goesOn = onPlayed(played);
      }
    } finally {
      await worker.terminate();
    }
  };
  await Promise.all(Array.from({ length: threads }, work));
}
