/** The real program `lockstep-agent`, started and ended by the pid that was started. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';

/** Tests run as root, and the host is not theirs. */
const noReboot = { LOCKSTEP_REBOOT_COMMAND: 'none' };

const root = path.resolve(import.meta.dirname, '../..');

export class AgentProcess {
  readonly child: ChildProcess;
  output = '';

  /** `wrapper` stands before the program and is what has the pid. */
  constructor(
    options: readonly string[],
    environment: Readonly<Record<string, string>> = {},
    wrapper: readonly string[] = [],
  ) {
    const all = { PATH: process.env.PATH ?? '', LOCKSTEP_TOKEN: 'test-token', ...noReboot, ...environment };
    const words = Object.entries(all).map(([name, value]) => `${name}=${value}`);
    // `env` becomes the program, under the same pid: tap would slip options of its own into a child's
    // environment, and they would be found in the jobs that this agent is to keep clean.
    this.child = spawn(
      'env',
      ['-i', ...words, ...wrapper, process.execPath, path.join(root, 'agent/main.ts'), ...options],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output += text;
      });
    }
  }

  static run(url: string, state: string, ...more: string[]): AgentProcess {
    return new AgentProcess(['run', '--coordinator', url, '--state', state, '--name', 'n1', ...more]);
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error('the agent did not start');
    return this.child.pid;
  }

  /** The exit code, or the signal. */
  async ended(): Promise<number | string | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, 'exit');
    return this.child.exitCode ?? this.child.signalCode;
  }

  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | string | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill(signal);
    return this.ended();
  }
}
