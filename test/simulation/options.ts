/** What `scripts/simulate` can be told. */
import { parseArgs } from 'node:util';
import { LockstepError, messageOf } from '../../shared/errors.ts';
import { type Story, storyOf } from './cluster.ts';

export type Options = {
  readonly from: number;
  /** Null: until the time is over. */
  readonly to: number | null;
  readonly nodes: number | null;
  readonly minutes: number | null;
  readonly forMs: number | null;
  readonly threads: number;
  readonly verbose: boolean;
};

export const usage = `scripts/simulate: plays whole clusters from seeds and checks every promise

  --seed N          one story
  --seeds A..B      these stories (default: 1..100)
  --for TIME        stories from --seed on, or from 1, until the time is over or Ctrl-C
  --nodes M         with so many nodes (default: what the seed says, 3 to 8)
  --minutes T       with trouble for so many simulated minutes (default: what the seed says, 2 to 16)
  --threads N       at once (default: 2)
  -v, --verbose     print what happens, one line each, with the simulated time in seconds

Examples:
  scripts/simulate --seeds 1..2000
  scripts/simulate --seed 157 --nodes 6 -v | less
  scripts/simulate --for 10m --seed 100000

Exit status: 0 every promise was kept, 1 one was broken, 2 wrong use.
`;

const seedMax = 4_294_967_295;
const nodesMax = 100;
const minutesMax = 24 * 60;
const threadsMax = 64;

/** Throws `usage`; null when only help was asked for. */
export function readOptions(words: readonly string[]): Options | null {
  const values = parse(words);
  if (values.help === true) return null;
  const forMs = values.for === undefined ? null : readTime(values.for);
  const [from, to] =
    values.seeds === undefined ? readSeed(values.seed, forMs !== null) : readSeeds(values.seeds);
  if (values.seeds !== undefined && values.seed !== undefined)
    throw new LockstepError('usage', 'give --seed or --seeds, not both');
  return {
    from,
    to,
    forMs,
    nodes: values.nodes === undefined ? null : readCount('--nodes', values.nodes, nodesMax),
    minutes: values.minutes === undefined ? null : readCount('--minutes', values.minutes, minutesMax),
    threads: readCount('--threads', values.threads, threadsMax),
    verbose: values.verbose,
  };
}

/** The shortest that plays it again. */
export function commandOf({ seed, nodes, minutes }: Story): string {
  const usual = storyOf(seed);
  const more = [
    ...(nodes === usual.nodes ? [] : [` --nodes ${nodes}`]),
    ...(minutes === usual.minutes ? [] : [` --minutes ${minutes}`]),
  ];
  return `scripts/simulate --seed ${seed}${more.join('')} -v`;
}

function parse(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      options: {
        seed: { type: 'string' },
        seeds: { type: 'string' },
        for: { type: 'string' },
        nodes: { type: 'string' },
        minutes: { type: 'string' },
        threads: { type: 'string', default: '2' },
        verbose: { type: 'boolean', short: 'v', default: false },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    throw new LockstepError('usage', messageOf(error), { cause: error });
  }
}

function readSeed(text: string | undefined, isEndless: boolean): readonly [number, number | null] {
  if (text === undefined) return [1, isEndless ? null : 100];
  const seed = readCount('--seed', text, seedMax);
  return [seed, isEndless ? null : seed];
}

function readSeeds(text: string): readonly [number, number] {
  const [, first, last] = /^([0-9]+)\.\.([0-9]+)$/.exec(text) ?? [];
  if (first === undefined || last === undefined || Number(first) > Number(last))
    throw new LockstepError('usage', `--seeds ${text}: give the first and the last, such as 1..500`);
  return [readCount('--seeds', first, seedMax), readCount('--seeds', last, seedMax)];
}

function readTime(text: string): number {
  const [, count, unit] = /^([1-9][0-9]{0,5})(s|m|h)$/.exec(text) ?? [];
  const ms = { s: 1_000, m: 60_000, h: 3_600_000 };
  if (count !== undefined && (unit === 's' || unit === 'm' || unit === 'h')) return Number(count) * ms[unit];
  throw new LockstepError('usage', `--for ${text}: give a time, such as 30s, 10m or 2h`);
}

function readCount(flag: string, text: string, max: number): number {
  const count = /^[1-9][0-9]{0,9}$/.test(text) ? Number(text) : Number.NaN;
  if (count <= max) return count;
  throw new LockstepError('usage', `${flag} ${text}: give a whole number from 1 to ${max}`);
}
