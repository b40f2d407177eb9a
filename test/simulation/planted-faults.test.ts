/** Every planted fault is found, and as the breach of a promise that it does break. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { storiesOf } from './cluster.ts';
import { plantedFaults } from './planted-faults.ts';
import { playAll } from './pool.ts';
import type { Played } from './worker.ts';

const seedsMax = 500;

for (const fault of plantedFaults) {
  t.test(fault.name, async (t) => {
    for (const { file, find } of fault.edits) {
      const source = readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8');
      if (!t.equal(source.split(find).length - 1, 1, `${file} has the place once`)) return;
    }
    let found: Played | undefined;
    await playAll(storiesOf(1, seedsMax), {
      threads: 2,
      fault,
      onPlayed: (played) => {
        if (played.broken !== null) found ??= played;
        return found === undefined;
      },
    });
    const broken = found?.broken ?? `nothing in ${seedsMax} seeds`;
    t.comment(`seed ${found?.story.seed}: ${broken.slice(0, 200)}`);
    t.ok(
      fault.breaks.some((promise) => broken.startsWith(`${promise}:`)),
      `breaks ${fault.breaks.join(' or ')}`,
      { broken },
    );
  });
}
