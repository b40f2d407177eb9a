/**
 * The segments of the logs on disk: `<number>.log` and, for sealed ones, `<number>.index` beside it. Opening
 * them makes indexes that are missing or do not fit, and repairs what a crash left of the newest.
 */
import { randomInt } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { AppendFile } from '../../shared/disk/append-file.ts';
import {
  isMissing,
  makeFolder,
  removeIfThere,
  sweepTemporaries,
  writeFileDurably,
} from '../../shared/disk/durable-file.ts';
import { LockstepError } from '../../shared/errors.ts';
import { encodeHead, formatNewest } from './log-records.ts';
import { decodeSummary, type IndexSummary, SegmentIndex } from './segment-index.ts';
import { type RecoveredSegment, recoverSegment } from './segment-recovery.ts';

export type SealedSegment = IndexSummary & {
  readonly kind: 'sealed';
  readonly number: number;
  readonly file: string;
  readonly bytes: number;
};

export type ActiveSegment = {
  readonly kind: 'active';
  readonly number: number;
  readonly file: AppendFile;
  readonly salt: number;
  readonly index: SegmentIndex;
  /** Of the last flush. */
  cycle: number;
};

export type Segment = SealedSegment | ActiveSegment;

export type OpenedSegments = {
  /** Oldest first. */
  readonly sealed: SealedSegment[];
  readonly active: ActiveSegment;
  /** Sentences to be logged: what was cut, what is lost. */
  readonly repairs: readonly string[];
};

const namePattern = /^(\d{10})\.log$/;

const logFile = (folder: string, number: number): string =>
  path.join(folder, `${String(number).padStart(10, '0')}.log`);
export const indexFile = (file: string): string => `${file.slice(0, -'.log'.length)}.index`;

export async function openSegments(folder: string): Promise<OpenedSegments> {
  await makeFolder(folder);
  await sweepTemporaries(folder);
  const numbers = await listNumbers(folder);
  const newest = numbers.pop();
  const repairs: string[] = [];
  const sealed: SealedSegment[] = [];
  for (const number of numbers) {
    const segment = await openSealed(logFile(folder, number), number, repairs);
    if (segment !== undefined) sealed.push(segment);
  }
  const active = newest === undefined ? undefined : await resumeNewest(folder, newest, repairs);
  return { sealed, active: active ?? (await beginSegment(folder, (newest ?? 0) + 1)), repairs };
}

/** In order of age. */
async function listNumbers(folder: string): Promise<number[]> {
  const names = await readdir(folder);
  return names
    .flatMap((name) => namePattern.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
}

/** Oldest first; none when there is no folder. */
export async function listSegmentFiles(folder: string): Promise<readonly string[]> {
  const numbers = await listNumbers(folder).catch((error: unknown) => {
    if (isMissing(error)) return [];
    throw error;
  });
  return numbers.map((number) => logFile(folder, number));
}

export async function beginSegment(folder: string, number: number): Promise<ActiveSegment> {
  const salt = randomInt(2 ** 32);
  const file = await AppendFile.create(logFile(folder, number), encodeHead(number, salt));
  return { kind: 'active', number, file, salt, index: new SegmentIndex(), cycle: 0 };
}

/** Makes a segment read-only: its index becomes a file. The caller goes on with another one. */
export async function sealSegment(active: ActiveSegment): Promise<SealedSegment> {
  const { number, index } = active;
  const { path: file, bytes } = active.file;
  await writeFileDurably(indexFile(file), index.encode(bytes));
  const { newestAt } = index;
  return { kind: 'sealed', number, file, bytes, newestAt, fingerprints: index.fingerprints() };
}

/** The index goes first: a segment without one gets it anew, but an index without its segment stays forever. */
export async function removeSegment(segment: SealedSegment): Promise<void> {
  await removeIfThere(indexFile(segment.file));
  await removeIfThere(segment.file);
}

async function openSealed(
  file: string,
  number: number,
  repairs: string[],
): Promise<SealedSegment | undefined> {
  const { size: bytes } = await stat(file);
  const indexed = decodeSummary(await readIndex(file), bytes);
  if (indexed !== undefined) return { kind: 'sealed', number, file, bytes, ...indexed };
  const recovered = recoverSegment(await readFile(file), false);
  if (recovered === undefined) {
    repairs.push(`${file} has no head and is passed over; its logs cannot be read`);
    return undefined;
  }
  checkFormat(file, recovered);
  if (recovered.bytesLost > 0)
    repairs.push(`${file} is damaged: ${recovered.bytesLost} bytes of logs in it are lost`);
  const { index } = recovered;
  await writeFileDurably(indexFile(file), index.encode(bytes));
  return {
    kind: 'sealed',
    number,
    file,
    bytes,
    newestAt: index.newestAt,
    fingerprints: index.fingerprints(),
  };
}

async function resumeNewest(
  folder: string,
  number: number,
  repairs: string[],
): Promise<ActiveSegment | undefined> {
  const file = logFile(folder, number);
  const bytes = await readFile(file);
  const recovered = recoverSegment(bytes, true);
  if (recovered === undefined) {
    repairs.push(`${file} has no head and is passed over; its logs cannot be read`);
    return undefined;
  }
  checkFormat(file, recovered);
  const { head, index, cycle, bytesKept, bytesLost } = recovered;
  const bytesCut = bytes.length - bytesKept;
  if (bytesCut > 0)
    repairs.push(`${file} ended in a half-written flush: ${bytesCut} bytes were cut at ${bytesKept}`);
  if (bytesLost > 0) repairs.push(`${file} is damaged: ${bytesLost} bytes of logs in it are lost`);
  const resumed = await AppendFile.resume(file, bytesKept);
  return { kind: 'active', number, file: resumed, salt: head.salt, index, cycle };
}

async function readIndex(file: string): Promise<Buffer> {
  try {
    return await readFile(indexFile(file));
  } catch (error) {
    if (isMissing(error)) return Buffer.alloc(0);
    throw error;
  }
}

function checkFormat(file: string, { head }: RecoveredSegment): void {
  if (head.format <= formatNewest) return;
  throw new LockstepError(
    'version',
    `cannot read ${file}: it has format ${head.format} and this version knows up to ${formatNewest}; use the version ` +
      'that wrote it, or a newer one',
  );
}
