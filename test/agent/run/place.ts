/** A folder of one attempt in which tests start executions directly, without an agent around them. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Execution,
  type ExecutionOrder,
  type SupervisorShell,
  startExecution,
} from '../../../agent/run/execution.ts';

export class Place {
  readonly folder: string;
  readonly attempt: string;

  constructor(folder: string, attempt = 'r1/s/n1#1') {
    this.folder = folder;
    this.attempt = attempt;
  }

  /** Everything but the start. */
  order(text: string, more: Partial<ExecutionOrder> = {}): ExecutionOrder {
    const execution = path.join(this.folder, '1-run');
    const script = path.join(execution, 'script');
    mkdirSync(execution, { recursive: true });
    writeFileSync(script, text);
    const paramsFile = path.join(this.folder, 'params.json');
    return {
      folder: execution,
      work: this.folder,
      environment: {
        PATH: '/usr/local/bin:/usr/bin:/bin',
        LOCKSTEP_ATTEMPT: this.attempt,
        LOCKSTEP_PARAMS: paramsFile,
        LOCKSTEP_OUTPUT: path.join(execution, 'output'),
        STATE: this.folder,
      },
      command: ['/bin/sh', script],
      stdoutFile: path.join(this.folder, 'stdout'),
      stderrFile: path.join(this.folder, 'stderr'),
      marks: { attempt: this.attempt, paramsFile },
      leaves: 'nothing',
      killGraceMs: 300,
      ...more,
    };
  }

  start(text: string, more: Partial<ExecutionOrder> = {}, shell?: SupervisorShell): Execution {
    return startExecution(this.order(text, more), shell);
  }

  read(name: string): string {
    const file = path.join(this.folder, name);
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  }

  /** The number that a script wrote to a file, once it is there. */
  async pid(name: string): Promise<number> {
    await this.until(name, () => /^[0-9]+\n$/.test(this.read(name)));
    return Number(this.read(name));
  }

  async until(what: string, isSo: () => boolean): Promise<void> {
    for (let waitedMs = 0; !isSo(); waitedMs += 10) {
      if (waitedMs > 20_000) throw new Error(`never came: ${what}`);
      await sleep(10);
    }
  }
}

/** Zombies do not count: whoever should reap them may take its time. */
export function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat[stat.lastIndexOf(')') + 2] !== 'Z';
  } catch {
    return false;
  }
}
