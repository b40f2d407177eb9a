/**
 * What a script told of its parts, read leniently: a line that is not one is passed over, and of too many those stay
 * that say most. Values of secrets are taken out here, because parts go into the journal with the result.
 */
import { limits } from '../../shared/limits.ts';
import type { JobSpecification } from '../../shared/messages.ts';
import { isBroken, type Part, type Parts, part, sentenceOfPart } from '../../shared/parts.ts';
import { utf8Length } from '../../shared/utf8.ts';

/** The first bytes of the file, at most as many as are read of it. */
export type PartBytes = Uint8Array;

/** What must not be told: null when that is not known any more, and then no text of the script is. */
export type Secrets = readonly string[] | null;

/** Values of secret inputs, and every text inside of them. */
export function secretsOf(
  { secretInputs }: JobSpecification,
  params: Readonly<Record<string, unknown>>,
): Secrets {
  const found: string[] = [];
  for (const name of secretInputs) {
    if (!Object.hasOwn(params, name)) return null;
    addTexts(params[name], found);
  }
  return found.filter((text) => text.trim() !== '').sort((a, b) => b.length - a.length);
}

function addTexts(value: unknown, found: string[]): void {
  if (typeof value === 'string') found.push(...formsOf(value));
  else if (typeof value === 'number') found.push(String(value));
  else if (typeof value === 'object' && value !== null)
    for (const inner of Object.values(value)) addTexts(inner, found);
}

/** As it is, in JSON, in a URL, and in base64 as far as that does not depend on what stands around it. */
function formsOf(text: string): readonly string[] {
  const bytes = new TextEncoder().encode(text);
  const aligned = bytes.length < 8 ? [] : [0, 1, 2].map((skipped) => base64Inside(bytes, skipped));
  return [text, JSON.stringify(text).slice(1, -1), encodeURIComponent(text.toWellFormed()), ...aligned];
}

function base64Inside(bytes: Uint8Array, skipped: number): string {
  const padded = String.fromCharCode(...new Uint8Array(skipped), ...bytes);
  return btoa(padded)
    .replace(/=*$/, '')
    .slice(Math.ceil((skipped * 4) / 3), -1);
}

export function readParts(bytes: PartBytes, secrets: Secrets): Parts | undefined {
  const read: Part[] = [];
  for (const line of new TextDecoder().decode(bytes).split('\n')) {
    const one = line === '' ? undefined : readPart(line, secrets);
    if (one !== undefined) read.push(one);
  }
  return read.length === 0 ? undefined : withinBounds(read);
}

function readPart(line: string, secrets: Secrets): Part | undefined {
  let raw: unknown;
  try {
    raw = JSON.parse(line);
  } catch {
    // The last line of a script that was killed, or of a file that was cut.
    return undefined;
  }
  if (typeof raw !== 'object' || raw === null) return undefined;
  const clipped = Object.entries(raw).flatMap(([key, value]) => {
    if (typeof value !== 'string' || key === 'state') return [[key, value]];
    const text = clipPart(key, concealed(value, secrets)?.replace(/\s+/g, ' ').trim());
    return text === undefined ? [] : [[key, text]];
  });
  const parsed = part.safeParse(Object.fromEntries(clipped));
  return parsed.success ? parsed.data : undefined;
}

function concealed(text: string, secrets: Secrets): string | undefined {
  return secrets?.reduce((told, secret) => told.replaceAll(secret, '(secret)'), text);
}

/** Where nothing may be told, a part keeps its place and its state. */
function clipPart(key: string, text: string | undefined): string | undefined {
  const bound = key === 'message' ? limits.partMessageLengthMax : limits.partLabelLengthMax;
  if (text === undefined) return key === 'name' ? '(not told)' : undefined;
  return text.length > bound ? `${text.slice(0, bound - 1)}…` : text;
}

/** Least first. */
const weight: Readonly<Record<Part['state'], number>> = {
  skipped: 0,
  ok: 1,
  ignored: 2,
  rescued: 2,
  changed: 3,
  failed: 4,
  unreachable: 4,
};

/** Order is kept; of those that say equally much the first stay. */
function withinBounds(read: readonly Part[]): Parts {
  const byWeight = read
    .map((one, index) => ({ one, index }))
    .sort((a, b) => weight[b.one.state] - weight[a.one.state] || a.index - b.index);
  const kept = new Set<Part>();
  let bytes = 0;
  for (const { one } of byWeight) {
    bytes += utf8Length(JSON.stringify(one)) + 1;
    if (kept.size === limits.partsMax || bytes > limits.partsBytesMax) break;
    kept.add(one);
  }
  return { list: read.filter((one) => kept.has(one)), omitted: read.length - kept.size };
}

const brokenNamedMax = 3;

/** Which parts are why it failed; undefined when none says so. */
export function faultOfParts({ list }: Parts): string | undefined {
  const broken = list.filter(isBroken);
  if (broken.length === 0) return undefined;
  const named = broken.slice(0, brokenNamedMax).map(sentenceOfPart);
  const more = broken.length - named.length;
  return [...named, ...(more === 0 ? [] : [`and ${more} more`])].join('; ');
}
