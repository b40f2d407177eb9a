/** The coordinator as the process that operators start, which a test can kill, and give a disk of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { operatorFile } from '../../coordinator/http/resources.ts';
import { present } from '../../shared/assert.ts';

type Teardown = { teardown(work: () => unknown): void };

const waitMsMax = 20_000;
const main = resolve(import.meta.dirname, '../../coordinator/main.ts');

export class CoordinatorProcess {
  readonly folder: string;
  /** In bytes, for a data folder on a file system of its own; 0 for none. */
  readonly #diskBytes: number;
  #child: ChildProcess | undefined;
  #output = '';
  url = '';
  token = '';

  private constructor(diskBytes: number) {
    this.folder = mkdtempSync(join(tmpdir(), 'lockstep-process-'));
    this.#diskBytes = diskBytes;
  }

  static async start(t: Teardown, diskBytes = 0): Promise<CoordinatorProcess> {
    const coordinator = new CoordinatorProcess(diskBytes);
    t.teardown(async () => {
      await coordinator.end('SIGKILL');
      rmSync(coordinator.folder, { recursive: true, force: true });
    });
    await coordinator.start();
    return coordinator;
  }

  /** The data folder as this process sees it, whatever file system it is on. */
  get data(): string {
    const within = join(this.folder, 'disk', 'data');
    return this.#diskBytes === 0 ? within : `/proc/${present(this.#child?.pid, 'pid')}/root${within}`;
  }

  get pid(): number {
    return present(this.#child?.pid, 'pid');
  }

  get output(): string {
    return this.#output;
  }

  /** `fileBytesMax`: writing beyond it fails, as on a disk that breaks; for this start only. */
  async start(fileBytesMax = 0): Promise<void> {
    const disk = join(this.folder, 'disk');
    // tap slips options into the environment of a child, and with them signal handlers that end it when a
    // write exceeds its bound; `env` takes them out and becomes the program.
    const argv = [
      'env',
      '-u',
      'NODE_OPTIONS',
      process.execPath,
      main,
      'coordinator',
      '--data',
      join(disk, 'data'),
      '--key',
      join(this.folder, 'key'),
    ];
    const bounded =
      fileBytesMax === 0 ? [] : ['sh', '-c', `ulimit -f ${fileBytesMax / 512} && exec "$@"`, 'sh'];
    const command = [...bounded, ...argv, '--listen', '127.0.0.1:0'];
    // In a mount namespace of its own, which ends with it; as root inside, so that no privilege is needed.
    const asRoot = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
    const mount = `mkdir -p ${disk} && mount -t tmpfs -o size=${this.#diskBytes} tmpfs ${disk} && exec "$@"`;
    const [program = '', ...args] =
      this.#diskBytes === 0
        ? command
        : ['unshare', ...asRoot, '--mount', 'sh', '-ec', mount, 'sh', ...command];
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    this.#output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#output += text;
      });
    this.url = (await this.#printed(/^listening on (\S+)$/m))[1] ?? '';
    // The file is written once it listens.
    this.token = operatorFile.parse(JSON.parse(readFileSync(join(this.data, 'operator.json'), 'utf8'))).token;
  }

  /** How it ended by itself. */
  async ended(): Promise<number | string | null> {
    const child = present(this.#child, 'process');
    // Its output may come to its end after the process, or before anybody heard that the process has ended.
    const hasEnded = child.exitCode !== null || child.signalCode !== null;
    if (!hasEnded || !child.stdout?.closed || !child.stderr?.closed)
      await once(child, 'close', { signal: AbortSignal.timeout(waitMsMax) });
    return child.exitCode ?? child.signalCode;
  }

  /** Ends it, and says how it ended. */
  async end(signal: NodeJS.Signals): Promise<number | string | null> {
    const child = this.#child;
    if (child === undefined) return null;
    child.kill(signal);
    return this.ended();
  }

  async ask(method: string, path: string, body?: unknown): Promise<{ status: number; json: unknown }> {
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${this.token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(waitMsMax),
    });
    const text = await response.text();
    const isLines = response.headers.get('content-type')?.includes('ndjson') === true;
    const lines = text.split('\n').filter((line) => line !== '');
    if (text === '') return { status: response.status, json: undefined };
    return {
      status: response.status,
      json: isLines ? lines.map((line) => JSON.parse(line)) : JSON.parse(text),
    };
  }

  async #printed(pattern: RegExp): Promise<RegExpExecArray> {
    const child = present(this.#child, 'process');
    const until = performance.now() + waitMsMax;
    for (;;) {
      const match = pattern.exec(this.#output);
      if (match !== null) return match;
      if (child.exitCode !== null || child.signalCode !== null || performance.now() > until)
        throw new Error(`the coordinator did not print ${pattern}:\n${this.#output}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}
