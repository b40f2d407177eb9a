/**
 * Where segments are and what their names say: `<first seq>.jsonl` in the journal's folder, and compressed
 * `archive/<first>-<last>.jsonl.zst`, seqs padded to 20 digits so that names sort. The newest `.jsonl` is the
 * active one; all others are sealed and never change. Names are the only index: no list of segments is kept
 * anywhere that could disagree with the folder.
 */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { isMissing } from '../../shared/disk/durable-file.ts';
import { LockstepError } from '../../shared/errors.ts';
import { formatNewest } from './chain.ts';

export type PlainSegment = { readonly kind: 'plain'; readonly file: string; readonly first: number };

export type ArchivedSegment = {
  readonly kind: 'archived';
  readonly file: string;
  readonly first: number;
  readonly last: number;
};

export type Segment = PlainSegment | ArchivedSegment;

const plainPattern = /^(\d{20})\.jsonl$/;
const rangePattern = /^(\d{20})-(\d{20})\.jsonl\.zst$/;

const pad = (seq: number): string => String(seq).padStart(20, '0');

export const archiveFolder = (folder: string): string => path.join(folder, 'archive');
export const auditFolder = (folder: string): string => path.join(folder, 'audit');

export const plainName = (first: number): string => `${pad(first)}.jsonl`;
export const rangeName = (first: number, last: number): string => `${pad(first)}-${pad(last)}.jsonl.zst`;

export const plainSegment = (folder: string, first: number): PlainSegment => ({
  kind: 'plain',
  file: path.join(folder, plainName(first)),
  first,
});

async function namesIn(folder: string): Promise<readonly string[]> {
  return readdir(folder).catch((error: unknown) => {
    if (isMissing(error)) return [];
    throw error;
  });
}

export async function listPlain(folder: string): Promise<readonly PlainSegment[]> {
  const segments: PlainSegment[] = [];
  for (const name of await namesIn(folder)) {
    const [, first] = plainPattern.exec(name) ?? [];
    if (first !== undefined)
      segments.push({ kind: 'plain', file: path.join(folder, name), first: Number(first) });
  }
  return segments.sort((a, b) => a.first - b.first);
}

/** Compressed files with a range of seqs in their names: archives, or the audit files made of them. */
export async function listRanges(folder: string): Promise<readonly ArchivedSegment[]> {
  const segments: ArchivedSegment[] = [];
  for (const name of await namesIn(folder)) {
    const [, first, last] = rangePattern.exec(name) ?? [];
    if (first === undefined || last === undefined) continue;
    segments.push({
      kind: 'archived',
      file: path.join(folder, name),
      first: Number(first),
      last: Number(last),
    });
  }
  return segments.sort((a, b) => a.first - b.first);
}

/**
 * All that can be read, oldest first. A segment that is being archived exists twice for a moment, and forever
 * after a crash at that moment: the plain one counts. The archives are listed last, so that a segment which
 * moves meanwhile is seen twice rather than never.
 */
export async function listSegments(folder: string): Promise<readonly Segment[]> {
  const plain = await listPlain(folder);
  const starts = new Set(plain.map(({ first }) => first));
  const archived = (await listRanges(archiveFolder(folder))).filter(({ first }) => !starts.has(first));
  return [...archived, ...plain].sort((a, b) => a.first - b.first);
}

/** The first place of a segment that is not as it was written. */
export class DamagedSegment extends LockstepError {
  readonly segment: Segment;
  /** From 0 in the segment's text, also when the file is compressed. */
  readonly offset: number;
  readonly seq: number;
  readonly why: string;

  constructor(message: string, place: { segment: Segment; offset: number; seq: number; why: string }) {
    super('damaged', message);
    this.segment = place.segment;
    this.offset = place.offset;
    this.seq = place.seq;
    this.why = place.why;
  }
}

export function damagedAt(segment: Segment, offset: number, seq: number, why: string): DamagedSegment {
  const where = segment.kind === 'archived' ? `byte ${offset} of its uncompressed text` : `byte ${offset}`;
  return new DamagedSegment(
    `${segment.file} is damaged at ${where}, where seq ${seq} should be: ${why}; nothing was changed; ` +
      'run `lockstep doctor` to see what can be saved',
    { segment, offset, seq, why },
  );
}

export function unknownFormat(segment: Segment, format: number): LockstepError {
  return new LockstepError(
    'version',
    `cannot read ${segment.file}: it has format ${format} and this version knows up to ${formatNewest}; ` +
      'use the version that wrote it, or a newer one',
  );
}
