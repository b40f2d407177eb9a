/**
 * One execution of one script: started under its supervisor, watched, ended when asked to, and cleaned up
 * after. It outlives this process; `adoptExecution` takes up one that an earlier agent process started.
 * What comes next in the attempt is decided in the core.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, readSync, statSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { privateFileMode } from '../../shared/disk/durable-file.ts';
import { messageOf } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import type { ExecutionEnd } from '../core/state.ts';
import { allPids, argumentsOf, signal, statOf } from './processes.ts';
import { endScope, type Scope, type ScopeMarks, ticksNow } from './scope.ts';
import { type Claim, readClaim, supervisorName, supervisorScript, voidClaim } from './supervisor.ts';

export type ExecutionOrder = {
  /** Exists, and holds nothing of an earlier execution. */
  readonly folder: string;
  readonly work: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Interpreter, arguments, and the script as the last one. */
  readonly command: readonly string[];
  readonly stdoutFile: string;
  readonly stderrFile: string;
  readonly marks: ScopeMarks;
  /** Whether processes may stay when the main one ended by itself. */
  readonly leaves: 'nothing' | 'daemon';
  /** Between TERM and KILL. */
  readonly killGraceMs: number;
};

/** What is enough to end one and clean up after it. */
type Watching = Pick<ExecutionOrder, 'folder' | 'marks' | 'leaves' | 'killGraceMs'>;

/** The shell that supervises: every host has this one, and tests name others. */
export type SupervisorShell = readonly [string, ...string[]];
const supervisorShell: SupervisorShell = ['/bin/sh'];

export type Execution = {
  readonly ended: Promise<ExecutionEnd>;
  /** TERM, then KILL after the grace, to everything that belongs to it. */
  stop(): void;
};

export const outputFile = (folder: string): string => path.join(folder, 'output');
/** Where a script tells of its parts; see shared/parts.ts. */
export const partsFile = (folder: string): string => path.join(folder, 'parts');

export function startExecution(order: ExecutionOrder, shell: SupervisorShell = supervisorShell): Execution {
  const [program, ...options] = shell;
  const command = [...options, '-c', supervisorScript, supervisorName, order.folder, ...order.command];
  const startTicks = ticksNow();
  const opened: number[] = [];
  try {
    opened.push(openForAppend(order.stdoutFile), openForAppend(order.stderrFile));
    // `detached` puts the supervisor in a session of its own, out of reach of whatever ends the agent.
    const child = spawn(program, command, {
      cwd: order.work,
      env: order.environment,
      detached: true,
      stdio: ['ignore', ...opened],
    });
    return new Supervised(order, { kind: 'child', child }, startTicks);
  } catch (error) {
    // No space for the logs, or a command that the kernel refuses at once, such as too large an environment.
    const end: ExecutionEnd = { kind: 'unstartable', reason: `cannot start ${program}: ${messageOf(error)}` };
    return { ended: Promise.resolve(end), stop: () => undefined };
  } finally {
    for (const descriptor of opened) closeSync(descriptor);
  }
}

/** Appending, so that the agent may cut the file while others write to it. */
function openForAppend(file: string): number {
  return openSync(file, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND, privateFileMode);
}

/** Takes up what the folder tells of, running or ended; undefined when it never ran and never will. */
export function adoptExecution(order: Watching): Execution | undefined {
  const { folder } = order;
  if (voidClaim(folder)) return undefined;
  const claim = readClaim(folder);
  const supervisor = claim.kind === 'supervised' ? claim.supervisor : undefined;
  const startTicks =
    supervisor !== undefined && isSupervisor(supervisor, folder) ? statOf(supervisor)?.startTicks : undefined;
  return new Supervised(order, { kind: 'adopted' }, startTicks);
}

/** The folder stands among its arguments, so a pid that came back to another process is not mistaken for it. */
function isSupervisor(pid: number, folder: string): boolean {
  const words = argumentsOf(pid);
  return words.includes(supervisorName) && words.includes(folder) && statOf(pid)?.state !== 'Z';
}

/** A supervisor that has created the claim and not yet named itself in it is looked for by its arguments. */
function supervisorLives(claim: Claim & { readonly kind: 'supervised' }, folder: string): boolean {
  if (claim.supervisor !== undefined) return isSupervisor(claim.supervisor, folder);
  return allPids().some((pid) => isSupervisor(pid, folder));
}

/** Between its first line in the claim and `setsid`. */
function isStarting(main: number): boolean {
  const stat = statOf(main);
  return stat !== undefined && stat.state !== 'Z' && stat.session !== main;
}

type Watched = { readonly kind: 'child'; readonly child: ChildProcess } | { readonly kind: 'adopted' };

