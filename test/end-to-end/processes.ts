/**
 * Processes that tests start and watch, on the machine or (through hosts.ts) on a test host: run to the end,
 * wait for a line, end by signal. Every wait is bounded. Namespaces and hosts do not belong here.
 */
import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { present } from '../../shared/assert.ts';

export const waitMsMax = 20_000;
/** For a coordinator to take over its data, also while hosts on the same machine start and stop. */
export const startMsMax = 120_000;
const execMsDefault = 30_000;
const outputBytesMax = 16 * 1024 * 1024;

/** What a command came to. `status` is null when a signal ended it. */
export type Completed = { readonly status: number | null; readonly stdout: string; readonly stderr: string };

export type ExecOptions = {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  readonly timeoutMs?: number;
};

/** A process that goes on running. */
export type StartedProcess = {
  readonly child: ChildProcessByStdio<null, Readable, Readable>;
  /** Everything that it printed so far, both streams. */
  readonly output: () => string;
  /** Resolves when `pattern` has appeared in the output; rejects when the process ends before, or in time. */
  readonly printed: (pattern: RegExp, withinMs?: number) => Promise<RegExpExecArray>;
};

/** The children of a process that are alive, by the machine's process ids, whatever namespace they are in. */
function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
      .trim()
      .split(' ')
      .filter(Boolean)
      .map(Number);
  } catch {
    return [];
  }
}

/** The child that a tool like nsenter or unshare has forked to run a command in other namespaces. */
export const onlyChildOf = (pid: number): number | undefined => childrenOf(pid)[0];

/** Ends a process with all that it has started, so that nobody keeps its output open. */
function killTree(pid: number): void {
  for (const child of childrenOf(pid)) killTree(child);
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended in the meantime.
  }
}

export const hasEnded = (child: ChildProcess): boolean =>
  child.exitCode !== null || child.signalCode !== null;

export async function waitForEnd(child: ChildProcess, what: string): Promise<void> {
  if (hasEnded(child)) return;
  const signal = AbortSignal.timeout(waitMsMax);
  await once(child, 'exit', { signal }).catch((cause: unknown) => {
    throw new Error(`${what} has not ended within ${waitMsMax} ms`, { cause });
  });
}

/**
 * tap slips options of its own into the environment of every child, and the programs under test would hand
 * them on to theirs. `env` takes them out and becomes the command, under the same pid.
 */
const withoutTap = (argv: readonly string[]): readonly string[] => ['-u', 'NODE_OPTIONS', ...argv];

/** Starts a command and gives what it prints, as it comes. */
export function start(argv: readonly string[], env: NodeJS.ProcessEnv): StartedProcess {
  const child = spawn('env', withoutTap(argv), {
    cwd: '/',
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const listeners = new Set<() => void>();
  const tell = () => {
    for (const listener of listeners) listener();
  };
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-outputBytesMax);
      tell();
    });
  }
  child.once('close', tell);
  const printed = (pattern: RegExp, withinMs = waitMsMax): Promise<RegExpExecArray> =>
    new Promise((fulfil, reject) => {
      const finish = (settle: () => void) => {
        clearTimeout(timer);
        listeners.delete(look);
        settle();
      };
      const fail = (why: string) =>
        finish(() => reject(new Error(`${argv.join(' ')}: ${why} before it printed ${pattern}:\n${output}`)));
      const look = () => {
        const match = pattern.exec(output);
        if (match !== null) finish(() => fulfil(match));
        else if (hasEnded(child)) fail(`ended (${child.exitCode ?? child.signalCode})`);
      };
      const timer = setTimeout(() => fail(`${withinMs} ms passed`), withinMs);
      listeners.add(look);
      look();
    });
  return { child, output: () => output, printed };
}

/** Runs a command to its end, whatever its status. Throws when it does not end in time or cannot be started. */
export async function complete(argv: readonly string[], options: ExecOptions): Promise<Completed> {
  const child = spawn('env', withoutTap(argv), { cwd: '/', env: { ...options.env } });
  const timeoutMs = options.timeoutMs ?? execMsDefault;
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    killTree(present(child.pid, 'pid of a running process'));
  }, timeoutMs);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout = (stdout + text).slice(-outputBytesMax);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-outputBytesMax);
  });
  // A command may end without reading its input.
  child.stdin.on('error', () => {}).end(options.input ?? '');
  await once(child, 'close').finally(() => clearTimeout(timer));
  if (late) throw new Error(`${argv.join(' ')} has not ended within ${timeoutMs} ms:\n${stdout}${stderr}`);
  return { status: child.exitCode, stdout, stderr };
}

/** Waits until `condition` gives a value, asking every `everyMs`; an error that names `what` when it never does. */
export async function eventually<T>(
  what: string,
  condition: () => Promise<T | undefined>,
  { withinMs = waitMsMax, everyMs = 50 }: { withinMs?: number; everyMs?: number } = {},
): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const value = await condition();
    if (value !== undefined) return value;
    if (performance.now() > deadline) throw new Error(`waited ${withinMs} ms in vain for ${what}`);
    await delay(everyMs);
  }
}

/** A port of this machine that nobody had a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((fulfil, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => fulfil(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
