/**
 * What becomes of sealed segments: compressed once a snapshot covers them, deleted by age and size, their
 * audit events kept longer. All of it works on the folder alone, so it runs in the coordinator or in the child
 * that makes snapshots, but in one of them at a time.
 *
 * Order, so that a crash anywhere loses nothing: the new file is durable and has been read back before the old
 * one goes. What a crash leaves is a file that exists in both places, and the next call goes on from there.
 */
import { createReadStream } from 'node:fs';
import { type FileHandle, stat, unlink, utimes } from 'node:fs/promises';
import path from 'node:path';
import { Readable, type Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress } from 'node:zlib';
import { makeFolder, replaceFile, sweepTemporaries, syncFolder } from '../../shared/disk/durable-file.ts';
import { expiredFiles } from '../../shared/disk/retention.ts';
import { limits } from '../../shared/limits.ts';
import { storedEvent } from './chain.ts';
import {
  type ArchivedSegment,
  archiveFolder,
  auditFolder,
  damagedAt,
  listPlain,
  listRanges,
  type PlainSegment,
  rangeName,
} from './segment-folder.ts';
import { readLines, readSegment } from './segment-reader.ts';

/** With a checksum of the whole text, so that files whose lines are no chain can be trusted too. */
const compressor = (): Transform => createZstdCompress({ params: { [constants.ZSTD_c_checksumFlag]: 1 } });

function compressInto(handle: FileHandle, text: Readable): Promise<void> {
  return pipeline(text, compressor(), async (chunks: AsyncIterable<Buffer>) => {
    for await (const chunk of chunks) await handle.appendFile(chunk);
  });
}

/**
 * Compresses every sealed segment whose last event is at most `coveredSeq`, the seq of a durable snapshot.
 * Reads go on through the archive. Throws `damaged`, leaving the segment as it is, when it does not verify.
 */
export async function archiveSegments(
  folder: string,
  coveredSeq: number,
): Promise<readonly ArchivedSegment[]> {
  await makeFolder(archiveFolder(folder));
  await sweepTemporaries(archiveFolder(folder));
  const plain = await listPlain(folder);
  const archived: ArchivedSegment[] = [];
  for (const [index, segment] of plain.entries()) {
    const following = plain[index + 1];
    if (following === undefined || following.first - 1 > coveredSeq) break;
    archived.push(await archiveSegment(folder, segment, following.first - 1));
  }
  return archived;
}

async function archiveSegment(folder: string, segment: PlainSegment, last: number): Promise<ArchivedSegment> {
  const { first } = segment;
  const file = path.join(archiveFolder(folder), rangeName(first, last));
  const archived: ArchivedSegment = { kind: 'archived', file, first, last };
  await replaceFile(file, (handle) => compressInto(handle, createReadStream(segment.file)));
  let newestAt = 0;
  for await (const { at } of readSegment(archived, { from: first, to: last })) newestAt = at;
  await setNewest(file, newestAt);
  await unlink(segment.file);
  await syncFolder(folder);
  return archived;
}

/** Retention goes by the time of the newest event, which the file's own time carries. */
const setNewest = (file: string, newestAt: number): Promise<void> =>
  utimes(file, newestAt / 1000, newestAt / 1000);

export type JournalRetention = {
  readonly now: number;
  /** Events from here on stay: the seq of the oldest snapshot that is kept. */
  readonly keepFrom: number;
  readonly isAudit: (stored: unknown) => boolean;
  readonly keptMs?: number;
  readonly keptBytes?: number;
  readonly auditKeptMs?: number;
};

/** Deletes the oldest archives that are over age or size, after their audit events are safe. */
export async function retainJournal(
  folder: string,
  retention: JournalRetention,
): Promise<{
  readonly deleted: readonly ArchivedSegment[];
  readonly auditDeleted: readonly ArchivedSegment[];
}> {
  const { now, keepFrom, isAudit } = retention;
  const policy = {
    now,
    keptMs: retention.keptMs ?? limits.journalKeptMs,
    keptBytes: retention.keptBytes ?? limits.journalKeptBytesMax,
  };
  const deleted = expiredFiles(await withSizes(archiveFolder(folder)), policy, ({ last }) => last < keepFrom);
  for (const archived of deleted) {
    await keepAudit(folder, archived, isAudit);
    await unlink(archived.file);
  }
  if (deleted.length > 0) await syncFolder(archiveFolder(folder));

  const auditPolicy = {
    now,
    keptMs: retention.auditKeptMs ?? limits.auditKeptMs,
    keptBytes: Number.POSITIVE_INFINITY,
  };
  const auditDeleted = expiredFiles(await withSizes(auditFolder(folder)), auditPolicy, () => true);
  for (const { file } of auditDeleted) await unlink(file);
  return { deleted, auditDeleted };
}

type Sized = ArchivedSegment & { readonly bytes: number; readonly newestAt: number };

async function withSizes(folder: string): Promise<readonly Sized[]> {
  const sized: Sized[] = [];
  for (const segment of await listRanges(folder)) {
    const { size, mtimeMs } = await stat(segment.file);
    sized.push({ ...segment, bytes: size, newestAt: mtimeMs });
  }
  return sized;
}

/** The lines of audit events as they stood in the journal, in a file that is named by the range they are of. */
async function keepAudit(
  folder: string,
  archived: Sized,
  isAudit: (stored: unknown) => boolean,
): Promise<void> {
  const { first, last, newestAt } = archived;
  const kept: string[] = [];
  for await (const { events, lines } of readSegment(archived, { from: first, to: last })) {
    for (const [index, line] of lines.entries()) if (isAudit(events[index])) kept.push(`${line}\n`);
  }
  if (kept.length === 0) return;
  await makeFolder(auditFolder(folder));
  await sweepTemporaries(auditFolder(folder));
  const file = path.join(auditFolder(folder), rangeName(first, last));
  await replaceFile(file, (handle) => compressInto(handle, Readable.from(kept)));
  await setNewest(file, newestAt);
}

/**
 * Audit events from `from` on whose segments retention has deleted; the later ones are still in the journal.
 * There is one page for each such segment.
 */
export async function* readAudit(folder: string, from: number): AsyncGenerator<readonly unknown[]> {
  for (const segment of await listRanges(auditFolder(folder))) {
    if (segment.last < from) continue;
    const events: unknown[] = [];
    for await (const line of readLines(segment)) {
      const stored = storedEvent(line);
      if (stored === undefined) throw damagedAt(segment, 0, segment.first, 'a line is not an event');
      if (stored.seq >= from) events.push(stored.event);
    }
    yield events;
  }
}
