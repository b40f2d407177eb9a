/** Declares `lockstep profile`. What it does is in commands/profile.ts, loaded when it is asked for. */
import type { Command } from 'commander';
import { act, examples, speaksToCoordinator } from './command-line.ts';
import type { CommonOptions } from './session.ts';

export function registerProfileCommands(program: Command): void {
  const profile = program
    .command('profile')
    .summary('params for the nodes that they match')
    .description(
      'Give params to nodes by platform, site, other labels and roles. They stand above what a pipeline says and below what is kept for a cluster or node, or given to a run.',
    );
  examples(profile, [
    ['profile apply sites/*.yaml', ''],
    ['profile list', 'the one that wins first'],
    ['profile rm berlin', ''],
    ['params n1 --explain', 'which profile gave a value, and which lost'],
  ]);
  const apply = profile
    .command('apply')
    .description('Apply profiles; each takes the place of what it was.')
    .argument('<file...>', 'files of kind: profile');
  speaksToCoordinator(apply, ['json']).action(
    act(async (files: string[], options: CommonOptions) =>
      (await import('./commands/profile.ts')).apply(files, options),
    ),
  );
  const list = profile.command('list').description('List profiles, the one that wins first.');
  speaksToCoordinator(list, ['json']).action(
    act(async (options: CommonOptions) => (await import('./commands/profile.ts')).listed(options)),
  );
  const rm = profile
    .command('rm')
    .description('Take profiles away. Jobs that were granted keep what they have.')
    .argument('<name...>', 'see `profile list`');
  speaksToCoordinator(rm, ['json']).action(
    act(async (names: string[], options: CommonOptions) =>
      (await import('./commands/profile.ts')).remove(names, options),
    ),
  );
}
