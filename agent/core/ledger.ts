/**
 * What an agent must not forget: the jobs that it accepted, the results that nobody acknowledged yet, and
 * which attempts it has executed. The ledger is a fold of records; a record is durable before anything that
 * follows from it leaves the process. Deciding which records to write does not belong here.
 */
import { present } from '../../shared/assert.ts';
import { attemptIdOf, parseAttemptId } from '../../shared/ids.ts';
import { limits } from '../../shared/limits.ts';
import type { AttemptResult, JobSpecification } from '../../shared/messages.ts';

/** The monotonic clock counts from the boot of the host, so it means nothing without its boot instance. */
export type Instant = { readonly monotonicMs: number; readonly wallMs: number };

export type LedgerRecord =
  | {
      readonly kind: 'granted';
      readonly lineage: string;
      readonly boot: string;
      readonly jobs: readonly JobSpecification[];
      /** By the monotonic clock of that boot: what has not begun by then never does. Null for no such time. */
      readonly expiresAtMs: number | null;
    }
  /** Fsynced before the first process of the attempt, so an attempt without it never began. */
  | { readonly kind: 'begun'; readonly attempt: string; readonly at: Instant }
  | {
      readonly kind: 'ended';
      readonly lineage: string;
      readonly number: number;
      readonly result: AttemptResult;
      /** Digests of `file` outputs, kept here until the result is acknowledged. */
      readonly files: readonly string[];
      /** Whether the result holds secret values, which are not remembered longer than needed. */
      readonly secret: boolean;
      /** When the next attempt of the same grant may begin; only for a result that is not final. */
      readonly retryAtMs: number | null;
    }
  /** `wanted` with the result of its attempt, `begun` just before the host is told, `withdrawn` when it may not be any more. */
  | {
      readonly kind: 'reboot';
      readonly attempt: string;
      readonly boot: string;
      readonly stage: 'wanted' | 'begun' | 'withdrawn';
    }
  | { readonly kind: 'acknowledged'; readonly upTo: number }
  | { readonly kind: 'logs-acknowledged'; readonly attempt: string };

export type Job = {
  /** The first attempt id of the grant that it came with: a final failure ends the rest of that grant. */
  readonly segment: string;
  readonly lineage: string;
  readonly boot: string;
  readonly specification: JobSpecification;
  /** The attempt that runs now, or runs next. */
  readonly attempt: string;
  readonly begun: Instant | null;
  readonly notBeforeMs: number;
  /** Null when it never expires. */
  readonly expiresAtMs: number | null;
};

export type EndedAttempt = {
  readonly number: number;
  readonly lineage: string;
  readonly result: AttemptResult;
  readonly files: readonly string[];
  readonly secret: boolean;
  readonly acknowledged: boolean;
  readonly logsAcknowledged: boolean;
};

export type FinishedAttempt = {
  readonly attempt: string;
  readonly lineage: string;
  /** Null when it was too large or secret to be kept after its acknowledgement. */
  readonly result: AttemptResult | null;
  /** It names files that only the lineage which acknowledged it has. */
  readonly withFiles?: boolean | undefined;
};

/** The last reboot that a job asked for; it is over when the boot instance is another one. */
export type Reboot = { readonly attempt: string; readonly boot: string; readonly begun: boolean };

export type Ledger = {
  readonly nextNumber: number;
  readonly reboot: Reboot | null;
  readonly jobs: readonly Job[];
  /** By number. */
  readonly ended: readonly EndedAttempt[];
  /** Oldest first. */
  readonly finished: readonly FinishedAttempt[];
};

export const emptyLedger: Ledger = { nextNumber: 1, reboot: null, jobs: [], ended: [], finished: [] };

/** Whether something that leaves the process rests on this record. The others only save repetition. */
export function mustBeDurable(record: LedgerRecord): boolean {
  return record.kind !== 'acknowledged' && record.kind !== 'logs-acknowledged';
}

