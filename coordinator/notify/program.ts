/**
 * Runs a program on the coordinator's own host, with text on its standard input, within a bounded time. It gets
 * nothing of the coordinator's environment but what every program needs.
 */
import { spawn } from 'node:child_process';
import { messageOf } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import { type Delivered, delivered, failed } from './delivery.ts';

export type ProgramCall = {
  readonly file: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly input: string;
};

const inherited = ['PATH', 'HOME', 'LANG', 'LC_ALL', 'TZ'] as const;

/** Exit status 0 is a delivery; of anything else the end of what it complained is the reason. */
export function runProgram(call: ProgramCall, signal: AbortSignal): Promise<Delivered> {
  const environment: Record<string, string> = { ...call.environment };
  for (const name of inherited) {
    const value = process.env[name];
    if (value !== undefined) environment[name] = value;
  }
  return new Promise((resolve) => {
    // In a group of its own, so that what it has started goes with it.
    const child = spawn(call.file, [...call.args], {
      env: environment,
      cwd: '/',
      detached: true,
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    const kill = (): void => killGroup(child.pid);
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      kill();
    }, limits.deliveryWaitMs);
    signal.addEventListener('abort', kill, { once: true });
    let complaint = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaint = (complaint + text).slice(-limits.complaintLengthMax);
    });
    // One that does not read what it is told may be right; its exit status says so.
    child.stdin.on('error', () => {});
    child.stdin.end(call.input);
    const end = (result: Delivered): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', kill);
      resolve(result);
    };
    child.once('error', (error) => end(failed(`${call.file} cannot be started: ${messageOf(error)}`)));
    // Not `close`: what it left behind may keep its error output open.
    child.once('exit', (status, by) => {
      kill();
      child.stderr.destroy();
      if (status === 0) end(delivered);
      else end(failed(reasonOf(call.file, status, by, late, complaint)));
    });
  });
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // The group is gone already.
  }
}

function reasonOf(
  file: string,
  status: number | null,
  by: NodeJS.Signals | null,
  late: boolean,
  complaint: string,
): string {
  const last = complaint.trim().split('\n').at(-1) ?? '';
  const how = late
    ? `was not done within ${limits.deliveryWaitMs / 1_000} s`
    : status === null
      ? `was ended by ${by}`
      : `exited with ${status}`;
  return `${file} ${how}${last === '' ? '' : `: ${last}`}`;
}
