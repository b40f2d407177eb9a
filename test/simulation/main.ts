/** `scripts/simulate`: plays stories, shows how far it is, and says how to repeat what broke a promise. */
import { LockstepError } from '../../shared/errors.ts';
import { type Outcome, type Story, simulate, storyOf } from './cluster.ts';
import { commandOf, type Options, readOptions, usage } from './options.ts';
import { playAll } from './pool.ts';

function storyWith(options: Options, seed: number): Story {
  const story = storyOf(seed);
  return { seed, nodes: options.nodes ?? story.nodes, minutes: options.minutes ?? story.minutes };
}

async function readAloud(story: Story): Promise<boolean> {
  const { broken }: Outcome = await simulate(story, (line) => process.stdout.write(`${line}\n`));
  process.stdout.write(`${broken === null ? 'every promise was kept' : broken.message}\n`);
  return broken === null;
}

async function playMany(options: Options): Promise<boolean> {
  const { from, to, forMs, threads } = options;
  const startedAt = performance.now();
  let isOver = false;
  process.once('SIGINT', () => {
    isOver = true;
  });
  const isLate = (): boolean => forMs !== null && performance.now() - startedAt >= forMs;
  function* stories(): Generator<Story> {
    for (let seed = from; (to === null || seed <= to) && !isOver && !isLate(); seed += 1)
      yield storyWith(options, seed);
  }
  const sums = { stories: 0, events: 0, executions: 0, simulatedMs: 0 };
  const progress = (): string =>
    `${sums.stories} stories, ${sums.events} events, ${sums.executions} scripts, ` +
    `${(sums.simulatedMs / 3_600_000).toFixed(1)} simulated hours in ${((performance.now() - startedAt) / 1000).toFixed(0)} s`;
  const failures: { readonly story: Story; readonly broken: string }[] = [];
  await playAll(stories(), {
    threads,
    onPlayed: ({ story, broken, events, executions, simulatedMs }) => {
      sums.stories += 1;
      sums.events += events;
      sums.executions += executions;
      sums.simulatedMs += simulatedMs;
      if (broken !== null) failures.push({ story, broken });
      if (process.stderr.isTTY && sums.stories % 20 === 0) process.stderr.write(`\r${progress()}`);
      return broken === null;
    },
  });
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  process.stdout.write(`${progress()}\n`);
  for (const { story, broken } of failures)
    process.stdout.write(`seed ${story.seed}: ${broken}\n  ${commandOf(story)}\n`);
  return failures.length === 0;
}

try {
  const options = readOptions(process.argv.slice(2));
  if (options === null) process.stdout.write(usage);
  else {
    const isOne = options.from === options.to && options.verbose;
    const kept = isOne ? await readAloud(storyWith(options, options.from)) : await playMany(options);
    process.exitCode = kept ? 0 : 1;
  }
} catch (error) {
  if (!(error instanceof LockstepError) || error.code !== 'usage') throw error;
  process.stderr.write(`scripts/simulate: ${error.message}\n\n${usage}`);
  process.exitCode = 2;
}
