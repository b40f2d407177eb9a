/**
 * Lockstep on this very machine, without namespaces: the real coordinator, agents and command line as processes
 * of their own, below one temporary folder. When it ends, everything that it started is gone, also what jobs
 * left behind. What they are asked to do belongs to the tests.
 */
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import * as z from 'zod';
import { present } from '../../shared/assert.ts';
import { projectRoot } from './hosts.ts';
import {
  type Completed,
  complete,
  type ExecOptions,
  eventually,
  type StartedProcess,
  start,
  waitForEnd,
} from './processes.ts';

const lockstep = join(projectRoot, 'scripts/lockstep');
const lockstepAgent = join(projectRoot, 'scripts/lockstep-agent');
const commandMsMax = 90_000;

const operatorFile = z.object({ url: z.string(), token: z.string() });
const nodeList = z.array(z.object({ name: z.string(), state: z.string() }));
const tokenDocument = z.object({ token: z.string() });

/** A job in the words of section 8 of the design; what is more is allowed, what is missing is not. */
const jobDocument = z.looseObject({
  id: z.string(),
  step: z.string(),
  node: z.string(),
  state: z.string(),
  attempt: z.int(),
  exitCode: z.int().nullable(),
  startedAt: z.iso.datetime().nullable(),
  finishedAt: z.iso.datetime().nullable(),
  outputs: z.record(z.string(), z.unknown()),
  outcome: z.string().nullable(),
  reason: z.string().nullable(),
  unchanged: z.boolean(),
  signal: z.string().nullable(),
});
export type JobDocument = z.infer<typeof jobDocument>;

export const runDocument = z.looseObject({
  id: z.string(),
  pipeline: z.string(),
  state: z.string(),
  seq: z.int(),
  reason: z.string().nullable(),
  jobs: z.array(jobDocument),
});
export type RunDocument = z.infer<typeof runDocument>;

export const journalEvent = z.looseObject({
  seq: z.int(),
  type: z.string(),
  run: z.string().optional(),
  step: z.string().optional(),
  node: z.string().optional(),
});
export type JournalEvent = z.infer<typeof journalEvent>;

export type Answer = { readonly status: number; readonly text: string; readonly headers: Headers };

/** Whoever ends the test. */
type Owner = { teardown(end: () => Promise<void>): void };

export class LocalCluster {
  readonly folder = mkdtempSync(join(realpathSync(tmpdir()), 'lockstep-local-'));
  readonly data = join(this.folder, 'data');
  readonly #agents = new Map<string, StartedProcess>();
  #coordinator: StartedProcess | undefined;
  #token: string | undefined;

  /** A coordinator, and one agent for each name with its labels, all ready for work. */
  static async start(
    owner: Owner,
    nodes: Readonly<Record<string, Readonly<Record<string, string>>>>,
  ): Promise<LocalCluster> {
    const cluster = new LocalCluster();
    owner.teardown(() => cluster.dispose());
    await cluster.startCoordinator();
    for (const [name, labels] of Object.entries(nodes)) await cluster.startAgent(name, labels);
    await cluster.nodesReady(Object.keys(nodes));
    return cluster;
  }

  async startCoordinator(listen = '127.0.0.1:0', data = this.data): Promise<void> {
    const argv = [lockstep, 'coordinator', '--data', data, '--key', `${this.data}.key`, '--listen', listen];
    this.#coordinator = start(argv, process.env);
    await this.#coordinator.printed(/listening on http:/);
  }

  async endCoordinator(signal: NodeJS.Signals): Promise<void> {
    const { child } = present(this.#coordinator, 'a started coordinator');
    child.kill(signal);
    await waitForEnd(child, 'the coordinator');
  }

  /** Starts the agent of a node, for the first time or again on the state that it has. */
  async startAgent(name: string, labels: Readonly<Record<string, string>>): Promise<void> {
    const words = Object.entries(labels).flatMap(([key, value]) => ['--label', `${key}=${value}`]);
    const argv = [lockstepAgent, 'run', '--coordinator', this.url, '--state', this.stateOf(name)];
    this.#agents.set(
      name,
      start([...argv, '--name', name, ...words], {
        ...process.env,
        LOCKSTEP_TOKEN: await this.joinToken(),
        // Tests run as root, and the host is not theirs.
        LOCKSTEP_REBOOT_COMMAND: 'none',
      }),
    );
  }

  async endAgent(name: string, signal: NodeJS.Signals): Promise<void> {
    const { child } = present(this.#agents.get(name), `agent ${name}`);
    child.kill(signal);
    await waitForEnd(child, `agent ${name}`);
  }

  get #operator(): z.infer<typeof operatorFile> {
    return operatorFile.parse(JSON.parse(readFileSync(join(this.data, 'operator.json'), 'utf8')));
  }

  get url(): string {
    return this.#operator.url;
  }

  get operatorToken(): string {
    return this.#operator.token;
  }

