/**
 * Which execution was begun last, outside of the attempt's own folder: a script may remove that folder with
 * everything that tells of it, and the next agent process must not take it for an attempt that never began. Not
 * fsynced, for the reason that supervisor.ts gives: it is only believed within the boot that wrote it.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { isMissing, privateFileMode } from '../../shared/disk/durable-file.ts';
import type { Phase } from '../core/next-step.ts';

export type ExecutionNote = { readonly attempt: string; readonly number: number; readonly phase: Phase };

const pattern = /^(\S+) ([1-9][0-9]*) (check|run|verify)\n$/;

/** To be called when the execution's folder exists and nothing was spawned yet. */
export function noteExecution(file: string, { attempt, number, phase }: ExecutionNote): void {
  writeFileSync(file, `${attempt} ${number} ${phase}\n`, { mode: privateFileMode });
}

/** Undefined when none was noted, or the note was being written when the process ended: then nothing was spawned. */
export function readExecutionNote(file: string): ExecutionNote | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  const [, attempt, number, phase] = pattern.exec(text) ?? [];
  if (attempt === undefined) return undefined;
  return {
    attempt,
    number: Number(number),
    phase: phase === 'check' || phase === 'run' ? phase : 'verify',
  };
}
