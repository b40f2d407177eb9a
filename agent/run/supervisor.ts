/**
 * The supervisor: a few lines of POSIX sh (dash, busybox, bash) between agent and script, so that a script
 * runs at most once and keeps its exit status although the agent may die at any moment.
 *
 * It first creates the claim, which fails if anybody did before: a supervisor that lost runs nothing. Its
 * lines then tell who runs and how it ended; a line counts only when its newline is there. The script leads
 * a session of its own, so that it can be ended with all its process groups while the supervisor, in another
 * one, lives to record the status. The subshell reads its own pid from /proc (`$$` is its parent's) and
 * replaces itself, so the pid is on disk before the script's first instruction. Not `&` and `wait`: a shell
 * without job control starts background commands with SIGINT ignored for good.
 *
 * Nothing here is fsynced. It needs not be: after a change of boot instance the agent reports `interrupted`
 * for every attempt that had begun, whatever the claim says; within one boot the page cache keeps what was
 * written, and kernel and disk agree. One `sync` process per job would cost more than the whole supervisor.
 */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { errnoOf, isMissing, privateFileMode } from '../../shared/disk/durable-file.ts';

/** `sh -c` with the folder of the execution, then the command. Its own complaints go nowhere: they are not the script's. */
export const supervisorScript = `set -C
exec 4>&2 2>/dev/null 3>"$1/claim" || exit 1
shift
echo "supervisor $$" >&3
(
read -r main rest </proc/self/stat
echo "main $main" >&3
exec setsid "$@" 2>&4 3>&- 4>&-
)
echo "exit $?" >&3
`;

export const supervisorName = 'lockstep-supervisor';

export type Claim =
  | { readonly kind: 'unclaimed' }
  /** By an agent that recovered: nothing was executed, nothing will be. */
  | { readonly kind: 'void' }
  /** Undefined while the supervisor is about to say it, or died before. */
  | {
      readonly kind: 'supervised';
      readonly supervisor: number | undefined;
      readonly main: number | undefined;
      readonly status: number | undefined;
    };

const claimFile = (folder: string): string => path.join(folder, 'claim');
const voidLine = 'void\n';

export function readClaim(folder: string): Claim {
  let text: string;
  try {
    text = readFileSync(claimFile(folder), 'latin1');
  } catch (error) {
    if (isMissing(error)) return { kind: 'unclaimed' };
    throw error;
  }
  if (text === voidLine) return { kind: 'void' };
  const numberAfter = (word: string): number | undefined => {
    const found = new RegExp(`^${word} ([0-9]+)\n`, 'm').exec(text)?.[1];
    return found === undefined ? undefined : Number(found);
  };
  return {
    kind: 'supervised',
    supervisor: numberAfter('supervisor'),
    main: numberAfter('main'),
    status: numberAfter('exit'),
  };
}

/**
 * Races a supervisor that may still come to life for the right to decide: true when nothing was run and nothing
 * can be any more. A folder that is gone proves nothing: the script may have removed it.
 */
export function voidClaim(folder: string): boolean {
  let descriptor: number;
  try {
    descriptor = openSync(claimFile(folder), 'wx', privateFileMode);
  } catch (error) {
    if (isMissing(error)) return false;
    if (errnoOf(error) === 'EEXIST') return readClaim(folder).kind === 'void';
    throw error;
  }
  try {
    writeSync(descriptor, voidLine);
  } finally {
    closeSync(descriptor);
  }
  return true;
}
