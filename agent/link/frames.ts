/** Messages as text, and how many of them share a frame. Pure. */
import { limits } from '../../shared/limits.ts';
import type { AgentMessage } from '../../shared/messages.ts';

/** `bytes` has one more, for the comma. */
export type Outgoing = { readonly text: string; readonly bytes: number };

/** What a frame costs beside its messages: brackets, its own header, and those of TCP, IP and Ethernet. */
export const frameOverheadBytes = 80;

export function outgoing(message: AgentMessage): Outgoing {
  const text = JSON.stringify(message);
  return { text, bytes: Buffer.byteLength(text) + 1 };
}

/** In order, each within the bounds of a frame. */
export function framesOf(messages: readonly Outgoing[]): string[] {
  const frames: string[] = [];
  let texts: string[] = [];
  let length = 0;
  for (const { text, bytes } of messages) {
    // Two for the brackets.
    if (texts.length === limits.frameMessagesMax || length + bytes + 2 > limits.messageBytesMax) {
      if (texts.length > 0) frames.push(`[${texts.join(',')}]`);
      texts = [];
      length = 0;
    }
    texts.push(text);
    length += bytes;
  }
  frames.push(`[${texts.join(',')}]`);
  return frames;
}
