/** The program that this process is, and how it becomes another one under the same pid, for whoever started it. */
import { isSea } from 'node:sea';

/** In the environment of a version that the installed program has handed over to: its digest. */
export const handedOverVariable = 'LOCKSTEP_HANDED_OVER';

/** The words after the program. */
export const ownWords = (): readonly string[] => process.argv.slice(2);

/** This very program with all its words; a single binary is its own, from a source tree the runtime is told which. */
export function ownCommand(): readonly [string, ...string[]] {
  const main = isSea() ? [] : [...process.execArgv, process.argv[1] ?? ''];
  return [process.execPath, ...main, ...ownWords()];
}

/**
 * Never comes back: when the kernel refuses, the process ends. Files other than the first three are closed, and with
 * them locks and links. (Node warns that this is experimental in the next tick, which does not come.)
 */
export function replaceProgram(
  command: readonly [string, ...string[]],
  environment: NodeJS.ProcessEnv,
): never {
  const [program] = command;
  if (process.execve === undefined) throw new Error('this runtime cannot replace its program');
  return process.execve(program, [...command], environment);
}
