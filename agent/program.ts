/**
 * The program `lockstep-agent`: from words to a running agent, from errors to exit codes. Expected errors are
 * one line on stderr; anything else is a bug and shows its stack.
 */
import { CommanderError } from 'commander';
import { explainDiskError } from '../shared/disk/durable-file.ts';
import { errorCodes, LockstepError } from '../shared/errors.ts';
import { runAgent } from './agent.ts';
import { commandLine } from './command-line.ts';
import { configure, type RunOptions } from './config.ts';
import { Discovery } from './discover/facts.ts';
import { formatFacts } from './facts-text.ts';
import { makeLogger } from './logger.ts';
import { ownCommand, ownWords, replaceProgram } from './upgrade/program.ts';
import { settleProgram } from './upgrade/settlement.ts';

const interrupted = 130;

async function run(version: string, options: RunOptions): Promise<void> {
  const config = configure(options, process.env);
  const stop = new AbortController();
  process.once('SIGTERM', () => stop.abort());
  process.once('SIGINT', () => {
    process.exitCode = interrupted;
    stop.abort();
  });
  const log = makeLogger(process.stdout);
  const { env: environment } = process;
  const { stateFolder } = config;
  const { signal } = stop;
  const onTrial = await settleProgram({ stateFolder, version, words: ownWords(), environment, log, signal });
  const leave = await runAgent({ config, version, log, environment, signal, onTrial });
  // Begins anew as itself, and tries the other version before anything else.
  if (leave === 'for-upgrade') replaceProgram(ownCommand(), environment);
}

async function showFacts({ output }: { readonly output: string }): Promise<void> {
  if (output !== 'json' && output !== 'text')
    throw new LockstepError('usage', `-o ${output} is not known; use -o json or -o text`);
  const facts = await new Discovery().full();
  process.stdout.write(`${output === 'json' ? JSON.stringify(facts) : formatFacts(facts).join('\n')}\n`);
}

function exitCodeOf(thrown: unknown): number {
  // commander has said what there was to say; help and version that were asked for are no errors.
  if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : errorCodes.usage.exitCode;
  const error = explainDiskError(thrown, 'cannot write to the state folder');
  if (!(error instanceof LockstepError)) throw error;
  process.stderr.write(`lockstep-agent: ${error.message}\n`);
  return errorCodes[error.code].exitCode;
}

export function runProgram(version: string): void {
  commandLine(version, { run: (options) => run(version, options), facts: showFacts })
    .parseAsync()
    .catch((error: unknown) => {
      process.exitCode = exitCodeOf(error);
    })
    // A job that goes on and a socket that says goodbye must not keep the process.
    .finally(() => process.exit());
}
