/**
 * The processes of one execution: those in the session of its main process, and those that ran away from it
 * but still carry its environment (attempt id and params file, which together name one attempt of one
 * state folder on one host). Finding them must cost next to nothing for a job that leaves nothing.
 *
 * A process that both leaves the session and clears its environment is not found: only a cgroup would hold it.
 */
import { uptime } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { limits } from '../../shared/limits.ts';
import {
  allPids,
  environmentOf,
  hasProgram,
  lastPid,
  processExists,
  signal,
  statOf,
  ticksPerSecond,
} from './processes.ts';

export type ScopeMarks = { readonly attempt: string; readonly paramsFile: string };

export type Scope = {
  readonly marks: ScopeMarks;
  /** Undefined when nobody can tell any more: the claim is gone with its folder. */
  readonly supervisor: number | undefined;
  readonly main: number | undefined;
  /**
   * Of the supervisor, in ticks since boot; undefined after a recovery. Then the numbers may have been given
   * to others meanwhile, and only the environment proves that a process belongs here.
   */
  readonly startTicks: number | undefined;
};

/** To be asked before the supervisor is started: everything in its scope is at least this young. */
export const ticksNow = (): number => Math.floor(uptime() * ticksPerSecond) - 1;

/** The living members, without the supervisor. */
function membersOf(scope: Scope): number[] {
  return candidatesOf(scope).filter((pid) => belongs(scope, pid) === true);
}

/** The same, but nobody is not the answer while it cannot be told of somebody. */
async function settledMembersOf(scope: Scope): Promise<number[]> {
  for (let looks = 1; ; looks += 1) {
    const judged = candidatesOf(scope).map((pid) => ({ pid, belongs: belongs(scope, pid) }));
    const members = judged.filter((one) => one.belongs === true).map(({ pid }) => pid);
    const isSettled = members.length > 0 || judged.every((one) => one.belongs === false);
    if (isSettled || looks >= limits.scopeLooksMax) return members;
    await sleep(limits.scopeLookMs);
  }
}

/**
 * Soon after the start, pids given out since then are few and form a range that ends at the last pid given
 * out, so a job that forked nothing is done without listing /proc. The range may wrap around; later, pids may
 * have gone round more than once, and all processes are looked at.
 */
function candidatesOf({ supervisor, startTicks }: Scope): number[] {
  if (
    supervisor === undefined ||
    startTicks === undefined ||
    (ticksNow() - startTicks) * (1000 / ticksPerSecond) > limits.scopeQuickScanMs
  ) {
    return allPids();
  }
  const last = lastPid();
  if (last === undefined || last < supervisor || last - supervisor > limits.scopeQuickScanPidsMax)
    return allPids();
  const range = Array.from({ length: last - supervisor }, (_, index) => supervisor + 1 + index);
  return range.filter(processExists);
}

/**
 * Undefined when it cannot be told now: a process that replaces its program has no environment for a moment.
 * One that cleared it looks the same for good, and kernel threads have neither environment nor program.
 */
function belongs(scope: Scope, pid: number): boolean | undefined {
  if (pid === scope.supervisor || pid === process.pid) return false;
  const stat = statOf(pid);
  if (stat === undefined || stat.state === 'Z' || stat.state === 'X') return false;
  if (scope.startTicks !== undefined) {
    if (stat.startTicks < scope.startTicks) return false;
    if (scope.main !== undefined && (stat.session === scope.main || stat.group === scope.main)) return true;
  }
  const environment = environmentOf(pid);
  if (environment === undefined) return false;
  if (environment === '') return hasProgram(pid) ? undefined : false;
  return carries(scope.marks, environment);
}

function carries({ attempt, paramsFile }: ScopeMarks, environment: string): boolean {
  const whole = `\0${environment}`;
  return (
    whole.includes(`\0LOCKSTEP_ATTEMPT=${attempt}\0`) && whole.includes(`\0LOCKSTEP_PARAMS=${paramsFile}\0`)
  );
}

/**
 * TERM, then KILL after the grace, to all members and whatever they start meanwhile. Resolves to the pids
 * that even KILL did not end within its bound (processes stuck in the kernel).
 */
export async function endScope(scope: Scope, graceMs: number): Promise<readonly number[]> {
  let members = await settledMembersOf(scope);
  if (members.length === 0) return [];
  for (const pid of members) {
    signal(pid, 'SIGTERM');
    // A stopped process would sit on its TERM until the grace is over.
    signal(pid, 'SIGCONT');
  }
  const graceEnds = performance.now() + graceMs;
  while (performance.now() < graceEnds) {
    await sleep(limits.scopePollMs);
    if (members.some(isAlive)) continue;
    members = await settledMembersOf(scope);
    if (members.length === 0) return [];
    for (const pid of members) signal(pid, 'SIGTERM');
  }
  // Something that forks faster than it is killed is caught up with by sweeping again, within a bound.
  for (let sweep = 0; sweep < limits.scopeSweepsMax; sweep += 1) {
    members = membersOf(scope);
    if (members.length === 0) return [];
    for (const pid of members) signal(pid, 'SIGKILL');
    await sleep(limits.scopePollMs);
  }
  return membersOf(scope);
}

function isAlive(pid: number): boolean {
  const state = statOf(pid)?.state;
  return state !== undefined && state !== 'Z' && state !== 'X';
}
