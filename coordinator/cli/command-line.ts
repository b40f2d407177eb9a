/**
 * What the declarations of all commands have in common: shared options, examples in `--help`, and how words
 * of the command line become values. It is loaded at every start, so it loads nothing itself.
 */
import { Command, InvalidArgumentError, Option } from 'commander';
import { parseDuration } from '../../shared/pipeline/duration.ts';
import { conclude, exitCodesHelp } from './outcome.ts';

type OutputFormat = 'json' | 'jsonl' | 'wide';

/** `-o`, and how to find the coordinator. */
export function speaksToCoordinator(command: Command, formats: readonly OutputFormat[]): Command {
  const output = new Option('-o, --output <format>', 'another form of output, for programs').choices(formats);
  return findsCoordinator(command.addOption(output));
}

/** Where the coordinator is: before the command or after it. */
export function findsCoordinator(command: Command): Command {
  const elsewhere = 'a coordinator elsewhere; $LOCKSTEP_API_TOKEN is its token (default: $LOCKSTEP_URL)';
  const here = 'data folder of a coordinator on this machine (default: $LOCKSTEP_DATA)';
  return command
    .addOption(new Option('--url <url>', elsewhere).helpGroup('Coordinator:'))
    .addOption(new Option('--data <dir>', here).helpGroup('Coordinator:'));
}

/** Adds `--help`'s examples: pairs of a command line, without `lockstep`, and what it does. */
export function examples(command: Command, pairs: readonly (readonly [string, string])[]): Command {
  const width = Math.max(...pairs.map(([words]) => words.length));
  const lines = pairs.map(([words, effect]) => `  lockstep ${words.padEnd(width)}  ${effect}`.trimEnd());
  return command.addHelpText('after', `\nExamples:\n${lines.join('\n')}\n\n${exitCodesHelp}`);
}

/**
 * A command's action: what the file that it loads does, to its exit code. Options that were given before the
 * command reach it like its own.
 */
export const act =
  <Words extends unknown[]>(action: (...words: Words) => Promise<number>) =>
  (...words: Words): Promise<void> => {
    const command = words.at(-1);
    if (command instanceof Command) Object.assign(words.at(-2) ?? {}, command.optsWithGlobals());
    return conclude(() => action(...words));
  };

export function readCount(text: string): number {
  if (!/^[1-9][0-9]{0,8}$/.test(text)) throw new InvalidArgumentError('It is not a whole number from 1 on.');
  return Number(text);
}

export function readDuration(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined || ms === 0)
    throw new InvalidArgumentError('It is not a duration like 30s, 5m or 24h.');
  return ms;
}

/** The text stays as it is written, when it is a duration. */
export function checkDuration(text: string): string {
  readDuration(text);
  return text;
}

/** An option that may stand more than once. */
export const collect = (word: string, before: readonly string[] = []): string[] => [...before, word];
