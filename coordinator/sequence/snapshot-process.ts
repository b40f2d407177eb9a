/** Runs `lockstep snapshot` beside the coordinator and hears what it did. */
import { spawn } from 'node:child_process';
import { isSea } from 'node:sea';
import { LockstepError } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import { type SnapshotReport, snapshotReport } from './snapshot-writer.ts';

/** Undefined when there was nothing to do. Rejects when the process failed, was stopped or took too long. */
export function runSnapshotProcess(
  dataFolder: string,
  signal: AbortSignal,
): Promise<SnapshotReport | undefined> {
  // The single binary is its own program; from a source tree the runtime needs to be told which.
  const program = isSea() ? [] : [...process.execArgv, process.argv[1] ?? ''];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...program, 'snapshot', '--data', dataFolder], {
      stdio: ['ignore', 'pipe', 'pipe'],
      signal,
      timeout: limits.snapshotWaitMs,
      killSignal: 'SIGKILL',
    });
    const answer: string[] = [];
    let complaint = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => answer.push(text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaint = (complaint + text).slice(0, limits.complaintLengthMax);
    });
    child.once('error', reject);
    child.once('close', (code) => {
      if (code !== 0) {
        const how = code === null ? 'was stopped' : `ended with ${code}`;
        reject(new LockstepError('damaged', `the process that makes snapshots ${how}: ${complaint.trim()}`));
        return;
      }
      const text = answer.join('').trim();
      resolve(text === '' ? undefined : snapshotReport.parse(JSON.parse(text)));
    });
  });
}
