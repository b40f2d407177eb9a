/**
 * What has to be done from time to time and by nobody in particular: archive ended runs, make snapshots,
 * compress and delete what is old. One thing after the other, beside the loop; what fails is tried again.
 */
import { LockstepError, messageOf } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import type { Retention } from '../config.ts';
import { isAuditEvent } from '../core/event-types.ts';
import type { Run, State } from '../core/state.ts';
import { archiveSegments, retainJournal } from '../journal/archive.ts';
import { listPlain } from '../journal/segment-folder.ts';
import { oldestSnapshot } from '../journal/snapshots.ts';
import type { Logger } from '../log.ts';
import type { Sequencer } from '../sequencer.ts';
import type { Clock } from './clock.ts';
import type { Disk } from './disk.ts';
import { addFromEvent, addFromText, type NamedDigests } from './named-digests.ts';
import type { RecentNames } from './recent-names.ts';
import { runSnapshotProcess } from './snapshot-process.ts';
import type { SnapshotReport } from './snapshot-writer.ts';
import { staleSecrets } from './stale-secrets.ts';
import { UpkeepPauses } from './upkeep-pauses.ts';

export type UpkeepParts = {
  readonly dataFolder: string;
  readonly retention: Retention;
  readonly disk: Disk;
  readonly sequencer: Sequencer;
  readonly clock: Clock;
  readonly recentNames: RecentNames;
  readonly retainLogs: (policy: { now: number; keptMs: number; keptBytes: number }) => Promise<number>;
  /** A run as people will see it when it is archived. */
  readonly describeRun: (run: Run) => unknown;
  readonly log: Logger;
};

export class Upkeep {
  readonly #parts: UpkeepParts;
  readonly #stop = new AbortController();
  readonly #timer: NodeJS.Timeout;
  #running: Promise<void> | null = null;
  /** Up to which seq secrets that nothing needs any more were deleted. */
  #secretsSeq = 0;
  #logsRetainedAt = 0;
  #blobsCollectedAt: number;
  readonly #pauses = new UpkeepPauses();

  constructor(parts: UpkeepParts) {
    this.#parts = parts;
    // Not before clients that were told "it is stored" by the process before this one have had their time.
    this.#blobsCollectedAt = parts.clock.now() - limits.blobCollectionIntervalMs + limits.blobAgeMinMs;
    this.#timer = setInterval(() => void this.once(), limits.upkeepIntervalMs);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#stop.abort();
    await this.#running;
  }

  /** Resolves when nothing is under way any more, and nothing will be before the pause has ended. */
  async pause(id: string): Promise<void> {
    this.#pauses.begin(id);
    await this.#running;
  }

  renewPause(id: string): void {
    this.#pauses.renew(id);
  }

  endPause(id: string): void {
    this.#pauses.end(id);
  }

