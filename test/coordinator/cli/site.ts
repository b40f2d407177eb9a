/** A coordinator and agents as real processes on loopback, for tests that work as an operator does. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Ended, start } from './command.ts';

const root = resolve(import.meta.dirname, '../../..');
const waitMs = 30_000;

export async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + waitMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((next) => setTimeout(next, 50));
  }
}

export class Site {
  readonly folder: string;
  readonly #processes: ChildProcess[] = [];

  constructor(folder: string) {
    this.folder = folder;
  }

  get data(): string {
    return join(this.folder, 'data');
  }

  async open(): Promise<void> {
    this.#start('coordinator/main.ts', ['coordinator', '--data', this.data, '--listen', '127.0.0.1:0'], {});
    await until('the coordinator', async () => existsSync(join(this.data, 'operator.json')) || undefined);
  }

  /** Starts an agent; it has joined when `nodes` shows it. */
  join(name: string, token: string, url: string, labels: readonly string[]): void {
    const words = ['run', '--coordinator', url, '--state', join(this.folder, name), '--name', name];
    for (const label of labels) words.push('--label', label);
    this.#start('agent/main.ts', words, { LOCKSTEP_TOKEN: token });
  }

  /** One command of the operator on the coordinator's machine: no configuration but the data folder. */
  lockstep(...words: string[]): Promise<Ended> {
    return this.lockstepWith({}, ...words);
  }

  lockstepWith(environment: Readonly<Record<string, string>>, ...words: string[]): Promise<Ended> {
    return start(words, { LOCKSTEP_DATA: this.data, ...environment }).ended;
  }

  async close(): Promise<void> {
    await Promise.all(
      this.#processes.reverse().map(async (child) => {
        const gone = new Promise((ended) => child.once('close', ended));
        if (child.exitCode !== null || child.signalCode !== null) return;
        child.kill('SIGTERM');
        const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
        await gone;
        clearTimeout(timer);
      }),
    );
  }

  #start(program: string, words: readonly string[], environment: Readonly<Record<string, string>>): void {
    const child = spawn(process.execPath, [join(root, program), ...words], {
      env: { PATH: process.env.PATH ?? '', HOME: this.folder, ...environment },
      stdio: 'ignore',
    });
    this.#processes.push(child);
  }
}
