/**
 * A thread that plays seeds as they come and tells what became of them. Each has timers of its own, so that
 * simulated time stays in it; and a planted fault, if there is one, changes the sources that it loads.
 */
import { hash } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import type { Story } from './cluster.ts';
import { plant } from './plant.ts';
import type { PlantedFault } from './planted-faults.ts';

export type Played = {
  readonly story: Story;
  /** Which promise was broken and how; null when all were kept. */
  readonly broken: string | null;
  readonly events: number;
  readonly executions: number;
  readonly simulatedMs: number;
  /** Of the whole journal. */
  readonly digest: string;
};

const fault: PlantedFault | null = workerData;
if (fault !== null) plant(fault);
const { simulate } = await import('./cluster.ts');

parentPort?.on('message', async (story: Story) => {
  const { broken, events, executions, simulatedMs, journal } = await simulate(story);
  const digest = hash('sha256', journal(), 'hex');
  const played: Played = { story, broken: broken?.message ?? null, events, executions, simulatedMs, digest };
  parentPort?.postMessage(played);
});
