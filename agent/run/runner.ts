/**
 * Carries out what the core orders about attempts: prepare, execute, stop, recover, collect, forget. It
 * holds the one running execution and the logs of every attempt that is still on disk; it decides nothing.
 */
import path from 'node:path';
import { errnoOf } from '../../shared/disk/durable-file.ts';
import { LockstepError, messageOf } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import type { AttemptResult, Script } from '../../shared/messages.ts';
import { environmentOf } from '../core/environment.ts';
import type { Job } from '../core/ledger.ts';
import type { LogStream } from '../core/log-stream.ts';
import type { Execution as EndedExecution, Phase } from '../core/next-step.ts';
import type { Input, Recovery } from '../core/state.ts';
import {
  type AttemptFolder,
  attemptFolder,
  type ExecutionFolder,
  executionFolder,
  executionFolders,
  namesIn,
  pruneExecutions,
  removeTree,
  streamFile,
} from './attempt-folder.ts';
import {
  adoptExecution,
  type Execution,
  outputFile,
  partsFile,
  readWritten,
  startExecution,
} from './execution.ts';
import { noteExecution, readExecutionNote } from './execution-note.ts';
import { LogCapture } from './log-capture.ts';
import {
  type ContentStore,
  layOutExecution,
  type Params,
  prepareAttempt,
  readParams,
} from './preparation.ts';
import type { ScopeMarks } from './scope.ts';
import { readClaim } from './supervisor.ts';

export type RunnerParts = {
  readonly attemptsFolder: string;
  /** Says which execution was begun last. */
  readonly noteFile: string;
  /** Its name at the moment. */
  readonly node: () => string;
  readonly baseEnvironment: Readonly<Record<string, string>>;
  readonly content: ContentStore;
  /** Keeps a copy of a `file` output until its result is acknowledged; the digest of it. */
  readonly keepOutput: (file: string) => Promise<string>;
  readonly tell: (input: Input) => void;
  /** Something was printed, or a log has its final length. */
  readonly onLog: () => void;
};

type Logs = { readonly stdout: LogCapture; readonly stderr: LogCapture };

export class Runner {
  readonly #parts: RunnerParts;
  /** Oldest attempt first. */
  readonly #logs = new Map<string, Logs>();
  #params: { readonly attempt: string; readonly values: Params } | undefined;
  #preparation: { readonly attempt: string; readonly giveUp: AbortController } | undefined;
  #running: { readonly attempt: string; readonly execution: Execution } | undefined;
  #polling: NodeJS.Timeout | undefined;

  constructor(parts: RunnerParts) {
    this.#parts = parts;
  }

