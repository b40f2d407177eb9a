/**
 * What a script wrote to $LOCKSTEP_OUTPUT, read strictly: `KEY=value` lines, and `KEY<<MARK` … `MARK` for
 * values of several lines. Empty lines are ignored, a key written again counts as written last, a key that
 * nobody declared is ignored. Reasons name lines and keys, never values: those may be secret.
 */
import { assertNever } from '../../shared/assert.ts';
import { identifierPattern } from '../../shared/ids.ts';
import { limits } from '../../shared/limits.ts';
import type { AttemptResult, OutputDeclaration, OutputType } from '../../shared/messages.ts';

export type OutputValue = AttemptResult['outputs'][string];

/** The first bytes of the file, at most one more than `outputTextBytesMax`, which tells that it is too long. */
export type OutputBytes = Uint8Array;

export type ParsedOutputs =
  | {
      readonly ok: true;
      readonly values: Readonly<Record<string, OutputValue>>;
      /** Paths of `file` outputs as the script wrote them. */
      readonly files: Readonly<Record<string, string>>;
      /** `reboot=true`: nobody declares this one, it is for the agent. */
      readonly reboot: boolean;
    }
  | { readonly ok: false; readonly reason: string };

type Declarations = Readonly<Record<string, OutputDeclaration>>;

const noOutputs: ParsedOutputs = { ok: true, values: {}, files: {}, reboot: false };

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

export function parseOutputs(bytes: OutputBytes, declarations: Declarations): ParsedOutputs {
  if (bytes.length === 0) return noOutputs;
  if (bytes.length > limits.outputTextBytesMax)
    return fault(`more than ${limits.outputTextBytesMax} bytes were written`);
  const text = decode(bytes);
  if (text === undefined) return fault('the text is not valid UTF-8');
  const written = splitLines(text);
  if (typeof written === 'string') return fault(written);
  return readDeclared(written, declarations);
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return undefined;
  }
}

/** Key to text; or what is wrong. */
function splitLines(text: string): ReadonlyMap<string, string> | string {
  const written = new Map<string, string>();
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] ?? '';
    if (line === '') continue;
    const equals = line.indexOf('=');
    const opening = line.indexOf('<<');
    const here = opening !== -1 && (equals === -1 || opening < equals);
    const key = line.slice(0, here ? opening : Math.max(equals, 0));
    if (!identifierPattern.test(key)) return `line ${at + 1} is neither KEY=value nor KEY<<MARK`;
    if (!here) {
      written.set(key, line.slice(equals + 1));
      continue;
    }
    const mark = line.slice(opening + 2);
    const end = mark === '' ? -1 : lines.indexOf(mark, at + 1);
    if (mark === '') return `line ${at + 1} has no mark after ${key}<<`;
    if (end === -1) return `the mark that line ${at + 1} announces for ${key} never comes`;
    written.set(key, lines.slice(at + 1, end).join('\n'));
    at = end;
  }
  return written;
}

function readDeclared(written: ReadonlyMap<string, string>, declarations: Declarations): ParsedOutputs {
  const values: Record<string, OutputValue> = {};
  const files: Record<string, string> = {};
  let total = 0;
  for (const [key, text] of written) {
    const declaration = Object.hasOwn(declarations, key) ? declarations[key] : undefined;
    if (declaration === undefined) continue;
    // As JSON, which is how it travels: control characters take six times their size there.
    const asText = sizeOf(text) - 2;
    if (asText > limits.outputValueBytesMax) return tooLong(key);
    const read = declaration.type === 'file' ? undefined : readTyped(text, declaration.type);
    if (read?.ok === false) return fault(`${key} is not ${read.expected}`);
    // Numbers can grow when they are written again: `1e20` gets all its digits.
    const size = Math.max(asText, read === undefined ? 0 : sizeOf(read.value));
    total += size;
    if (size > limits.outputValueBytesMax + 2) return tooLong(key);
    if (total > limits.outputsBytesMax)
      return fault(`all together have more than ${limits.outputsBytesMax} bytes`);
    if (read !== undefined) {
      values[key] = read.value;
      continue;
    }
    if (text === '' || text.includes('\0')) return fault(`${key} is not a path`);
    files[key] = text;
  }
  const reboot = written.get('reboot');
  if (reboot !== undefined && reboot !== 'true' && reboot !== 'false')
    return fault('reboot is neither "true" nor "false"');
  return { ok: true, values, files, reboot: reboot === 'true' };
}

const sizeOf = (value: OutputValue): number => encoder.encode(JSON.stringify(value)).length;

const tooLong = (key: string): ParsedOutputs =>
  fault(`${key} has more than ${limits.outputValueBytesMax} bytes`);

type Typed =
  | { readonly ok: true; readonly value: OutputValue }
  | { readonly ok: false; readonly expected: string };

function readTyped(text: string, type: Exclude<OutputType, 'file'>): Typed {
  switch (type) {
    case 'string':
      return { ok: true, value: text };
    case 'int': {
      const value = Number(text);
      const whole = /^[+-]?[0-9]+$/.test(text) && Number.isSafeInteger(value);
      return whole ? { ok: true, value } : { ok: false, expected: 'a whole number' };
    }
    case 'bool':
      if (text === 'true' || text === 'false') return { ok: true, value: text === 'true' };
      return { ok: false, expected: '"true" or "false"' };
    case 'json':
      try {
        return { ok: true, value: JSON.parse(text) };
      } catch {
        return { ok: false, expected: 'JSON' };
      }
    default:
      return assertNever(type);
  }
}

/** The declared outputs that a script must have written and has not. */
export function missingOutputs(outputs: ParsedOutputs & { ok: true }, declarations: Declarations): string[] {
  return Object.entries(declarations)
    .filter(([name, { optional }]) => !optional && !written(outputs, name))
    .map(([name]) => name);
}

const written = (outputs: ParsedOutputs & { ok: true }, name: string): boolean =>
  Object.hasOwn(outputs.values, name) || Object.hasOwn(outputs.files, name);

function fault(what: string): ParsedOutputs {
  return { ok: false, reason: `cannot read the outputs: ${what}; see "outputs" in the language reference` };
}
