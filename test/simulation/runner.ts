/** What agent/run/runner.ts does, with simulated folders and scripts: it carries out and tells, and decides nothing. */
import type { Job } from '../../agent/core/ledger.ts';
import type { LogPiece, LogStream } from '../../agent/core/log-stream.ts';
import type { Execution, Phase } from '../../agent/core/next-step.ts';
import type { ExecutionEnd, Input, Recovery } from '../../agent/core/state.ts';
import { limits } from '../../shared/limits.ts';
import type { AttemptResult, JobSpecification, StreamName } from '../../shared/messages.ts';
import type { AgentHost } from './agent-host.ts';
import type { ExecutionFolder } from './host-disk.ts';
import { fileOf } from './script-output.ts';
import type { Life } from './timeline.ts';

export type RunnerParts = {
  readonly host: AgentHost;
  /** Of the agent's process. */
  readonly life: Life;
  readonly tell: (input: Input) => void;
  readonly onLog: () => void;
};

const noOutput = new Uint8Array();
/** A coordinator that is away is asked again for as long as it takes. */
const contentRetryMs = 1_000;

class Log implements LogStream {
  readonly attempt: string;
  readonly stream: StreamName;
  readonly #text: () => string;
  #finalLength: number | undefined;

  constructor(attempt: string, stream: StreamName, text: () => string, finalLength?: number) {
    this.attempt = attempt;
    this.stream = stream;
    this.#text = text;
    this.#finalLength = finalLength;
  }

  isFinal(): boolean {
    return this.#finalLength !== undefined;
  }

  length(): number {
    return this.#finalLength ?? this.#text().length;
  }

  finish(): number {
    this.#finalLength ??= this.#text().length;
    return this.#finalLength;
  }

  read(offset: number, bytesMax: number): LogPiece {
    const left = this.length() - offset;
    const bytes = Buffer.from(this.#text().slice(offset, offset + Math.min(left, bytesMax)), 'latin1');
    return bytes.length > 0 ? { kind: 'bytes', offset, bytes } : { kind: 'gap', offset, length: left };
  }
}

type Prepared = Extract<Input, { readonly kind: 'prepared' }>['prepared'];

type Logs = { readonly stdout: Log; readonly stderr: Log };

export class Runner {
  readonly #parts: RunnerParts;
  /** Oldest attempt first. */
  readonly #logs = new Map<string, Logs>();
  #preparing: string | undefined;
  #running: { readonly attempt: string; readonly execution: ExecutionFolder; stopped: boolean } | undefined;

  constructor(parts: RunnerParts) {
    this.#parts = parts;
  }

  restore(held: readonly string[], ended: readonly AttemptResult[]): void {
    for (const { attempt, logs } of ended) this.#logs.set(attempt, this.#newLogs(attempt, logs));
    const { folders } = this.#parts.host.disk;
    const needed = new Set([...held, ...this.#logs.keys()]);
    for (const attempt of folders.keys()) if (!needed.has(attempt)) folders.delete(attempt);
  }

  logs(): readonly LogStream[] {
    return [...this.#logs.values()].flatMap(({ stdout, stderr }) => [stdout, stderr]);
  }

  prepare({ attempt, specification }: Job): void {
    const { host } = this.#parts;
    this.#preparing = attempt;
    this.#later(host.random.chance(0.9) ? 30 : 3_000, () => this.#fetch(attempt, specification));
  }

  /** What the inputs name by digest comes from the coordinator. */
  #fetch(attempt: string, specification: JobSpecification): void {
    const { host, tell } = this.#parts;
    const over = (prepared: Prepared): void => {
      this.#preparing = undefined;
      tell({ kind: 'prepared', attempt, prepared });
    };
    if (this.#preparing !== attempt) {
      over({ ok: false, reason: 'given up' });
      return;
    }
    const params: Record<string, unknown> = {};
    for (const [name, input] of Object.entries(specification.inputs)) {
      if ('value' in input) {
        params[name] = input.value;
        continue;
      }
      const text = host.network.fetch(host, 'blob' in input ? input.blob : input.file);
      if (text === undefined) {
        this.#later(contentRetryMs, () => this.#fetch(attempt, specification));
        return;
      }
      if (text === null) {
        over({ ok: false, reason: `there is no content for ${name}` });
        return;
      }
      params[name] = 'blob' in input ? JSON.parse(text) : `in/${input.name}`;
    }
    host.disk.folder(attempt).params = params;
    over({ ok: true, params });
  }

  /** Until the coordinator has them. */
  upload(number: number, digests: readonly string[], lineage: string): void {
    const { host, tell } = this.#parts;
    const has = (digest: string): boolean => {
      const text = host.disk.files.get(digest);
      return text === undefined || host.network.upload(host, digest, text);
    };
    this.#later(200 * host.random.next(), () => {
      if (digests.every(has)) this.#later(20, () => tell({ kind: 'files-uploaded', number, lineage }));
      else this.#later(contentRetryMs, () => this.upload(number, digests, lineage));
    });
  }