  /** At the start: the logs that were not acknowledged, and no folders that nobody needs. */
  restore(
    held: readonly string[],
    ended: readonly { readonly attempt: string; readonly logs: AttemptResult['logs'] }[],
  ): void {
    for (const { attempt, logs } of ended) {
      const folder = this.#folder(attempt);
      this.#logs.set(attempt, {
        stdout: new LogCapture(folder, attempt, 'stdout', logs.stdout),
        stderr: new LogCapture(folder, attempt, 'stderr', logs.stderr),
      });
    }
    const needed = new Set([...held, ...this.#logs.keys()].map((attempt) => this.#folder(attempt).path));
    for (const name of namesIn(this.#parts.attemptsFolder)) {
      const found = path.join(this.#parts.attemptsFolder, name);
      if (!needed.has(found)) removeTree(found);
    }
  }

  logs(): readonly LogStream[] {
    return [...this.#logs.values()].flatMap(({ stdout, stderr }) => [stdout, stderr]);
  }

  async prepare({ attempt, specification }: Job): Promise<void> {
    const giveUp = new AbortController();
    this.#preparation = { attempt, giveUp };
    const { content, tell } = this.#parts;
    const prepared = await prepareAttempt(this.#folder(attempt), specification, content, giveUp.signal);
    if (this.#preparation?.giveUp === giveUp) this.#preparation = undefined;
    if (prepared.ok) this.#params = { attempt, values: prepared.params };
    tell({ kind: 'prepared', attempt, prepared });
  }

  abandonPreparation(attempt: string): void {
    if (this.#preparation?.attempt === attempt) this.#preparation.giveUp.abort();
  }

  execute({ attempt, specification }: Job, number: number, phase: Phase, script: Script): void {
    const { node, baseEnvironment, content } = this.#parts;
    const folder = this.#folder(attempt);
    const place = executionFolder(folder, number, phase);
    let command: readonly string[];
    try {
      pruneExecutions(folder, number, phase);
      command = layOutExecution(place, script, content);
      noteExecution(this.#parts.noteFile, { attempt, number, phase });
    } catch (error) {
      const reason = `cannot write to the state folder: ${errnoOf(error) ?? messageOf(error)}`;
      this.#parts.tell({ kind: 'executed', attempt, number, end: { kind: 'unstartable', reason } });
      return;
    }
    const environment = environmentOf({
      base: baseEnvironment,
      given: specification.environment,
      params: this.#params?.attempt === attempt ? this.#params.values : {},
      node: node(),
      attempt,
      paramsFile: folder.paramsFile,
      outputFile: outputFile(place.path),
      partsFile: partsFile(place.path),
    });
    this.#watch(
      attempt,
      number,
      startExecution({
        folder: place.path,
        work: folder.work,
        environment,
        command,
        stdoutFile: streamFile(folder, 'stdout'),
        stderrFile: streamFile(folder, 'stderr'),
        marks: this.#marks(attempt),
        leaves: specification.leaves,
        killGraceMs: limits.killGraceMs,
      }),
    );
  }

  stop(attempt: string): void {
    if (this.#running?.attempt === attempt) this.#running.execution.stop();
  }

  recover({ attempt, specification }: Job): void {
    const folder = this.#folder(attempt);
    const places = this.#placesOf(attempt, folder);
    const last = places.at(-1);
    const params = places.length === 0 ? {} : readParams(folder);
    this.#params = { attempt, values: params };
    const ended = places.slice(0, -1).flatMap(({ number, phase, path: place }): EndedExecution[] => {
      const claim = readClaim(place);
      if (claim.kind !== 'supervised' || claim.status === undefined) return [];
      return [{ number, phase, status: claim.status, ...readWritten(place) }];
    });
    const tellRecovered = (recoveredLast: Recovery['last']): void =>
      this.#parts.tell({ kind: 'recovered', attempt, recovery: { params, ended, last: recoveredLast } });
    if (last === undefined) {
      tellRecovered({ kind: 'none' });
      return;
    }
    const { number, phase } = last;
    const marks = this.#marks(attempt);
    const execution = adoptExecution({
      folder: last.path,
      marks,
      leaves: specification.leaves,
      killGraceMs: limits.killGraceMs,
    });
    if (execution === undefined) {
      tellRecovered({ kind: 'not-executed', number });
      return;
    }
    tellRecovered({ kind: 'running', number, phase });
    this.#watch(attempt, number, execution);
  }

  /** Takes stock of what an attempt printed and of its `file` outputs, which are paths as the script wrote them. */
  async collect(attempt: string, files: Readonly<Record<string, string>>): Promise<void> {
    const folder = this.#folder(attempt);
    const digests: Record<string, string> = {};
    let problem: string | undefined;
    for (const [name, file] of Object.entries(files)) {
      try {
        digests[name] = await this.#parts.keepOutput(path.resolve(folder.work, file));
      } catch (error) {
        // Not the error's own words: they quote the path, which is the output's value.
        problem = `cannot take the file of output ${name}: ${error instanceof LockstepError ? error.message : (errnoOf(error) ?? 'it cannot be read')}`;
        break;
      }
    }
    clearTimeout(this.#polling);
    const { stdout, stderr } = this.#logsOf(attempt);
    const logs = { stdout: stdout.finish(), stderr: stderr.finish() };
    if (logs.stdout + logs.stderr === 0) this.#logs.delete(attempt);
    this.#parts.tell({
      kind: 'collected',
      attempt,
      logs,
      files: problem === undefined ? { ok: true, digests } : { ok: false, reason: problem },
    });
    this.#parts.onLog();
  }

  /** They were acknowledged to their end. */
  dropLogs(attempt: string): void {
    const logs = this.#logs.get(attempt);
    logs?.stdout.close();
    logs?.stderr.close();
    this.#logs.delete(attempt);
  }

  forget(attempt: string): void {
    this.dropLogs(attempt);
    removeTree(this.#folder(attempt).path);
  }

  /** The process ends; what it watched goes on. */
  leave(): void {
    clearTimeout(this.#polling);
    this.#preparation?.giveUp.abort();
  }

  /** The executions of an attempt, with the last one also when its folder is gone: it was begun all the same. */
  #placesOf(attempt: string, folder: AttemptFolder): ExecutionFolder[] {
    const places = executionFolders(folder);
    const note = readExecutionNote(this.#parts.noteFile);
    if (note?.attempt !== attempt || note.number <= (places.at(-1)?.number ?? 0)) return places;
    return [...places, executionFolder(folder, note.number, note.phase)];
  }

  #folder(attempt: string): AttemptFolder {
    return attemptFolder(this.#parts.attemptsFolder, attempt);
  }

  #marks(attempt: string): ScopeMarks {
    return { attempt, paramsFile: this.#folder(attempt).paramsFile };
  }

  #logsOf(attempt: string): Logs {
    const known = this.#logs.get(attempt);
    if (known !== undefined) return known;
    const folder = this.#folder(attempt);
    const logs = {
      stdout: new LogCapture(folder, attempt, 'stdout'),
      stderr: new LogCapture(folder, attempt, 'stderr'),
    };
    this.#logs.set(attempt, logs);
    return logs;
  }

  #watch(attempt: string, number: number, execution: Execution): void {
    this.#running = { attempt, execution };
    this.#pollLogs(attempt, limits.logPollMs);
    execution.ended.then((end) => {
      if (this.#running?.execution === execution) this.#running = undefined;
      this.#parts.tell({ kind: 'executed', attempt, number, end });
    }, fail);
  }

  /** While something runs, and once after; the more is printed, the closer it is looked at, so that the disk stays bounded. */
  #pollLogs(attempt: string, delayMs: number): void {
    clearTimeout(this.#polling);
    this.#polling = setTimeout(() => {
      const { stdout, stderr } = this.#logsOf(attempt);
      const news = stdout.poll() + stderr.poll();
      if (news > 0) this.#parts.onLog();
      if (this.#running?.attempt !== attempt) return;
      const busy = news >= limits.logUnacknowledgedBytesMax / 4;
      this.#pollLogs(attempt, busy ? limits.logPollBusyMs : limits.logPollMs);
    }, delayMs);
  }
}

/** A broken invariant, not an expected end: those are values. */
function fail(error: unknown): never {
  throw error;
}
