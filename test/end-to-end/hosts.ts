/**
 * Real hosts on one machine for end-to-end tests: each has its own file system, process table, name and
 * network, built from namespaces. They live inside one lab, which is a process tree with a network of its
 * own: when the test process ends, however it ends, the kernel takes all of it down and nothing is left.
 * What runs on the hosts does not belong here; agents and coordinators are started in cluster.ts.
 */
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { present } from '../../shared/assert.ts';
import {
  type Completed,
  complete,
  type ExecOptions,
  eventually,
  hasEnded,
  onlyChildOf,
  type StartedProcess,
  start,
  waitForEnd,
  waitMsMax,
} from './processes.ts';

export const projectRoot = resolve(import.meta.dirname, '../..');

/** Where the lab keeps the hosts' disks: memory, mounted over a folder that every machine has and no test needs. */
const labFolder = projectRoot.startsWith('/mnt/') ? '/media' : '/mnt';
const diskBytesMax = '4g';
const network = '10.77.0';

/** A process on a host. `end` signals the process itself, not the tool that entered the host for it. */
export type HostProcess = StartedProcess & { readonly end: (signal: NodeJS.Signals) => Promise<void> };

/** Why hosts cannot be made on this machine; undefined when they can. */
export function hostsUnavailable(): string | undefined {
  if (process.getuid?.() !== 0) return 'test hosts need root, to make namespaces';
  for (const tool of ['ip', 'unshare', 'nsenter', 'pivot_root']) {
    if (spawnSync('which', [tool]).status !== 0) return `test hosts need the command ${tool}`;
  }
  const probe = `mount -t tmpfs tmpfs ${labFolder} && cd ${labFolder} && mkdir u w r && ip link add type veth &&
    mount -t overlay -o lowerdir=/,upperdir=u,workdir=w overlay r`;
  const { status, stderr } = spawnSync('unshare', ['--mount', '--net', 'sh', '-c', probe], {
    encoding: 'utf8',
  });
  return status === 0 ? undefined : `test hosts cannot be made here: ${stderr.trim()}`;
}

const enter = (
  pid: number,
  ...namespaces: readonly ('mount' | 'net' | 'pid' | 'uts' | 'ipc')[]
): string[] => ['nsenter', `--target=${pid}`, ...namespaces.map((namespace) => `--${namespace}`), '--'];

const hostEnvironment = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/root',
  LANG: 'C.UTF-8',
};

/** One host. It is up from its creation; `powerOff` and `powerOn` are what a power cut and a boot are. */
export class Host {
  readonly name: string;
  readonly address: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly #lab: Lab;
  readonly #index: number;
  #init: { readonly process: StartedProcess; readonly pid: number } | undefined;

  constructor(lab: Lab, index: number, name: string, labels: Readonly<Record<string, string>>) {
    this.#lab = lab;
    this.#index = index;
    this.name = name;
    this.labels = labels;
    this.address = `${network}.${index + 1}`;
  }

