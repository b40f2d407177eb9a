/**
 * Runs a writer in a process of its own, which prints one line per thing that it was told is durable, and
 * ends it with `kill -9` in the middle. What was printed must be found afterwards.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** Lines printed before the kill. `script` is TypeScript with top-level await; `imports` name it absolute files. */
export async function linesUntilKilled(
  script: string,
  lineCount: number,
  lingerMs: number,
): Promise<string[]> {
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 30_000,
    killSignal: 'SIGKILL',
  });
  const lines: string[] = [];
  const ended = new Promise((resolve) => child.once('close', resolve));
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    // Some milliseconds more, so that the kill meets any phase of a write and not always the same one.
    if (lines.length === lineCount) setTimeout(() => child.kill('SIGKILL'), lingerMs);
  }
  await ended;
  return lines;
}

/** The absolute URL of a source file, for an import in a script. */
export const sourceUrl = (fromRoot: string): string => new URL(`../../../${fromRoot}`, import.meta.url).href;
