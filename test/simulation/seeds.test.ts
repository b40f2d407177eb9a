/**
 * Whole clusters from seeds: all promises hold in every story. A failure names the command that repeats it.
 * `scripts/simulate` plays more.
 */
import { availableParallelism } from 'node:os';
import t from 'tap';
import { storiesOf, storyOf } from './cluster.ts';
import { commandOf } from './options.ts';
import { playAll } from './pool.ts';

/** Seeds that found something, and what that was. */
const found: readonly (readonly [seed: number, what: string])[] = [
  [157, 'a lost disk had gone on to attempt 2 of its grant, and the next grant took that name again'],
  [149, 'a node that had left the run was elected, and got the jobs of the leader'],
  [545, 'an election kept places in line by ranks that had changed, and one node waited for ever'],
  [1167, 'a job was ready before an election gave its node what it needs, and did not wait for that'],
  [1912, 'an election gave a job to a node that had left the run'],
  [999, 'a segment got lost, its first job was decided as failed, and the rest was sent again and began'],
  [1413, 'a job that a skip made ready was granted without its condition being looked at'],
  [570, 'an agent with a full disk got work that it had not asked for, and its alarm came again and again'],
  [1678, 'a leader that was elected again got a job under the name of an attempt that it had ended'],
  [1230, 'the last job that could go on was skipped, and nobody was told that no slot was possible any more'],
  [4757, 'who was to carry jobs out left the run, and those that stood in line for a slot were forgotten'],
];

const threads = Math.min(2, availableParallelism());

t.test('2,000 stories keep the promises', async (t) => {
  let played = 0;
  await playAll(storiesOf(1, 2_000), {
    threads,
    onPlayed: ({ story, broken }) => {
      played += 1;
      if (broken !== null) t.fail(broken, { reproduce: commandOf(story) });
      return broken === null;
    },
  });
  t.equal(played, 2_000);
});

t.test('seeds that found something keep finding nothing', async (t) => {
  await playAll(found.map(([seed]) => storyOf(seed)).values(), {
    threads,
    onPlayed: ({ story, broken }) => {
      t.equal(broken, null, `seed ${story.seed}: ${found.find(([seed]) => seed === story.seed)?.[1]}`);
      return true;
    },
  });
});

t.test('the same seed gives the same journal', async (t) => {
  const digests = new Map<number, string>();
  for (const seeds of [storiesOf(1, 20), storiesOf(1, 20)]) {
    await playAll(seeds, {
      threads,
      onPlayed: ({ story, digest }) => {
        t.equal(digest, digests.get(story.seed) ?? digest, `seed ${story.seed}`);
        digests.set(story.seed, digest);
        return true;
      },
    });
  }
  t.equal(new Set(digests.values()).size, 20, 'and every seed another');
});
