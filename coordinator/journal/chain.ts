/**
 * The text of the journal: one JSON object per line, each sealed by a hash over the line before it, so that
 * one SHA-256 is both the checksum of a line and its link to the whole past, and `jq` still reads the file.
 *
 *   {"segment":{"first":1,"previous":"…","lineage":"…","format":1},"hash":"…"}
 *   {"seq":1,"at":…,"type":"…",…,"batch":1,"more":2,"hash":"…"}
 *
 * `hash` is SHA-256, in base64url, of the hash before it followed by the line's text before `,"hash"`.
 * `batch` is the first seq of the batch that the event was appended with, and `more` how many events of it
 * follow: a batch was written by one write, and whether all of it is there must be seen from its last line,
 * because nothing after it may exist to tell. Files and offsets do not belong here.
 */
import { hash as digest } from 'node:crypto';
import * as z from 'zod';
import { InvariantError } from '../../shared/assert.ts';
import { LockstepError } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import type { StoredEvent } from './port.ts';

export const formatNewest = 1;

/** The hash before the first line of a history: 32 zero bytes. */
export const genesisHash = 'A'.repeat(43);

const sealOpening = ',"hash":"';
const sealClosing = '"}';
const sealLength = sealOpening.length + genesisHash.length + sealClosing.length;
const batchOpening = ',"batch":';
const batchPattern = /^,"batch":(\d{1,16}),"more":(\d{1,16})$/;

const headerSchema = z.object({
  segment: z.object({
    first: z.int().positive(),
    previous: z.string().length(genesisHash.length),
    lineage: z.string(),
    format: z.int().positive(),
  }),
});

export type SegmentHeader = z.infer<typeof headerSchema>['segment'];

/** `hash` is that of the last line: what the next line is chained to. */
export type Sealed = { readonly text: string; readonly hash: string };

export type LineRecord = {
  readonly kind: 'record';
  readonly event: unknown;
  readonly seq: number;
  readonly at: number;
  readonly batch: number;
  readonly more: number;
  readonly hash: string;
};

export type Fault = { readonly kind: 'fault'; readonly why: string };

const chain = (previous: string, body: string): string => digest('sha256', previous + body, 'base64url');

const seal = (previous: string, body: string): Sealed => {
  const hash = chain(previous, body);
  return { text: `${body}${sealOpening}${hash}${sealClosing}\n`, hash };
};

export function encodeHeader(header: Omit<SegmentHeader, 'format'>): Sealed {
  const { first, previous, lineage } = header;
  const segment = { first, previous, lineage, format: formatNewest } satisfies SegmentHeader;
  return seal(previous, JSON.stringify({ segment }).slice(0, -1));
}

/**
 * The lines of one batch, which continues `last` (a seq) after a line with the hash `previous`. Throws
 * `too-large` for an event or batch over its bound.
 */
export function encodeBatch(events: readonly StoredEvent[], last: number, previous: string): Sealed {
  const batch = last + 1;
  let more = events.length;
  let seq = last;
  let hash = previous;
  let text = '';
  for (const event of events) {
    more -= 1;
    seq += 1;
    if (event.seq !== seq) throw new InvariantError(`seq ${seq} comes next, not ${event.seq}`);
    if ('batch' in event || 'more' in event || 'hash' in event) throw new InvariantError('a reserved name');
    const body = `${JSON.stringify(event).slice(0, -1)}${batchOpening}${batch},"more":${more}`;
    checkSize(body, limits.journalEventBytesMax, 'journalEventBytesMax', event.type);
    const sealed = seal(hash, body);
    hash = sealed.hash;
    text += sealed.text;
  }
  checkSize(text, limits.journalBatchBytesMax, 'journalBatchBytesMax', `a batch of ${events.length} events`);
  return { text, hash };
}

