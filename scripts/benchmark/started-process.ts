/** A program of this tree that runs while it is measured, and how it is ended. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { present } from '../../shared/assert.ts';

const startMsMax = 30_000;
/** Long enough to write a CPU profile. */
const endMsMax = 20_000;
const outputLengthMax = 64 * 1024;

export const root = join(import.meta.dirname, '../..');

const running = new Set<StartedProcess>();

/** For when the benchmark is interrupted: nothing that it started may outlive it. */
export async function endAllStarted(): Promise<void> {
  await Promise.all([...running].map((started) => started.end()));
}

export class StartedProcess {
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #what: string;
  #output = '';
  #look: () => void = () => undefined;

  /** `program` is a launcher in scripts/, which becomes the program itself, so that the pid is the program's. */
  constructor(program: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}) {
    this.#what = `${program} ${args[0] ?? ''}`.trim();
    this.#child = spawn(join(root, 'scripts', program), args, {
      env: { PATH: process.env.PATH, HOME: process.env.HOME, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.pid = present(this.#child.pid, `pid of ${this.#what}`);
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output = (this.#output + text).slice(-outputLengthMax);
        this.#look();
      });
    }
    running.add(this);
    this.#child.on('exit', () => {
      running.delete(this);
      this.#look();
    });
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  checkRunning(): void {
    if (this.hasEnded) throw new Error(`${this.#what} has ended:\n${this.#output}`);
  }

  /** The first group of a pattern, once it was printed. */
  async printed(pattern: RegExp): Promise<string> {
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void) => {
        clearTimeout(timer);
        this.#look = () => undefined;
        settle();
      };
      const fail = (why: string) =>
        finish(() =>
          reject(new Error(`${this.#what} ${why} before it printed ${pattern}:\n${this.#output}`)),
        );
      const timer = setTimeout(() => fail(`went on for ${startMsMax} ms`), startMsMax);
      this.#look = () => {
        const found = pattern.exec(this.#output);
        if (found !== null) finish(() => resolve(found[1] ?? ''));
        else if (this.hasEnded) fail('ended');
      };
      this.#look();
    });
  }

  /** Without a chance to say good-bye. */
  async kill(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }

  async end(): Promise<void> {
    if (this.hasEnded) return;
    const ended = once(this.#child, 'exit');
    const kill = setTimeout(() => this.#child.kill('SIGKILL'), endMsMax);
    this.#child.kill('SIGTERM');
    await ended;
    clearTimeout(kill);
  }
}

/** Environment that makes a Node process write a CPU profile into the folder when it ends. */
export const profiling = (folder: string | null): NodeJS.ProcessEnv =>
  folder === null ? {} : { NODE_OPTIONS: `--cpu-prof --cpu-prof-interval=500 --cpu-prof-dir=${folder}` };
