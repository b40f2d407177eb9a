/**
 * Backups of the coordinator's data, and restores from them: whoever restores stops the coordinator, puts an
 * older state in its place and lets it go on as another lineage. What the nodes did since then, they have done.
 */
import type { Random } from '../coordinator/core/random-pipeline.ts';
import type { Stage } from './faults.ts';

/** Draws whether this story has any, and when. */
export function bringRestores(cluster: Stage, random: Random): void {
  if (!random.chance(0.2)) return;
  const meanMs = random.pick([10_000, 40_000, 120_000]);
  const again = (act: () => void, ms: number, timesMax = Number.POSITIVE_INFINITY): void => {
    let times = 0;
    const happen = (): void => {
      times += 1;
      if (!cluster.hasTrouble || times > timesMax) return;
      act();
      cluster.later(ms * (0.2 + 1.6 * random.next()), happen);
    };
    cluster.later(ms * (0.2 + 1.6 * random.next()), happen);
  };
  again(() => cluster.takeBackup(random.chance(0.8)), meanMs);
  const restore = (): void =>
    cluster.restoreBackup(random.below(backupsKept), 3_000 + 30_000 * random.next());
  again(restore, 3 * meanMs, restoresMax);
}

/** Of which the one that is restored is picked: not always the newest is good. */
export const backupsKept = 3;

/** Fewer than the lineages that an agent remembers. */
const restoresMax = 5;
