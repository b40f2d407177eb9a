/** Logs as they are sent: lines of JSON for programs, plain text for people, who see whose line it is when there are several. */
import { StringDecoder } from 'node:string_decoder';
import { parseAttemptId } from '../../shared/ids.ts';
import type { LogPiece } from './ports.ts';
import type { AttemptPiece } from './run-logs.ts';

/** One piece as a line of JSON: see `logChunk` of the resources. */
export function lineOfPiece({ attempt, piece }: AttemptPiece): string {
  const { step, node } = parseAttemptId(attempt) ?? { step: '', node: '' };
  const { stream, offset } = piece;
  return `${JSON.stringify({ attempt, step, node, stream, offset, ...contentOf(piece) })}\n`;
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function contentOf(piece: LogPiece): { text: string } | { base64: string } | { gapBytes: number } {
  if (piece.kind === 'gap') return { gapBytes: piece.bytes };
  try {
    return { text: strictUtf8.decode(piece.bytes) };
  } catch {
    return { base64: piece.bytes.toString('base64') };
  }
}

/** Turns pieces into text, whole lines at a time, so that the lines of several jobs do not run into each other. */
export class LogText {
  readonly #named: boolean;
  readonly #open = new Map<string, { readonly decoder: StringDecoder; rest: string }>();

  /** `named`: each line begins with the node and the step that printed it. */
  constructor(named: boolean) {
    this.#named = named;
  }

  take({ attempt, piece }: AttemptPiece): string {
    const key = `${attempt} ${piece.stream}`;
    const line = this.#open.get(key) ?? { decoder: new StringDecoder('utf8'), rest: '' };
    this.#open.set(key, line);
    if (piece.kind === 'gap') {
      const before = line.rest === '' ? '' : `${line.rest}\n`;
      line.rest = '';
      return this.#name(attempt, `${before}[${piece.bytes} bytes are missing]\n`);
    }
    const text = line.decoder.write(piece.bytes);
    if (!this.#named) return text;
    const whole = line.rest + text;
    const end = whole.lastIndexOf('\n') + 1;
    line.rest = whole.slice(end);
    return this.#name(attempt, whole.slice(0, end));
  }

  /** Lines that were never ended. */
  end(): string {
    let text = '';
    for (const [key, { rest }] of this.#open)
      if (rest !== '') text += this.#name(key.slice(0, key.indexOf(' ')), `${rest}\n`);
    return text;
  }

  #name(attempt: string, lines: string): string {
    if (!this.#named || lines === '') return lines;
    const { step, node } = parseAttemptId(attempt) ?? { step: '', node: '' };
    const each = lines.slice(0, -1).split('\n');
    return each.map((line) => `${node} ${step} | ${line}\n`).join('');
  }
}