  /** The machine's process id of the host's PID 1. */
  get pid(): number {
    return present(this.#init, `running host ${this.name}`).pid;
  }

  async powerOn(): Promise<void> {
    const disk = join(labFolder, 'disks', this.name);
    const init = start(
      [
        ...enter(this.#lab.pid, 'mount', 'net', 'pid'),
        ...['unshare', '--mount', '--net', '--pid', '--uts', '--ipc', '--fork', '--kill-child'],
        join(import.meta.dirname, 'host-init.sh'),
        ...[this.name, disk, join(labFolder, 'hosts'), join(labFolder, 'shared'), projectRoot],
      ],
      hostEnvironment,
    );
    await init.printed(/^up$/m);
    // nsenter forks for the PID namespace, and unshare again: the host's PID 1 is the grandchild.
    const unshare = present(onlyChildOf(present(init.child.pid, 'pid of nsenter')), 'unshare of the host');
    this.#init = { process: init, pid: present(onlyChildOf(unshare), `PID 1 of ${this.name}`) };
    const mac = `02:00:00:00:00:${(this.#index + 1).toString(16).padStart(2, '0')}`;
    await this.#lab.ip(
      `link add ${this.#link} type veth peer name eth0 address ${mac} netns ${this.pid}`,
      `link set ${this.#link} master bridge up`,
    );
    await ip(this.pid, ['link set lo up', `address add ${this.address}/24 dev eth0`, 'link set eth0 up']);
  }

  /** Ends everything on the host at once, as a power cut does. What was written to its disk stays. */
  async powerOff(): Promise<void> {
    if (this.#init === undefined) return;
    const { process: init, pid } = this.#init;
    this.#init = undefined;
    process.kill(pid, 'SIGKILL');
    await waitForEnd(init.child, `PID 1 of ${this.name}`);
    // The kernel frees a dead network namespace some time later, and the name would still be taken.
    await this.#lab.ip(`link delete ${this.#link}`).catch(() => {});
  }

  async reboot(): Promise<void> {
    await this.powerOff();
    await this.powerOn();
  }

  /** Pulls or plugs the host's network cable. */
  async setLink(state: 'up' | 'down'): Promise<void> {
    await this.#lab.ip(`link set ${this.#link} ${state}`);
  }

  /** Runs a command on the host to its end, whatever its exit status. */
  exec(argv: readonly string[], options: ExecOptions = {}): Promise<Completed> {
    return complete(this.#entered(argv), { ...options, env: { ...hostEnvironment, ...options.env } });
  }

  /** Runs a command that must succeed, and gives its standard output. */
  async run(argv: readonly string[], options: ExecOptions = {}): Promise<string> {
    const { status, stdout, stderr } = await this.exec(argv, options);
    if (status === 0) return stdout;
    throw new Error(`${this.name}: ${argv.join(' ')} ended with ${status}:\n${stdout}${stderr}`);
  }

  /** Starts a command on the host that goes on until it is ended, or the host is. */
  spawn(argv: readonly string[], env: Readonly<Record<string, string>> = {}): HostProcess {
    const started = start(this.#entered(argv), { ...hostEnvironment, ...env });
    const end = async (signal: NodeJS.Signals): Promise<void> => {
      const tool = present(started.child.pid, 'pid of nsenter');
      // It may not have come to start the command yet.
      const inner = await eventually(`${argv.join(' ')} to begin or end`, async () =>
        hasEnded(started.child) ? 'ended' : onlyChildOf(tool),
      );
      if (inner !== 'ended') process.kill(inner, signal);
      await waitForEnd(started.child, argv.join(' '));
    };
    return { ...started, end };
  }

  get #link(): string {
    return `host${this.#index}`;
  }

  #entered(argv: readonly string[]): string[] {
    return [...enter(this.pid, 'mount', 'net', 'pid', 'uts', 'ipc'), ...argv];
  }
}

/** Applies lines of `ip` in the network of the process `pid`, all or up to the first that is refused. */
async function ip(pid: number, lines: readonly string[]): Promise<void> {
  const argv = [...enter(pid, 'net'), 'ip', '-batch', '-'];
  const { status, stderr } = await complete(argv, { env: hostEnvironment, input: `${lines.join('\n')}\n` });
  if (status !== 0) throw new Error(`ip refused "${lines.join('; ')}": ${stderr.trim()}`);
}

const labInit = `set -eu
mount -t tmpfs -o mode=755,size=${diskBytesMax} tmpfs ${labFolder}
mkdir ${labFolder}/disks ${labFolder}/shared
echo '127.0.0.1 localhost' >${labFolder}/hosts
ip link set lo up
ip link add bridge type bridge forward_delay 0 stp_state 0
ip link set bridge up
echo ready
# The other end of standard input is held by the test process: its end is the end of the lab.
read -r _ || true
`;

/** A network with hosts on it, out of reach of the machine's own network and of other labs. */
export class Lab {
  readonly #process: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #hosts: Host[] = [];
  readonly pid: number;

  private constructor(process: ChildProcessByStdio<Writable, Readable, Readable>, pid: number) {
    this.#process = process;
    this.pid = pid;
  }

  static async start(): Promise<Lab> {
    const namespaces = ['--mount', '--net', '--pid', '--fork', '--kill-child'];
    const child = spawn('unshare', [...namespaces, 'bash', '-c', labInit], { cwd: '/', stdio: 'pipe' });
    let output = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    const signal = AbortSignal.timeout(waitMsMax);
    const [text] = await Promise.race([
      once(child.stdout.setEncoding('utf8'), 'data', { signal }),
      once(child, 'exit', { signal }),
    ]);
    if (text !== 'ready\n') throw new Error(`the lab did not start: ${output}`);
    return new Lab(child, present(onlyChildOf(present(child.pid, 'pid of unshare')), 'PID 1 of the lab'));
  }

  get hosts(): readonly Host[] {
    return this.#hosts;
  }

  /** Creates a host and starts it. Every host finds it by its name from now on. */
  async addHost(name: string, labels: Readonly<Record<string, string>> = {}): Promise<Host> {
    const host = new Host(this, this.#hosts.length, name, labels);
    this.#hosts.push(host);
    await mkdir(this.path('disks', name));
    // Written in place, because every host has this very file mounted.
    const lines = this.#hosts.map(({ address, name }) => `${address} ${name}\n`);
    await writeFile(this.path('hosts'), `127.0.0.1 localhost\n${lines.join('')}`);
    await host.powerOn();
    return host;
  }

  /** The machine's path of a file in the lab's memory. */
  path(...parts: readonly string[]): string {
    return join(`/proc/${this.pid}/root`, labFolder, ...parts);
  }

  /** The text of a file that hosts know under /shared; empty when no host has written it yet. */
  async readShared(name: string): Promise<string> {
    return readFile(this.path('shared', name), 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return '';
      throw error;
    });
  }

  /** Gives hosts a file under /shared, and says where they find it. */
  writeShared(name: string, content: string): string {
    writeFileSync(this.path('shared', name), content);
    return `/shared/${name}`;
  }

  hasShared(name: string): boolean {
    return existsSync(this.path('shared', name));
  }

  removeShared(name: string): void {
    rmSync(this.path('shared', name), { force: true });
  }

  /** Applies `ip` commands in the lab's own network, where the hosts' cables end. */
  ip(...lines: readonly string[]): Promise<void> {
    return ip(this.pid, lines);
  }

  /** Ends every process of every host and frees all that they held. */
  async dispose(): Promise<void> {
    this.#process.stdin.end();
    await waitForEnd(this.#process, 'the lab').catch(() => this.#process.kill('SIGKILL'));
    await waitForEnd(this.#process, 'the lab');
  }
}
