/**
 * Where an attempt lives on disk, under `<state>/attempts/`:
 *
 *   r17_configure_n1_2/      one attempt (`/` and `#` of its id become `_`, which no name may contain)
 *     stdout stderr          what all its executions printed, one after the other
 *     params.json            all inputs, for LOCKSTEP_PARAMS
 *     inputs/NAME/FILE       `file` inputs
 *     work/                  the working folder, with links to the files of the bundle
 *     2-run/                 one execution: claim, script, output
 *
 * Nothing here is fsynced; see supervisor.ts for why that is enough. An agent of another version adopts what is
 * here, so names, the lines of a claim and the heads of logs stay as they are; files may be added.
 */
import { readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { isMissing } from '../../shared/disk/durable-file.ts';
import type { StreamName } from '../../shared/messages.ts';
import type { Phase } from '../core/next-step.ts';

export type AttemptFolder = {
  readonly path: string;
  readonly work: string;
  readonly inputs: string;
  readonly paramsFile: string;
};

export function attemptFolder(attemptsFolder: string, attempt: string): AttemptFolder {
  const folder = path.join(attemptsFolder, attempt.replaceAll(/[/#]/g, '_'));
  return {
    path: folder,
    work: path.join(folder, 'work'),
    inputs: path.join(folder, 'inputs'),
    paramsFile: path.join(folder, 'params.json'),
  };
}

export const streamFile = (folder: AttemptFolder, stream: StreamName): string =>
  path.join(folder.path, stream);

export type ExecutionFolder = { readonly number: number; readonly phase: Phase; readonly path: string };

export function executionFolder(folder: AttemptFolder, number: number, phase: Phase): ExecutionFolder {
  return { number, phase, path: path.join(folder.path, `${number}-${phase}`) };
}

const executionName = /^([1-9][0-9]*)-(check|run|verify)$/;

/** By number. Early iterations may be missing. */
export function executionFolders(folder: AttemptFolder): ExecutionFolder[] {
  return namesIn(folder.path)
    .flatMap((name) => {
      const [, number, phase] = executionName.exec(name) ?? [];
      if (number === undefined) return [];
      return [
        executionFolder(folder, Number(number), phase === 'check' || phase === 'run' ? phase : 'verify'),
      ];
    })
    .sort((a, b) => a.number - b.number);
}

/** An iterated job may run for days: of each phase only the last two executions are kept. */
export function pruneExecutions(folder: AttemptFolder, number: number, phase: Phase): void {
  if (number <= 2) return;
  for (const old of executionFolders(folder)) {
    if (old.phase === phase && old.number < number - 1) removeTree(old.path);
  }
}

export function removeTree(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
}

export function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}
