/** What the benchmark can be told. */
import { parseArgs } from 'node:util';
import { LockstepError, messageOf } from '../../shared/errors.ts';

export type Options = {
  readonly output: 'table' | 'json';
  readonly jsonFile: string | null;
  readonly agents: readonly number[];
  readonly realAgents: number;
  readonly returning: number;
  readonly quick: boolean;
  readonly folder: string;
  readonly profileFolder: string | null;
};

export const usage = `scripts/bench: measures this tree against its budgets, on this machine and loopback only

  -o, --output table|json   what to print (default: table)
  --json FILE               write the figures as JSON, too
  --agents N,N,…            numbers of simulated agents, ascending (default: 10,100,1000)
  --real N                  number of real agents (default: 8)
  --returning N             number of agents that come back after a kill (default: 10000; with --quick 1000)
  --quick                   a tenth of the jobs: to see whether it works, not to judge
  --folder DIR              where data is while it runs: a disk, not memory (default: /var/tmp)
  --profile DIR             write CPU profiles of coordinator and agent, and print what is hot in them

Exit status: 0 every budget was met, 1 one was missed, 2 wrong use or nothing could be measured.
`;

const agentsMax = 10_000;

/** Throws `usage`; null when only help was asked for. */
export function readOptions(words: readonly string[]): Options | null {
  const values = parse(words);
  if (values.help === true) return null;
  if (values.output !== 'table' && values.output !== 'json') {
    throw new LockstepError('usage', `--output ${values.output}: give table or json`);
  }
  const agents = values.agents.split(',').map((text) => readCount('--agents', text, agentsMax));
  if (agents.some((count, index) => count <= (agents[index - 1] ?? 0))) {
    throw new LockstepError(
      'usage',
      `--agents ${values.agents}: give ascending numbers, such as 10,100,1000`,
    );
  }
  return {
    output: values.output,
    jsonFile: values.json ?? null,
    agents,
    realAgents: readCount('--real', values.real, 100),
    returning: readCount('--returning', values.returning ?? (values.quick ? '1000' : '10000'), agentsMax),
    quick: values.quick,
    folder: values.folder,
    profileFolder: values.profile ?? null,
  };
}

function parse(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      options: {
        output: { type: 'string', short: 'o', default: 'table' },
        json: { type: 'string' },
        agents: { type: 'string', default: '10,100,1000' },
        real: { type: 'string', default: '8' },
        returning: { type: 'string' },
        quick: { type: 'boolean', default: false },
        folder: { type: 'string', default: '/var/tmp' },
        profile: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    throw new LockstepError('usage', messageOf(error), { cause: error });
  }
}

function readCount(flag: string, text: string, max: number): number {
  const count = /^[1-9][0-9]{0,5}$/.test(text) ? Number(text) : Number.NaN;
  if (count <= max) return count;
  throw new LockstepError('usage', `${flag} ${text}: give a whole number from 1 to ${max}`);
}