/** UTF-8 takes up to 3 bytes per unit of a string's length, so that only long texts need to be counted. */
function checkSize(text: string, bytesMax: number, bound: string, what: string): void {
  if (text.length <= bytesMax / 3) return;
  const bytes = Buffer.byteLength(text);
  if (bytes <= bytesMax) return;
  throw new LockstepError(
    'too-large',
    `cannot journal ${what}: it has ${bytes} bytes, and ${bound} is ${bytesMax}; make what it describes smaller`,
  );
}

/** The text that a line's hash covers, and the hash that it carries; not checked. */
export function openLine(line: string): { readonly body: string; readonly hash: string } | undefined {
  const cut = line.length - sealLength;
  if (cut < 1 || !line.startsWith(sealOpening, cut) || !line.endsWith(sealClosing)) return undefined;
  return { body: line.slice(0, cut), hash: line.slice(cut + sealOpening.length, -sealClosing.length) };
}

/** The event of a line as it was appended, and its seq; not checked. */
export function storedEvent(line: string): { readonly seq: number; readonly event: unknown } | undefined {
  const split = splitBatch(openLine(line)?.body ?? '');
  const event = split === undefined ? undefined : parseJson(`${split.event}}`);
  const stamp = stampOf(event);
  return stamp === undefined ? undefined : { seq: stamp.seq, event };
}

/** The seq that a line claims to have; not checked. */
export function claimedSeq(line: string): number | undefined {
  return stampOf(parseJson(line))?.seq;
}

/** The batch that a line claims to belong to; not checked. */
export function claimedBatch(line: string): number | undefined {
  const opened = openLine(line);
  return opened === undefined ? undefined : splitBatch(opened.body)?.batch;
}

export function decodeHeader(
  line: string,
): (SegmentHeader & { readonly kind: 'header'; readonly hash: string }) | Fault {
  const opened = openLine(line);
  const parsed = headerSchema.safeParse(parseJson(line));
  if (opened === undefined || !parsed.success)
    return { kind: 'fault', why: 'it does not begin with a header' };
  const { segment } = parsed.data;
  if (chain(segment.previous, opened.body) !== opened.hash)
    return { kind: 'fault', why: 'its header has a wrong hash' };
  return { kind: 'header', ...segment, hash: opened.hash };
}

/** One event's line, checked against the hash of the line before it and the seq that must come. */
export function decodeRecord(line: string, previous: string, seq: number): LineRecord | Fault {
  const opened = openLine(line);
  if (opened === undefined) return { kind: 'fault', why: 'the line has no hash' };
  if (chain(previous, opened.body) !== opened.hash)
    return { kind: 'fault', why: 'the line has a wrong hash' };
  const split = splitBatch(opened.body);
  const event = split === undefined ? undefined : parseJson(`${split.event}}`);
  const stamp = stampOf(event);
  if (split === undefined || stamp === undefined) return { kind: 'fault', why: 'the line is not an event' };
  if (stamp.seq !== seq) return { kind: 'fault', why: `seq ${seq} should come and ${stamp.seq} does` };
  return { kind: 'record', event, ...stamp, batch: split.batch, more: split.more, hash: opened.hash };
}

/** In JSON text an unescaped `,"batch":` can stand in nested objects, but the last one is the format's own. */
function splitBatch(body: string): { event: string; batch: number; more: number } | undefined {
  const cut = body.lastIndexOf(batchOpening);
  const [, batch, more] = cut === -1 ? [] : (batchPattern.exec(body.slice(cut)) ?? []);
  if (batch === undefined || more === undefined) return undefined;
  return { event: body.slice(0, cut), batch: Number(batch), more: Number(more) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function stampOf(event: unknown): { readonly seq: number; readonly at: number } | undefined {
  if (typeof event !== 'object' || event === null || !('seq' in event) || !('at' in event)) return undefined;
  if (typeof event.seq !== 'number' || typeof event.at !== 'number') return undefined;
  return { seq: event.seq, at: event.at };
}