  get coordinatorPid(): number {
    return present(this.#coordinator?.child.pid, 'pid of the coordinator');
  }

  agentPid(name: string): number {
    return present(this.#agents.get(name)?.child.pid, `pid of agent ${name}`);
  }

  /** What coordinator and agents have printed. */
  get printed(): string {
    return [this.#coordinator, ...this.#agents.values()].map((each) => each?.output() ?? '').join('\n');
  }

  async joinToken(): Promise<string> {
    this.#token ??= (await this.query(tokenDocument, ['token', 'create'])).token;
    return this.#token;
  }

  stateOf(node: string): string {
    return join(this.folder, 'agents', node);
  }

  /** A path below the temporary folder. */
  path(...parts: readonly string[]): string {
    return join(this.folder, ...parts);
  }

  read(...parts: readonly string[]): string {
    return readFileSync(this.path(...parts), 'utf8');
  }

  /** Writes a file below the temporary folder; one that begins with `#!` is executable. */
  write(name: string, content: string): string {
    const file = this.path(name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content, { mode: content.startsWith('#!') ? 0o755 : 0o644 });
    return file;
  }

  /** The operator's command line on the coordinator's own machine. */
  cli(args: readonly string[], options: ExecOptions = {}): Promise<Completed> {
    const env = { PATH: process.env.PATH ?? '', LOCKSTEP_DATA: this.data, ...options.env };
    return complete([lockstep, ...args], { timeoutMs: commandMsMax, ...options, env }).catch(
      (cause: unknown) => {
        throw new Error(`${cause}\nmeanwhile coordinator and agents had printed:\n${this.printed}`, {
          cause,
        });
      },
    );
  }

  /** The same, going on. */
  cliStarted(args: readonly string[]): StartedProcess {
    return start([lockstep, ...args], { PATH: process.env.PATH ?? '', LOCKSTEP_DATA: this.data });
  }

  /** A command that must succeed, and the one JSON document that it prints. */
  async query<T>(schema: z.ZodType<T>, args: readonly string[]): Promise<T> {
    const { status, stdout, stderr } = await this.cli([...args, '-o', 'json']);
    if (status !== 0) throw new Error(`lockstep ${args.join(' ')} ended with ${status}:\n${stdout}${stderr}`);
    return schema.parse(JSON.parse(stdout));
  }

  /** Runs a pipeline until it does not go on by itself, however it ended. */
  async run(file: string, args: readonly string[] = [], options: ExecOptions = {}): Promise<RunDocument> {
    const { stdout, stderr } = await this.cli(['run', file, '--watch', '-o', 'json', ...args], options);
    if (stdout === '') throw new Error(`lockstep run ${file} gave no run:\n${stderr}`);
    return runDocument.parse(JSON.parse(stdout));
  }

  async events(since = 0): Promise<JournalEvent[]> {
    return z.array(journalEvent).parse(await this.query(z.unknown(), ['events', '--since', String(since)]));
  }

  /** A request to the API as the operator, unless the headers say otherwise. */
  async request(
    method: string,
    path: string,
    body?: string | Uint8Array<ArrayBuffer>,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer> {
    const answer = await fetch(`${this.url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.operatorToken}`,
        'content-type': 'application/json',
        ...headers,
      },
      ...(body === undefined ? {} : { body }),
      signal: AbortSignal.timeout(commandMsMax),
    });
    return { status: answer.status, text: await answer.text(), headers: answer.headers };
  }

  async nodesReady(names: readonly string[]): Promise<void> {
    await eventually(`${names.join(', ')} to be ready`, async () => {
      const nodes = await this.query(nodeList, ['nodes']);
      const ready = nodes.filter(({ state }) => state === 'ready').map(({ name }) => name);
      return names.every((name) => ready.includes(name)) ? true : undefined;
    });
  }

  async dispose(): Promise<void> {
    for (const [name, { child }] of this.#agents) {
      if (child.exitCode === null && child.signalCode === null) await this.endAgent(name, 'SIGKILL');
    }
    const coordinator = this.#coordinator?.child;
    if (coordinator?.exitCode === null && coordinator.signalCode === null)
      await this.endCoordinator('SIGKILL');
    await eventually('what jobs left behind to end', async () => {
      const left = processesIn(this.folder);
      for (const pid of left) kill(pid);
      return left.length === 0 ? true : undefined;
    });
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Processes whose environment or command names this text, such as those of jobs of one state folder. */
export function processesIn(mark: string): number[] {
  return readdirSync('/proc').flatMap((name) => {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) return [];
    try {
      const told = ['environ', 'cmdline'].map((file) => readFileSync(`/proc/${pid}/${file}`, 'latin1'));
      return told.some((text) => text.includes(mark)) ? [pid] : [];
    } catch {
      return [];
    }
  });
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended in the meantime.
  }
}

export const isAlive = (pid: number): boolean => {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
};

/** The jobs of a step, by node. */
export const jobsOf = (run: RunDocument, step: string): ReadonlyMap<string, JobDocument> =>
  new Map(run.jobs.filter((job) => job.step === step).map((job) => [job.node, job]));

/** The job of a step on a node. */
export const jobOf = (run: RunDocument, step: string, node: string): JobDocument =>
  present(jobsOf(run, step).get(node), `job ${run.id}/${step}/${node}`);

/** The most memory that a process ever had resident. */
export const peakMegabytes = (pid: number): number =>
  Math.round(Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024);