export function evolveLedger(ledger: Ledger, record: LedgerRecord): Ledger {
  switch (record.kind) {
    case 'granted':
      return { ...ledger, jobs: [...ledger.jobs, ...jobsOf(record)] };
    case 'begun':
      return {
        ...ledger,
        jobs: ledger.jobs.map((job) => (job.attempt === record.attempt ? { ...job, begun: record.at } : job)),
      };
    case 'ended':
      return {
        ...ledger,
        nextNumber: Math.max(ledger.nextNumber, record.number + 1),
        jobs: jobsAfter(ledger.jobs, record),
        ended: [...ledger.ended, endedOf(record, ledger)],
        finished: ledger.finished.filter((finished) => finished.attempt !== record.result.attempt),
      };
    case 'reboot': {
      const { attempt, boot, stage } = record;
      return {
        ...ledger,
        reboot: stage === 'withdrawn' ? null : { attempt, boot, begun: stage === 'begun' },
      };
    }
    case 'acknowledged':
      return settle({
        ...ledger,
        ended: ledger.ended.map((ended) =>
          ended.number <= record.upTo ? { ...ended, acknowledged: true } : ended,
        ),
      });
    case 'logs-acknowledged':
      return settle({
        ...ledger,
        ended: ledger.ended.map((ended) =>
          ended.result.attempt === record.attempt ? { ...ended, logsAcknowledged: true } : ended,
        ),
      });
  }
}

function jobsOf(record: LedgerRecord & { kind: 'granted' }): readonly Job[] {
  const segment = present(record.jobs[0], 'the first job of a grant').attempt;
  return record.jobs.map((specification) => ({
    segment,
    lineage: record.lineage,
    boot: record.boot,
    specification,
    attempt: specification.attempt,
    begun: null,
    notBeforeMs: 0,
    expiresAtMs: record.expiresAtMs,
  }));
}

function jobsAfter(jobs: readonly Job[], record: LedgerRecord & { kind: 'ended' }): readonly Job[] {
  const { result, retryAtMs } = record;
  if (result.final) return jobs.filter((job) => job.attempt !== result.attempt);
  return jobs.map((job) =>
    job.attempt === result.attempt
      ? { ...job, attempt: attemptAfter(job.attempt), begun: null, notBeforeMs: retryAtMs ?? 0 }
      : job,
  );
}

function endedOf(record: LedgerRecord & { kind: 'ended' }, ledger: Ledger): EndedAttempt {
  const { number, lineage, result, files, secret } = record;
  // A result that is repeated was finished before: its logs are long where they belong.
  const isRepeated = ledger.finished.some((finished) => finished.attempt === result.attempt);
  const logsAcknowledged = isRepeated || (result.logs.stdout === 0 && result.logs.stderr === 0);
  return { number, lineage, result, files, secret, acknowledged: false, logsAcknowledged };
}

/** Moves what both acknowledgements cover to the bounded memory of finished attempts. */
function settle(ledger: Ledger): Ledger {
  const done = (ended: EndedAttempt): boolean => ended.acknowledged && ended.logsAcknowledged;
  const finished = ledger.ended.filter(done).map(
    ({ lineage, result, secret, files }): FinishedAttempt => ({
      attempt: result.attempt,
      lineage,
      result: secret || JSON.stringify(result).length > limits.agentFinishedResultBytesMax ? null : result,
      ...(files.length === 0 ? {} : { withFiles: true }),
    }),
  );
  if (finished.length === 0) return ledger;
  return {
    ...ledger,
    ended: ledger.ended.filter((ended) => !done(ended)),
    finished: forgetOldest([...ledger.finished, ...finished]),
  };
}

/** Keeps the newest, and beyond that the whole run of the newest, because only its grants can still repeat. */
function forgetOldest(finished: readonly FinishedAttempt[]): readonly FinishedAttempt[] {
  const current = runOf(finished.at(-1));
  let first = 0;
  while (
    finished.length - first > limits.agentFinishedKept &&
    (finished.length - first > limits.agentFinishedMax || runOf(finished[first]) !== current)
  ) {
    first += 1;
  }
  return first === 0 ? finished : finished.slice(first);
}