class Supervised implements Execution {
  readonly ended: Promise<ExecutionEnd>;
  readonly #order: Watching;
  readonly #startTicks: number | undefined;
  readonly #child: ChildProcess | undefined;
  #ending: Promise<unknown> | undefined;
  #stopped = false;

  constructor(order: Watching, watched: Watched, startTicks: number | undefined) {
    this.#order = order;
    this.#startTicks = startTicks;
    this.#child = watched.kind === 'child' ? watched.child : undefined;
    this.ended = this.#watch(watched);
  }

  stop(): void {
    if (this.#ending !== undefined) return;
    this.#stopped = this.#status() === undefined;
    this.#ending = this.#halt();
  }

  /**
   * Before its main process leads a session of its own there is nothing that could be signalled for certain: the
   * claim is taken away, or the start waited for.
   */
  async #halt(): Promise<void> {
    const { folder } = this.#order;
    for (;;) {
      if (voidClaim(folder)) return;
      const claim = readClaim(folder);
      if (claim.kind !== 'supervised' || !supervisorLives(claim, folder)) break;
      if (claim.main !== undefined && !isStarting(claim.main)) break;
      await sleep(limits.scopePollMs);
    }
    await this.#endAll();
  }

  async #watch(watched: Watched): Promise<ExecutionEnd> {
    const problem = watched.kind === 'child' ? await childEnd(watched.child) : undefined;
    if (problem !== undefined) return { kind: 'unstartable', reason: problem };
    await this.#claimantEnd();
    const status = this.#status();
    // Whether it ended well or not, what is left of it is ended too, unless it may stay.
    if (this.#ending !== undefined) await this.#ending;
    else if (status === undefined || this.#order.leaves === 'nothing') await this.#endAll();
    if (status !== undefined) {
      return { kind: 'exited', status, ...readWritten(this.#order.folder), stopped: this.#stopped };
    }
    return voidClaim(this.#order.folder) ? { kind: 'not-executed' } : { kind: 'lost' };
  }

  /**
   * Whoever holds the claim counts. One that is not a child here (its agent was killed, or it won against our
   * own) is looked at now and then while it lives.
   */
  async #claimantEnd(): Promise<void> {
    for (;;) {
      const claim = readClaim(this.#order.folder);
      if (claim.kind !== 'supervised' || claim.status !== undefined) return;
      if (!supervisorLives(claim, this.#order.folder)) return;
      await sleep(limits.executionPollMs);
    }
  }

  #status(): number | undefined {
    const claim = readClaim(this.#order.folder);
    return claim.kind === 'supervised' ? claim.status : undefined;
  }

  async #endAll(): Promise<void> {
    const scope = this.#scope();
    const left = await endScope(scope, this.#order.killGraceMs);
    // A main process that not even KILL ends would keep its supervisor, and so the job, for ever.
    if (left.length > 0 && scope.supervisor !== undefined) signal(scope.supervisor, 'SIGKILL');
  }

  /** Without a supervisor that could be named, only the environment tells what belongs here. */
  #scope(): Scope {
    const claim = readClaim(this.#order.folder);
    const supervisor = (claim.kind === 'supervised' ? claim.supervisor : undefined) ?? this.#child?.pid;
    const main = claim.kind === 'supervised' ? claim.main : undefined;
    return { marks: this.#order.marks, supervisor, main, startTicks: this.#startTicks };
  }
}

/** What kept a child from starting; undefined when it has started and ended. */
async function childEnd(child: ChildProcess): Promise<string | undefined> {
  try {
    await once(child, 'exit');
    return undefined;
  } catch (error) {
    return `cannot start ${child.spawnfile}: ${messageOf(error)}`;
  }
}

/** What a script wrote for the agent, of the execution in the folder. */
export function readWritten(folder: string): { readonly output: Uint8Array; readonly parts?: Uint8Array } {
  // One byte more than allowed, which tells that there is more.
  const output = readHead(outputFile(folder), limits.outputTextBytesMax + 1);
  const parts = readHead(partsFile(folder), limits.partsTextBytesMax);
  return { output, ...(parts.length === 0 ? {} : { parts }) };
}

/** The beginning of a file; a script may have put anything in its place. */
function readHead(file: string, bytesMax: number): Uint8Array {
  const found = statSync(file, { throwIfNoEntry: false });
  if (found === undefined || found.size === 0 || !found.isFile()) return new Uint8Array();
  const buffer = Buffer.alloc(Math.min(found.size, bytesMax));
  const descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    return buffer.subarray(0, readSync(descriptor, buffer, 0, buffer.length, 0));
  } finally {
    closeSync(descriptor);
  }
}
