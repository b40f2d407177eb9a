/**
 * One boot of the host: boot id plus the start of PID 1, so that a container or a test host which is started
 * anew on a running kernel counts as rebooted too.
 */
import { readFileSync } from 'node:fs';

export function readBootInstance(): string {
  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const stat = readFileSync('/proc/1/stat', 'latin1');
  const startTicks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '0';
  return `${bootId}:${startTicks}`;
}
