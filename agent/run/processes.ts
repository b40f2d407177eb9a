/** Processes as /proc shows them. Each may vanish between two looks, so everything here may be absent. */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';

export type ProcessStat = {
  readonly state: string;
  readonly group: number;
  readonly session: number;
  /** Since boot, in clock ticks, which Linux fixes at 100 per second for user space. */
  readonly startTicks: number;
};

export const ticksPerSecond = 100;

const read = (file: string): string | undefined => {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    // ENOENT and ESRCH: it ended. EACCES and EPERM: it is not ours to look at, so not ours to end.
    return undefined;
  }
};

export function statOf(pid: number): ProcessStat | undefined {
  const text = read(`/proc/${pid}/stat`);
  if (text === undefined) return undefined;
  // The name stands in parentheses and may itself hold spaces and parentheses: fields count from the last one.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return {
    state: fields[0] ?? '',
    group: Number(fields[2]),
    session: Number(fields[3]),
    startTicks: Number(fields[19]),
  };
}

/** What the process was started with, NUL-terminated; it cannot hide it by changing its variables later. */
export const environmentOf = (pid: number): string | undefined => read(`/proc/${pid}/environ`);

export const argumentsOf = (pid: number): readonly string[] =>
  (read(`/proc/${pid}/cmdline`) ?? '').split('\0');

/** False for kernel threads, and for what has ended. */
export function hasProgram(pid: number): boolean {
  try {
    readlinkSync(`/proc/${pid}/exe`);
    return true;
  } catch {
    return false;
  }
}

export const processExists = (pid: number): boolean => existsSync(`/proc/${pid}`);

export const allPids = (): number[] =>
  readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name))
    .map(Number);

/** The pid that was given out last in this pid namespace, or undefined where the kernel does not say. */
export function lastPid(): number | undefined {
  const pid = Number(read('/proc/loadavg')?.trim().split(' ')[4]);
  return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined;
}

/** False when nothing was there to be signalled. */
export function signal(pid: number, name: 'SIGTERM' | 'SIGKILL' | 'SIGCONT'): boolean {
  try {
    process.kill(pid, name);
    return true;
  } catch {
    return false;
  }
}
