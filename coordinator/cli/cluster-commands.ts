/** Declares the commands about clusters. What they do is in commands/clusters.ts, loaded when it is asked for. */
import type { Command } from 'commander';
import { act, examples, speaksToCoordinator } from './command-line.ts';
import type { ClusterOptions } from './commands/clusters.ts';
import type { CommonOptions } from './session.ts';

export function registerClusterCommands(program: Command): void {
  const clusters = program
    .command('clusters')
    .summary('list clusters')
    .description('List clusters: how many of their nodes are unavailable, why, and how many may be.');
  speaksToCoordinator(clusters, ['json']).action(
    act(async (options: CommonOptions) => (await import('./commands/clusters.ts')).listed(options)),
  );
  examples(clusters, [['clusters -o json', '']]);

  const cluster = program
    .command('cluster')
    .summary('set the disruption budget of a cluster')
    .description('Say how many nodes of a cluster may be unavailable at once.');
  const set = cluster
    .command('set')
    .description(
      'Give no slot that would take more nodes of the cluster out of service: whatever run, operator or accident they are unavailable by.',
    )
    .argument('<name>', 'the cluster')
    .requiredOption(
      '--max-unavailable <amount>',
      'a number of nodes, a percentage (rounded down, at least one), or none',
    );
  speaksToCoordinator(set, ['json']).action(
    act(async (name: string, options: ClusterOptions) =>
      (await import('./commands/clusters.ts')).set(name, options),
    ),
  );
  examples(cluster, [
    ['cluster set default --max-unavailable 10%', ''],
    ['cluster set prod --max-unavailable 0', 'no rolling step begins on any node'],
    ['cluster set prod --max-unavailable none', 'only what pipelines say counts'],
  ]);
}