const runOf = (finished: FinishedAttempt | undefined): string | undefined =>
  finished?.attempt.slice(0, finished.attempt.indexOf('/'));

function numberOf(attempt: string): { readonly job: string; readonly attempt: number } {
  return present(parseAttemptId(attempt), `the parts of attempt id ${attempt}`);
}

function attemptAfter(attempt: string): string {
  const name = numberOf(attempt);
  return attemptIdOf(name.job, name.attempt + 1);
}

/** How many attempts of the grant were made before the current one. */
export function retriesOf(job: Job): number {
  return numberOf(job.attempt).attempt - numberOf(job.specification.attempt).attempt;
}

/** Whether nothing of the job was begun, in this attempt or an earlier one of its grant. */
export const isUntouched = (job: Job): boolean => job.begun === null && retriesOf(job) === 0;

/** Whether an attempt id is one of those that a grant allows. */
export function covers(job: Job, attempt: string): boolean {
  const asked = numberOf(attempt);
  const first = numberOf(job.specification.attempt);
  return (
    asked.job === first.job &&
    asked.attempt >= first.attempt &&
    asked.attempt < first.attempt + job.specification.attemptsMax
  );
}

export type Known =
  | { readonly kind: 'held'; readonly job: Job }
  | { readonly kind: 'ended'; readonly ended: EndedAttempt }
  | { readonly kind: 'finished'; readonly finished: FinishedAttempt }
  /** A later attempt of the same job is known: this one must not come to life any more. */
  | { readonly kind: 'superseded'; readonly by: string }
  | { readonly kind: 'new' };

/**
 * What the ledger knows of an attempt that somebody grants, with its retries, or cancels. Of a grant that was
 * finished the last attempt tells what came of it.
 */
export function lookUp(ledger: Ledger, attempt: string, attemptsMax: number): Known {
  const job = ledger.jobs.find((held) => covers(held, attempt));
  if (job !== undefined) return { kind: 'held', job };
  const isGranted = within(attempt, attemptsMax);
  const ended = ledger.ended.findLast(({ result }) => isGranted(result.attempt));
  if (ended !== undefined) return { kind: 'ended', ended };
  const finished = ledger.finished.findLast((one) => isGranted(one.attempt));
  if (finished !== undefined) return { kind: 'finished', finished };
  const later = laterAttempt(ledger, attempt);
  return later === undefined ? { kind: 'new' } : { kind: 'superseded', by: later };
}

/** Whether an attempt id is one of so many, counted from the first. */
function within(first: string, count: number): (attempt: string) => boolean {
  const { job, attempt: from } = numberOf(first);
  const prefix = `${job}#`;
  return (attempt) => {
    if (!attempt.startsWith(prefix)) return false;
    const number = Number(attempt.slice(prefix.length));
    return number >= from && number < from + count;
  };
}

function laterAttempt({ ended, finished }: Ledger, attempt: string): string | undefined {
  const asked = numberOf(attempt);
  const prefix = `${asked.job}#`;
  const isLater = (other: string): boolean =>
    other.startsWith(prefix) && Number(other.slice(prefix.length)) > asked.attempt;
  return (
    ended.find(({ result }) => isLater(result.attempt))?.result.attempt ??
    finished.find((one) => isLater(one.attempt))?.attempt
  );
}

/** What the jobs that are held will ask for, or have links to. */
export function pinnedDigests({ jobs }: Ledger): ReadonlySet<string> {
  const pinned = new Set<string>();
  for (const { specification } of jobs) {
    const { check, run, verify, bundle, inputs } = specification;
    for (const script of [check, run, verify?.script]) {
      if (script !== undefined && 'digest' in script.source) pinned.add(script.source.digest);
    }
    for (const input of Object.values(inputs)) {
      if ('blob' in input) pinned.add(input.blob);
      if ('file' in input) pinned.add(input.file);
    }
    if (bundle !== undefined) pinned.add(bundle);
  }
  return pinned;
}
