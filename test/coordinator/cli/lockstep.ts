/** The operator's commands as a program of their own, for tests that look at what a terminal or a pipe gets. */
import { Command } from 'commander';
import { registerCommands } from '../../../coordinator/cli/program.ts';

const program = new Command('lockstep');
registerCommands(program);
await program.parseAsync();
