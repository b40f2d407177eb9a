/** Runs the program as a process of its own against a double, and tells all that came out of it. */
import { spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import type { CoordinatorDouble } from './coordinator-double.ts';

const root = resolve(import.meta.dirname, '../../..');
const program = join(root, 'coordinator/main.ts');
/** As scripts/lockstep does: half of a start is compiling. */
const compileCache = join(root, 'scripts/compile-cache.cjs');
const waitMs = 20_000;

export type Ended = { readonly exitCode: number | null; readonly stdout: string; readonly stderr: string };

export type Started = {
  readonly ended: Promise<Ended>;
  /** Everything on stdout so far. */
  readonly stdout: () => string;
  readonly interrupt: () => void;
};

export function start(
  words: readonly string[],
  environment: Readonly<Record<string, string>>,
  input?: string,
): Started {
  const child = spawn(process.execPath, ['--require', compileCache, program, ...words], {
    cwd: root,
    env: { PATH: process.env.PATH ?? '', HOME: '/nonexistent', TZ: 'UTC', ...environment },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  child.stdin.end(input ?? '');
  const timer = setTimeout(() => child.kill('SIGKILL'), waitMs);
  const ended = new Promise<Ended>((done) => {
    child.on('close', (exitCode) => {
      clearTimeout(timer);
      done({ exitCode, stdout, stderr });
    });
  });
  return { ended, stdout: () => stdout, interrupt: () => child.kill('SIGINT') };
}

export const environmentOf = ({ url, token }: CoordinatorDouble): Record<string, string> => ({
  LOCKSTEP_URL: url,
  LOCKSTEP_API_TOKEN: token,
});

export const lockstep = (double: CoordinatorDouble, ...words: string[]): Promise<Ended> =>
  start(words, environmentOf(double)).ended;