  /** Does now what is due. What is under way is not begun again. */
  once(): Promise<void> {
    if (this.#pauses.any) return Promise.resolve();
    this.#running ??= this.#all().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  async #all(): Promise<void> {
    // Also while nothing can be decided: for want of room for secrets, perhaps.
    await this.#attempt('delete secrets that nothing needs any more', () => this.#forgetSecrets());
    if (this.#parts.sequencer.stalled !== null) return;
    await this.#attempt('archive runs', () => this.#archiveRuns());
    await this.#attempt('make a snapshot', () => this.#keepJournalShort());
    await this.#attempt('delete old logs', () => this.#deleteOldLogs());
  }

  async #attempt(what: string, work: () => Promise<void>): Promise<void> {
    if (this.#stop.signal.aborted || this.#pauses.any) return;
    try {
      await work();
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      this.#parts.log.error(`could not ${what}, which is tried again: ${messageOf(error)}`);
    }
  }

  async #archiveRuns(): Promise<void> {
    const { sequencer, disk, retention, describeRun } = this.#parts;
    for (const id of await sequencer.read((state) => endedRuns(state, retention.runs))) {
      const document = await sequencer.read((state) => {
        const run = state.runs.get(id);
        return run === undefined ? undefined : JSON.stringify(describeRun(run));
      });
      if (document === undefined || this.#stop.signal.aborted) continue;
      const digest = await disk.blobs.put(document);
      await sequencer.submit({ type: 'ArchiveRun', run: id, digest });
    }
  }

  async #forgetSecrets(): Promise<void> {
    const { sequencer, disk } = this.#parts;
    const stored = [...disk.secrets.references()];
    const { stale, seq } = await sequencer.read((state) => ({
      stale: state.seq === this.#secretsSeq ? [] : staleSecrets(stored, state),
      seq: state.seq,
    }));
    await disk.secrets.delete(stale);
    this.#secretsSeq = seq;
  }

  async #keepJournalShort(): Promise<void> {
    const { dataFolder, disk, retention, clock, log } = this.#parts;
    const { journal, snapshots } = disk.places;
    const begun = clock.now();
    if ((await listPlain(journal)).length < 2) return;
    const report = await runSnapshotProcess(dataFolder, this.#stop.signal);
    if (report === undefined) return;
    log.info({ seq: report.seq, ms: clock.now() - begun }, 'made a snapshot');
    await archiveSegments(journal, report.seq);
    const { deleted } = await retainJournal(journal, {
      now: clock.now(),
      keepFrom: (await oldestSnapshot(snapshots)) ?? 1,
      isAudit: (stored) => isTyped(stored) && isAuditEvent(stored),
      keptMs: retention.eventsMs,
      keptBytes: retention.eventsBytes,
      auditKeptMs: retention.auditMs,
    });
    if (deleted.length > 0)
      log.info({ segments: deleted.length }, 'deleted events that are over age or size');
    await this.#collectBlobs(report);
  }

  async #collectBlobs(report: SnapshotReport): Promise<void> {
    const { clock, disk, recentNames, log } = this.#parts;
    if (clock.now() - this.#blobsCollectedAt < limits.blobCollectionIntervalMs) return;
    this.#blobsCollectedAt = clock.now();
    const named = await this.#namedNow(report);
    const isLive = (digest: string): boolean => named.all.has(digest) || recentNames.has(digest, clock.now());
    const { deleted, bytes } = await disk.blobs.collect(isLive, Date.now());
    if (deleted > 0) log.info({ blobs: deleted, bytes }, 'deleted blobs that nothing names any more');
  }

  /** What the state names is what it named at the snapshot, or what an event after it named. */
  async #namedNow(report: SnapshotReport): Promise<NamedDigests> {
    const { journal, blobs } = this.#parts.disk;
    const named: NamedDigests = { all: new Set(report.all), naming: new Set(report.naming) };
    for await (const page of journal.read({ from: report.seq + 1 }))
      for (const event of page) addFromEvent(named, event);
    for (const digest of named.naming) {
      // One that is not there names nothing any more.
      const content = await blobs.read(digest).catch((error: unknown) => {
        if (error instanceof LockstepError && error.code === 'not-found') return '';
        throw error;
      });
      addFromText(named, content.toString());
    }
    return named;
  }

  async #deleteOldLogs(): Promise<void> {
    const { retention, clock, retainLogs } = this.#parts;
    const now = clock.now();
    if (now - this.#logsRetainedAt < limits.logRetentionIntervalMs) return;
    this.#logsRetainedAt = now;
    await retainLogs({ now, keptMs: retention.logsMs, keptBytes: retention.logsBytes });
  }
}

/** The oldest of the ended runs that are more than may be kept, or whose jobs are; the newest stays. */
function endedRuns(state: State, kept: number): readonly string[] {
  const ended = [...state.runs.values()].filter((run) => run.end !== null);
  const newestFirst = ended.sort(
    (a, b) => (b.end?.at ?? 0) - (a.end?.at ?? 0) || b.createdSeq - a.createdSeq,
  );
  const surplus: string[] = [];
  let jobs = 0;
  for (const [index, run] of newestFirst.entries()) {
    for (const step of run.steps) jobs += step.jobs.size;
    if (index >= kept || (index > 0 && jobs > limits.jobsKeptMax)) surplus.push(run.id);
  }
  return surplus.toReversed();
}

const isTyped = (stored: unknown): stored is { readonly type: string } =>
  typeof stored === 'object' && stored !== null && 'type' in stored && typeof stored.type === 'string';
