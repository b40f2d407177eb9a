/**
 * Log chunks of many jobs as whole lines of one job each. Chunks of different jobs arrive interleaved and cut
 * anywhere, also inside a character; what was cut on the way is told, never silently missing.
 */
import { parseAttemptId } from '../../../shared/ids.ts';
import { limits } from '../../../shared/limits.ts';
import type { LogChunk } from '../resources.ts';

export type LogLine = {
  readonly step: string;
  readonly node: string;
  readonly attempt: number;
  readonly stream: 'stdout' | 'stderr';
  readonly text: string;
};

type Stream = {
  readonly decoder: InstanceType<typeof TextDecoder>;
  readonly head: Omit<LogLine, 'text'>;
  rest: string;
  next: number;
};

export const bytesOf = ({ text, base64 }: LogChunk): Buffer =>
  text === undefined ? Buffer.from(base64 ?? '', 'base64') : Buffer.from(text, 'utf8');

export class LogLines {
  readonly #streams = new Map<string, Stream>();

  /** The lines that a chunk completes. What a second reading brings again is left out. */
  push(chunk: LogChunk): LogLine[] {
    const key = `${chunk.attempt}\0${chunk.stream}`;
    let stream = this.#streams.get(key);
    if (stream === undefined) {
      const { step, node } = chunk;
      const attempt = parseAttemptId(chunk.attempt)?.attempt ?? 1;
      const head = { step, node, attempt, stream: chunk.stream };
      stream = { decoder: new TextDecoder(), head, rest: '', next: chunk.offset };
      this.#streams.set(key, stream);
    }
    const bytes = bytesOf(chunk);
    const length = bytes.length + (chunk.gapBytes ?? 0);
    const known = Math.max(0, stream.next - chunk.offset);
    if (length <= known) return [];
    stream.next = chunk.offset + length;
    if (chunk.gapBytes !== undefined)
      return this.#take(stream, `${stream.rest === '' ? '' : '\n'}[${chunk.gapBytes} bytes were cut here]\n`);
    return this.#take(stream, stream.decoder.decode(bytes.subarray(known), { stream: true }));
  }

  /** What the streams ended with, without a line's end. */
  end(): LogLine[] {
    const lines: LogLine[] = [];
    for (const { head, rest } of this.#streams.values()) if (rest !== '') lines.push({ ...head, text: rest });
    this.#streams.clear();
    return lines;
  }

  #take(stream: Stream, text: string): LogLine[] {
    const lines = (stream.rest + text).split('\n');
    stream.rest = lines.pop() ?? '';
    if (stream.rest.length > limits.logLineBytesMax) {
      lines.push(stream.rest);
      stream.rest = '';
    }
    return lines.map((line) => ({ ...stream.head, text: line }));
  }
}
