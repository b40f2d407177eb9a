/** Disks that fail for real: a file whose fsync fails, and a file system without space. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';

/**
 * From now on the open file at `path` takes any write and fails every fsync: its descriptor becomes one of
 * /dev/null, because the kernel gives the lowest free number.
 */
export function breakFsync(path: string): void {
  const descriptor = fs
    .readdirSync('/proc/self/fd')
    .map(Number)
    .find((number) => linkOf(number) === path);
  if (descriptor === undefined) throw new Error(`${path} is not open`);
  fs.closeSync(descriptor);
  if (fs.openSync('/dev/null', 'r+') !== descriptor) throw new Error('another descriptor was free');
}

function linkOf(descriptor: number): string | undefined {
  try {
    return fs.readlinkSync(`/proc/self/fd/${descriptor}`);
  } catch {
    return undefined;
  }
}

/**
 * Runs a script with a file system of 1 MiB at `mountPoint`, which nobody else sees and which is gone with it,
 * and gives what it printed as JSON.
 */
export function onSmallDisk(mountPoint: string, script: string): unknown {
  const privileges = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  const mounted = ['sh', '-c', 'mount -t tmpfs -o size=1m tmpfs "$0" && exec "$@"', mountPoint];
  const program = [process.execPath, '--input-type=module-typescript', '-e', script];
  const { status, stdout, stderr } = spawnSync(
    'unshare',
    [...privileges, '--mount', ...mounted, ...program],
    {
      encoding: 'utf8',
      timeout: 30_000,
    },
  );
  if (status !== 0) throw new Error(`the script on a small disk failed: ${stderr}`);
  return JSON.parse(stdout);
}
