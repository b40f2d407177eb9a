/**
 * All commands of the operator, declared on the program that `lockstep` is. Declarations are light, because
 * every start pays for them; each action loads its own file.
 */
import { Argument, type Command } from 'commander';
import { act, examples, findsCoordinator } from './command-line.ts';
import { type Shell, shells } from './completion.ts';
import { registerNodeCommands } from './node-commands.ts';
import { registerNotifyCommands } from './notify-commands.ts';
import { exitCodes } from './outcome.ts';
import { registerProfileCommands } from './profile-commands.ts';
import { registerRunCommands } from './run-commands.ts';
import { registerTriggerCommands } from './trigger-commands.ts';

export function registerCommands(program: Command): void {
  // Commander would end with 1, which says here that a run failed. Commands inherit this when they are made.
  program.exitOverride(({ exitCode }) => {
    process.exit(exitCode === 0 ? exitCodes.done : exitCodes.usage);
  });
  program.configureOutput({
    outputError: (text, write) => write(text.replace(/^error: /, 'lockstep: ')),
  });
  program.showHelpAfterError('(`--help` after a command shows what it understands, with examples)');
  // Options of the program stand before the command; after it they are the command's own.
  findsCoordinator(program.enablePositionalOptions());
  registerRunCommands(program);
  registerNodeCommands(program);
  registerProfileCommands(program);
  registerTriggerCommands(program);
  registerNotifyCommands(program);
  const completion = program
    .command('completion')
    .summary('print shell completion')
    .description('Print what makes your shell complete commands and options.')
    .addArgument(new Argument('<shell>').choices(shells))
    .action(
      act(async (shell: Shell) => {
        const { formatCompletion } = await import('./completion.ts');
        process.stdout.write(formatCompletion(program, shell));
        return exitCodes.done;
      }),
    );
  examples(completion, [
    ['completion bash > /etc/bash_completion.d/lockstep', ''],
    ['completion zsh > "${fpath[1]}/_lockstep"', ''],
    ['completion fish > ~/.config/fish/completions/lockstep.fish', ''],
  ]);
}
