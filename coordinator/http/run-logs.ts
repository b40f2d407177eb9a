/**
 * What the jobs of a run print, attempt by attempt; followed, as it comes, until the run has ended and all that
 * its agents announced is there. Which text people see is in log-text.ts.
 */
import { attemptIdOf, jobIdOf } from '../../shared/ids.ts';
import { limits } from '../../shared/limits.ts';
import type { Job, Run } from '../core/state.ts';
import type { LogPiece, LogsPort, StreamName, StreamOffsets } from './ports.ts';

export type LogQuery = {
  readonly step?: string | undefined;
  readonly node?: string | undefined;
  readonly attempt?: number | undefined;
  readonly stream?: StreamName | undefined;
  readonly tailBytes?: number | undefined;
};

export type AttemptPiece = { readonly attempt: string; readonly piece: LogPiece };

/** What there is to read of a run at one moment. */
export type LogOutline = {
  /** In order of steps, then nodes, then numbers. */
  readonly attempts: readonly string[];
  /** Nothing new will be begun. */
  readonly ended: boolean;
  /** How much an attempt has printed, where its result said so. */
  readonly lengths: ReadonlyMap<string, StreamOffsets>;
};

type PrintedJob = {
  readonly id: string;
  readonly step: string;
  readonly node: string;
  readonly attempt: number;
  readonly ended?: { readonly attempt: number; readonly lengths: StreamOffsets } | undefined;
};

export const outlineRun = (run: Run, query: LogQuery): LogOutline =>
  outlineJobs(
    run.steps.flatMap(({ jobs }) => [...jobs.values()].map(printedBy)),
    run.end !== null,
    query,
  );

export function outlineJobs(jobs: readonly PrintedJob[], ended: boolean, query: LogQuery): LogOutline {
  const attempts: string[] = [];
  const lengths = new Map<string, StreamOffsets>();
  for (const job of jobs) {
    if (query.step !== undefined && query.step !== job.step) continue;
    if (query.node !== undefined && query.node !== job.node) continue;
    for (let number = 1; number <= job.attempt; number += 1)
      if (query.attempt === undefined || query.attempt === number) attempts.push(attemptIdOf(job.id, number));
    if (job.ended !== undefined) lengths.set(attemptIdOf(job.id, job.ended.attempt), job.ended.lengths);
  }
  return { attempts, ended, lengths };
}

function printedBy({ run, step, member, attempt, endedAttempt, logs }: Job): PrintedJob {
  const node = member.node.name;
  const ended = logs === null ? undefined : { attempt: endedAttempt, lengths: logs };
  return { id: jobIdOf(run.id, step.step.id, node), step: step.step.id, node, attempt, ended };
}

/** What is on disk now. */
export async function* readRunLogs(
  logs: LogsPort,
  { attempts }: LogOutline,
  query: LogQuery,
): AsyncGenerator<AttemptPiece> {
  const reader = new LogFront(logs, query);
  for (const attempt of attempts) yield* reader.readOn(attempt);
}

/**
 * What is on disk and what comes, until the run has ended and everything that its agents announced is there, or
 * nothing of it has come for long. `null` says that nothing came for a while.
 */
export async function* followRunLogs(
  logs: LogsPort,
  run: string,
  query: LogQuery,
  outline: () => Promise<LogOutline>,
  signal: AbortSignal,
): AsyncGenerator<AttemptPiece | null> {
  const reader = new LogFront(logs, query);
  const news = new LogNews(logs, run);
  const known = new Set<string>();
  let saidAt = performance.now();
  try {
    while (!signal.aborted) {
      const seen = await outline();
      const fresh = seen.attempts.filter((attempt) => !known.has(attempt));
      for (const attempt of fresh) known.add(attempt);
      for (const attempt of new Set([...fresh, ...news.take()])) {
        if (!known.has(attempt)) continue;
        for await (const piece of reader.readOn(attempt)) {
          yield piece;
          saidAt = performance.now();
        }
      }
      const silentMs = performance.now() - saidAt;
      if (seen.ended && (reader.hasAll(seen) || silentMs >= limits.logRestWaitMs)) return;
      if (silentMs >= limits.followSilenceMs) {
        yield null;
        saidAt = performance.now();
      }
      await news.wait(limits.logOutlineMs, signal);
    }
  } finally {
    news.close();
  }
}

/** How far each attempt has been read. */
class LogFront {
  readonly #logs: LogsPort;
  readonly #query: LogQuery;
  readonly #ends = new Map<string, { stdout: number; stderr: number }>();

  constructor(logs: LogsPort, query: LogQuery) {
    this.#logs = logs;
    this.#query = query;
  }

  async *readOn(attempt: string): AsyncGenerator<AttemptPiece> {
    for await (const piece of await this.#pieces(attempt)) {
      const ends = this.#ends.get(attempt) ?? { stdout: 0, stderr: 0 };
      ends[piece.stream] = piece.offset + (piece.kind === 'gap' ? piece.bytes : piece.bytes.length);
      this.#ends.set(attempt, ends);
      yield { attempt, piece };
    }
  }

  hasAll({ lengths }: LogOutline): boolean {
    const { stream } = this.#query;
    for (const [attempt, wanted] of lengths) {
      const ends = this.#ends.get(attempt) ?? { stdout: 0, stderr: 0 };
      if (stream !== 'stderr' && ends.stdout < wanted.stdout) return false;
      if (stream !== 'stdout' && ends.stderr < wanted.stderr) return false;
    }
    return true;
  }

  async #pieces(attempt: string): Promise<AsyncIterable<LogPiece> | readonly LogPiece[]> {
    const { stream, tailBytes } = this.#query;
    const from = this.#ends.get(attempt);
    // A tail is of what was there before; what comes after it is read whole.
    if (tailBytes === undefined || from !== undefined) return this.#logs.read(attempt, { stream, from });
    return this.#logs.tail(attempt, { bytes: tailBytes, ...(stream === undefined ? {} : { stream }) });
  }
}

/** Which attempts of a run have more on disk since they were last asked for. */
class LogNews {
  readonly #touched = new Set<string>();
  readonly #unsubscribe: () => void;
  #wake: (() => void) | null = null;

  constructor(logs: LogsPort, run: string) {
    this.#unsubscribe = logs.subscribe((attempts) => {
      for (const attempt of attempts) if (attempt.startsWith(`${run}/`)) this.#touched.add(attempt);
      if (this.#touched.size > 0) this.#wake?.();
    });
  }

  take(): readonly string[] {
    const touched = [...this.#touched];
    this.#touched.clear();
    return touched;
  }

  /** Until there is news, the time is over, or the reader is gone. */
  async wait(ms: number, signal: AbortSignal): Promise<void> {
    if (this.#touched.size > 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
      signal.addEventListener('abort', this.#wake, { once: true });
    });
    if (this.#wake !== null) signal.removeEventListener('abort', this.#wake);
    this.#wake = null;
  }

  close(): void {
    this.#unsubscribe();
  }
}
