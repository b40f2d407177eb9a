/** Declares `lockstep rehearse`. It stands here because the command line itself is only a client and has no core. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { act, collect, examples, readCount, readDuration, speaksToCoordinator } from './cli/command-line.ts';
import { submits } from './cli/run-commands.ts';
import type { RehearseOptions } from './rehearsal/commands.ts';

function readShare(text: string): number {
  const percent = /^(\d{1,3}(?:\.\d{1,3})?)%$/.exec(text)?.[1];
  const share = percent === undefined ? Number.NaN : Number(percent) / 100;
  if (Number.isNaN(share) || share > 1)
    throw new InvalidArgumentError('It is not a percentage like 2% or 0.5%.');
  return share;
}

function readTime(text: string): number {
  const at = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)$/.test(text)
    ? Date.parse(text)
    : Number.NaN;
  if (Number.isNaN(at)) throw new InvalidArgumentError('It is not a time like 2026-03-02T22:00Z.');
  return at;
}

function readSeed(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('It is not a whole number.');
  return Number(text);
}

export function registerRehearsal(program: Command): void {
  program.commandsGroup('Pipelines and runs:');
  const rehearse = program
    .command('rehearse')
    .summary('play a pipeline on simulated nodes')
    .description(
      'Play a pipeline on simulated nodes, by the same rules as in earnest and with faults: the order, the waves, the worst that is down at once, about how long it takes, and what would happen. Nothing is run. Nodes are those of the cluster, or those of a file; how long steps take is known from earlier runs, or said. The same seed gives the same story.',
    )
    .argument('<file>', 'the pipeline, YAML')
    .option('--nodes <n>', 'on so many nodes, made after the ones that there are', readCount)
    .option('--nodes-file <path>', 'nodes described in a YAML file; needs no coordinator')
    .option('--fail <percent>', 'so many of the jobs fail', readShare, 0)
    .option('--unreachable <percent>', 'so many of the nodes are away all the time', readShare, 0)
    .option('--lose <percent>', 'so many of the jobs lose their link in the middle', readShare, 0)
    .addOption(new Option('--away <duration>', 'for so long').argParser(readDuration).default(600_000, '10m'))
    .option('--seed <n>', 'another number is another chance', readSeed, 1)
    .option('--at <time>', 'as if it began then (default: now); windows go by it', readTime)
    .option('--duration <step=time>', 'how long a step takes; may stand more than once', collect)
    .option('--step-output <step.name=value>', 'what a step puts out; may stand more than once', collect);
  submits(speaksToCoordinator(rehearse, ['json'])).action(
    act(async (file: string, options: RehearseOptions) =>
      (await import('./rehearsal/commands.ts')).rehearse(file, options),
    ),
  );
  rehearse.addHelpText(
    'after',
    `
A file of nodes:
  nodes:
    - name: hv
      count: 40
      labels: { use: hypervisor, rack: [r1, r2, r3, r4] }    # a list is dealt out in turn
      facts: { memory: { totalBytes: 68719476736 } }`,
  );
  examples(rehearse, [
    ['rehearse upgrade.yaml', 'on the nodes of the cluster, as they are'],
    ['rehearse upgrade.yaml --at 2026-03-02T22:00+01:00', 'how far it comes in its maintenance window'],
    ['rehearse upgrade.yaml --nodes 200 --fail 2% --unreachable 15% --seed 7', ''],
    [
      'rehearse upgrade.yaml --nodes-file planned.yaml --duration kernel=6m',
      'on nodes that do not exist yet',
    ],
  ]);
}
