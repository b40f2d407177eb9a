/**
 * How a command ends: its exit code, and what is said when it could not do what was asked. The codes are
 * part of the contract with scripts and stand in every `--help`.
 */
import { assertNever } from '../../shared/assert.ts';
import { formatDiagnostic } from '../../shared/diagnostic.ts';
import { errorCodes, LockstepError } from '../../shared/errors.ts';
import { inLocalTime } from './render/measures.ts';
import type { RunState } from './resources.ts';

export const exitCodes = {
  done: 0,
  failed: 1,
  usage: 2,
  unreachable: 3,
  held: 4,
  /** A fault of the program itself, as sysexits.h has it; never a statement about a run. */
  bug: 70,
  interrupted: 130,
} as const;

export const exitCodesHelp = `Exit codes: 0 done, 1 the run failed, 2 wrong use or invalid file, 3 the coordinator
cannot be reached, 4 held for a decision, 130 interrupted (the run goes on).`;

/** What a run's state means to whoever waits for it; `undefined` while it still goes on by itself. */
export function exitCodeOfRun(state: RunState): number | undefined {
  switch (state) {
    case 'queued':
    case 'running':
    case 'paused':
    case 'cancelling':
      return undefined;
    case 'waiting-for-approval':
    case 'held':
      return exitCodes.held;
    case 'succeeded':
    case 'succeeded-with-deferred':
      return exitCodes.done;
    case 'failed':
    case 'cancelled':
      return exitCodes.failed;
    default:
      return assertNever(state);
  }
}

/** Every fault that a rejected file has, then the message that sums them up. */
function formatFailure(error: LockstepError): string {
  return [...error.diagnostics.map(formatDiagnostic), `lockstep: ${inLocalTime(error.message)}`].join('\n');
}

/** Runs a command's action to its exit code. Expected errors are told without a stack; bugs keep theirs. */
export async function conclude(action: () => Promise<number | undefined>): Promise<void> {
  // A reader that has seen enough (`lockstep runs | head -1`) is no error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(exitCodes.done);
    throw error;
  });
  try {
    process.exitCode = (await action()) ?? exitCodes.done;
  } catch (error) {
    if (error instanceof LockstepError) {
      process.stderr.write(`${formatFailure(error)}\n`);
      process.exitCode = errorCodes[error.code].exitCode;
    } else {
      const trace = error instanceof Error ? (error.stack ?? error.message) : String(error);
      process.stderr.write(`lockstep: this is a fault in lockstep itself, please report it:\n${trace}\n`);
      process.exitCode = exitCodes.bug;
    }
  }
}