  abandonPreparation(attempt: string): void {
    if (this.#preparing === attempt) this.#preparing = undefined;
  }

  execute({ attempt }: Job, number: number, phase: Phase): void {
    const { host } = this.#parts;
    const folder = host.disk.folder(attempt);
    const execution: ExecutionFolder = {
      number,
      phase,
      claim: 'unclaimed',
      status: undefined,
      output: noOutput,
    };
    folder.executions.set(number, execution);
    host.spawn(attempt, folder, execution);
    this.#watch(attempt, execution);
  }

  stop(attempt: string): void {
    const running = this.#running;
    if (running?.attempt !== attempt || running.stopped) return;
    const { execution } = running;
    running.stopped = execution.status === undefined;
    if (execution.claim === 'unclaimed') execution.claim = 'void';
    else this.#parts.host.scriptOf(execution)?.stop();
  }

  recover({ attempt }: Job): void {
    const { host, tell } = this.#parts;
    const folder = host.disk.folder(attempt);
    const places = [...folder.executions.values()].sort((a, b) => a.number - b.number);
    const last = places.at(-1);
    const params = places.length === 0 ? {} : folder.params;
    const ended = places
      .slice(0, -1)
      .flatMap(({ number, phase, claim, status, output }): Execution[] =>
        claim !== 'supervised' || status === undefined ? [] : [{ number, phase, status, output }],
      );
    const recovered = (what: Recovery['last']): void =>
      tell({ kind: 'recovered', attempt, recovery: { params, ended, last: what } });
    if (last === undefined) {
      recovered({ kind: 'none' });
      return;
    }
    if (last.claim === 'unclaimed') last.claim = 'void';
    if (last.claim === 'void') {
      recovered({ kind: 'not-executed', number: last.number });
      return;
    }
    recovered({ kind: 'running', number: last.number, phase: last.phase });
    this.#watch(attempt, last);
  }

  collect(attempt: string, files: Readonly<Record<string, string>>): void {
    const { host, tell, onLog } = this.#parts;
    const digests: Record<string, string> = {};
    for (const [name, path] of Object.entries(files)) {
      const { digest, text } = fileOf(attempt, path);
      host.disk.files.set(digest, text);
      digests[name] = digest;
    }
    this.#later(this.#parts.host.random.chance(0.9) ? 1 : 500, () => {
      const { stdout, stderr } = this.#logsOf(attempt);
      const logs = { stdout: stdout.finish(), stderr: stderr.finish() };
      if (logs.stdout + logs.stderr === 0) this.#logs.delete(attempt);
      tell({ kind: 'collected', attempt, logs, files: { ok: true, digests } });
      onLog();
    });
  }

  dropLogs(attempt: string): void {
    this.#logs.delete(attempt);
  }

  forget(attempt: string): void {
    this.dropLogs(attempt);
    this.#parts.host.disk.folders.delete(attempt);
  }

  /** A script of this host printed something. */
  heard(attempt: string): void {
    if (this.#running?.attempt !== attempt) return;
    this.#later(limits.logPollMs, () => {
      this.#logsOf(attempt);
      this.#parts.onLog();
    });
  }

  #watch(attempt: string, execution: ExecutionFolder): void {
    const running = { attempt, execution, stopped: false };
    this.#running = running;
    const script = this.#parts.host.scriptOf(execution);
    const ended = (): void => {
      const delayMs = this.#parts.host.random.chance(0.9) ? 5 : limits.executionPollMs;
      this.#later(delayMs, () => {
        if (this.#running === running) this.#running = undefined;
        this.#parts.tell({ kind: 'executed', attempt, number: execution.number, end: this.#endOf(running) });
      });
    };
    if (script === undefined) ended();
    else script.watcher = () => this.#parts.life.alive && ended();
  }

  #endOf({ execution, stopped }: { execution: ExecutionFolder; stopped: boolean }): ExecutionEnd {
    const { status, output } = execution;
    if (status !== undefined) return { kind: 'exited', status, output, stopped };
    if (execution.claim === 'unclaimed') execution.claim = 'void';
    return execution.claim === 'void' ? { kind: 'not-executed' } : { kind: 'lost' };
  }

  #logsOf(attempt: string): Logs {
    const known = this.#logs.get(attempt) ?? this.#newLogs(attempt);
    this.#logs.set(attempt, known);
    return known;
  }

  #newLogs(attempt: string, final?: AttemptResult['logs']): Logs {
    const { disk } = this.#parts.host;
    const log = (stream: StreamName): Log =>
      new Log(attempt, stream, () => disk.folders.get(attempt)?.printed[stream] ?? '', final?.[stream]);
    return { stdout: log('stdout'), stderr: log('stderr') };
  }

  #later(ms: number, run: () => void): void {
    this.#parts.host.timeline.after(ms, run, this.#parts.life);
  }
}
