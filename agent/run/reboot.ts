/**
 * Tells the host to reboot. The program is the operator's choice, else what the host has; what it says of a
 * failure is logged, and the core tells it again later.
 */
import { spawn } from 'node:child_process';
import { messageOf } from '../../shared/errors.ts';
import { basePath } from './base-environment.ts';

/** Null: never. */
export type RebootCommand = string | null;

const usual = 'systemctl reboot || reboot || busybox reboot -f';

/** `none` stands for never; only root can reboot a host, unless a command of its own is given. */
export function rebootCommandOf(given: string | undefined): RebootCommand {
  if (given !== undefined) return given === 'none' ? null : given;
  return process.getuid?.() === 0 ? usual : null;
}

/** In a session of its own: the agent may be ended before the command is done. */
export function rebootHost(command: string, note: (text: string) => void): void {
  const child = spawn('/bin/sh', ['-c', command], {
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: basePath },
  });
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(0, complaintLengthMax);
  });
  child.once('error', (error) => note(`cannot run "${command}": ${messageOf(error)}`));
  child.once('close', (status) => {
    if (status !== 0) note(`"${command}" ended with ${status ?? 'a signal'}: ${complaint.trim()}`);
  });
}

const complaintLengthMax = 1_024;
