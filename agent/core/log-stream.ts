/** How the logs of an attempt go from the files that a job writes (run/) to the wire (link/). */
import type { StreamName } from '../../shared/messages.ts';

export type LogPiece =
  | { readonly kind: 'bytes'; readonly offset: number; readonly bytes: Uint8Array }
  /** `length` bytes at least were cut here, from the middle of a log that was too long. */
  | { readonly kind: 'gap'; readonly offset: number; readonly length: number };

export type LogStream = {
  readonly attempt: string;
  readonly stream: StreamName;
  /** How much of it can be read now; grows until `isFinal`. */
  length(): number;
  isFinal(): boolean;
  /** The piece at an offset below `length()`, of at most `bytesMax` bytes. */
  read(offset: number, bytesMax: number): LogPiece;
};
