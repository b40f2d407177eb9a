/**
 * Lockstep itself on test hosts: the real coordinator, agents and command line, started as an operator would
 * start them, from this source tree. What they are asked to do belongs to the tests.
 */
import { join } from 'node:path';
import * as z from 'zod';
import { type Host, type HostProcess, projectRoot } from './hosts.ts';
import { type Completed, type ExecOptions, eventually, startMsMax } from './processes.ts';

const lockstep = join(projectRoot, 'scripts/lockstep');
const lockstepAgent = join(projectRoot, 'scripts/lockstep-agent');
export const dataFolder = '/var/lib/lockstep';
const stateFolder = '/var/lib/lockstep-agent';
const port = 7400;
/** A run on real nodes installs packages and waits for clusters to form. */
const commandMsMax = 180_000;

const nodeList = z.array(z.object({ name: z.string(), state: z.string() }));
const runDocument = z.object({ id: z.string(), state: z.string() });
const tokenDocument = z.object({ token: z.string() });
const journalEvent = z.looseObject({
  seq: z.int(),
  type: z.string(),
  run: z.string().optional(),
  step: z.string().optional(),
  node: z.string().optional(),
});
export type JournalEvent = z.infer<typeof journalEvent>;

export class Coordinator {
  readonly host: Host;
  readonly url: string;
  #process: HostProcess;

  private constructor(host: Host, process: HostProcess) {
    this.host = host;
    this.url = `http://${host.address}:${port}`;
    this.#process = process;
  }

  static async start(host: Host): Promise<Coordinator> {
    return new Coordinator(host, await Coordinator.#listening(host));
  }

  static async #listening(host: Host): Promise<HostProcess> {
    const listen = `${host.address}:${port}`;
    const process = host.spawn([lockstep, 'coordinator', '--data', dataFolder, '--listen', listen]);
    await process.printed(/listening on http:/, startMsMax);
    return process;
  }

  /** Kills the coordinator without warning and starts it on the same data. */
  async restart(): Promise<void> {
    await this.#process.end('SIGKILL');
    this.#process = await Coordinator.#listening(this.host);
  }

  /** Everything that it printed since it was started last. */
  get output(): string {
    return this.#process.output();
  }

  /** The operator's command line, on the coordinator's own machine. */
  exec(args: readonly string[], options: ExecOptions = {}): Promise<Completed> {
    const env = { LOCKSTEP_DATA: dataFolder, ...options.env };
    return this.host.exec([lockstep, ...args], { timeoutMs: commandMsMax, ...options, env });
  }

  /** Writes what a command prints into a file on its machine: it may be more than is kept of an output here. */
  async save(args: readonly string[], file: string): Promise<void> {
    const argv = ['sh', '-c', 'exec "$@" >"$0"', file, lockstep, ...args];
    await this.host.run(argv, { timeoutMs: commandMsMax, env: { LOCKSTEP_DATA: dataFolder } });
  }

  /** A command that must succeed, and the one JSON document that it prints. */
  async query<T>(schema: z.ZodType<T>, args: readonly string[]): Promise<T> {
    const { status, stdout, stderr } = await this.exec([...args, '-o', 'json']);
    if (status !== 0) throw new Error(`lockstep ${args.join(' ')} ended with ${status}:\n${stdout}${stderr}`);
    return schema.parse(JSON.parse(stdout));
  }

  async createToken(): Promise<string> {
    return (await this.query(tokenDocument, ['token', 'create'])).token;
  }

  /** Runs a pipeline to its end, and gives its id; an error when it did not succeed. */
  async run(file: string): Promise<string> {
    const { id, state } = await this.query(runDocument, ['run', file, '--watch']);
    if (state !== 'succeeded') throw new Error(`${file} ended as ${state} (${id})`);
    return id;
  }

  /** The whole journal. */
  async events(): Promise<JournalEvent[]> {
    const { status, stdout, stderr } = await this.exec(['events', '--since', '0', '-o', 'jsonl']);
    if (status !== 0) throw new Error(`lockstep events ended with ${status}:\n${stderr}`);
    const lines = stdout.split('\n').filter((line) => line !== '');
    return lines.map((line) => journalEvent.parse(JSON.parse(line)));
  }

  /** Waits until all these nodes have joined and may be given work. */
  async nodesReady(names: readonly string[]): Promise<void> {
    await eventually(`${names.join(', ')} to be ready`, async () => {
      const nodes = await this.query(nodeList, ['nodes']);
      const ready = nodes.filter(({ state }) => state === 'ready').map(({ name }) => name);
      return names.every((name) => ready.includes(name)) ? true : undefined;
    });
  }
}

/** Starts the agent of a host under the host's name and labels. */
export function startAgent(host: Host, coordinator: Coordinator, token: string): HostProcess {
  const labels = Object.entries(host.labels).flatMap(([key, value]) => ['--label', `${key}=${value}`]);
  const where = ['--coordinator', coordinator.url, '--state', stateFolder, '--name', host.name];
  return host.spawn([lockstepAgent, 'run', ...where, ...labels], {
    LOCKSTEP_TOKEN: token,
    // The test sees the file and does what a machine would.
    LOCKSTEP_REBOOT_COMMAND: `touch /shared/${host.name}-wants-reboot`,
  });
}
