/**
 * Reads the text of a server-sent event stream. Undici's EventSource is marked experimental, cannot carry
 * our authorization and hides when it reconnects, which `watch` must show; the format itself is small.
 * Connecting, resuming and waiting are event-stream.ts's.
 */
import { LockstepError } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';

export type ServerSentEvent = { readonly id: string; readonly event: string; readonly data: string };

/** Feeds on text as it arrives, in pieces of any size, and gives the events that it completes. */
export class ServerSentEventReader {
  #rest = '';
  #id = '';
  #event = '';
  #lines: string[] = [];
  #bytes = 0;

  push(text: string): ServerSentEvent[] {
    const complete: ServerSentEvent[] = [];
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const raw of lines) {
      const event = this.#takeLine(raw.endsWith('\r') ? raw.slice(0, -1) : raw);
      if (event !== undefined) complete.push(event);
    }
    if (this.#rest.length + this.#bytes > limits.streamEventBytesMax)
      throw new LockstepError(
        'too-large',
        `an event of the stream is longer than ${limits.streamEventBytesMax} bytes: the other end is not a coordinator, or not of this version`,
      );
    return complete;
  }

  #takeLine(line: string): ServerSentEvent | undefined {
    if (line === '') {
      const event = { id: this.#id, event: this.#event || 'message', data: this.#lines.join('\n') };
      const isEmpty = this.#lines.length === 0;
      this.#event = '';
      this.#lines = [];
      this.#bytes = 0;
      return isEmpty ? undefined : event;
    }
    const colon = line.indexOf(':');
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'id') this.#id = value;
    else if (field === 'event') this.#event = value;
    else if (field === 'data') {
      this.#lines.push(value);
      this.#bytes += value.length;
    }
    return undefined;
  }
}
