/**
 * Sends logs as they grow, a bounded amount ahead of what was acknowledged, and anew from there on each
 * connection. Offsets make repetition harmless: whoever receives knows what it has.
 */
import { limits } from '../../shared/limits.ts';
import type { AgentMessage, StreamName } from '../../shared/messages.ts';
import type { LogStream } from '../core/log-stream.ts';
import type { Uplink } from './uplink.ts';

export type LogUploadParts = {
  /** Oldest attempt first. */
  readonly streams: () => readonly LogStream[];
  readonly send: (message: AgentMessage) => void;
  readonly uplink: Uplink;
  /** Both streams of the attempt have their final length and were acknowledged to their end. */
  readonly onAcknowledged: (attempt: string) => void;
};

type Position = { sent: number; acknowledged: number };

export class LogUpload {
  readonly #parts: LogUploadParts;
  readonly #positions = new Map<string, Position>();
  #linked = false;
  #lineage = '';
  #later: NodeJS.Timeout | undefined;

  constructor(parts: LogUploadParts) {
    this.#parts = parts;
  }

  /** What another lineage has acknowledged, this one may have lost: it is sent from the beginning. */
  resume(lineage: string): void {
    this.#linked = true;
    if (lineage !== this.#lineage) this.#positions.clear();
    this.#lineage = lineage;
    for (const position of this.#positions.values()) position.sent = position.acknowledged;
    this.pump();
  }

  pause(): void {
    this.#linked = false;
    clearTimeout(this.#later);
  }

  /** Sends as much as the budget allows and may be in flight, then tells of attempts that are through. */
  pump(): void {
    if (!this.#linked) return;
    const streams = this.#parts.streams();
    let inFlight = streams.reduce((sum, stream) => {
      const { sent, acknowledged } = this.#position(stream);
      return sum + sent - acknowledged;
    }, 0);
    for (const stream of streams) {
      const position = this.#position(stream);
      while (position.sent < stream.length() && inFlight < limits.logUnacknowledgedBytesMax) {
        const waitMs = this.#parts.uplink.logWaitMs();
        if (waitMs > 0) {
          clearTimeout(this.#later);
          this.#later = setTimeout(() => this.pump(), waitMs);
          break;
        }
        inFlight += this.#sendPiece(stream, position);
      }
    }
    this.#reportThrough(streams);
  }

  acknowledge(attempt: string, stream: StreamName, upTo: number): void {
    const position = this.#positions.get(keyOf({ attempt, stream }));
    if (position === undefined) return;
    // A coordinator that got more from an earlier process of this agent says so: that need not be sent.
    position.acknowledged = Math.max(position.acknowledged, upTo);
    position.sent = Math.max(position.sent, position.acknowledged);
    this.pump();
  }

  #position(stream: LogStream): Position {
    const key = keyOf(stream);
    const known = this.#positions.get(key) ?? { sent: 0, acknowledged: 0 };
    this.#positions.set(key, known);
    return known;
  }

  #sendPiece(stream: LogStream, position: Position): number {
    const piece = stream.read(position.sent, this.#parts.uplink.pieceBytesMax);
    const { attempt, stream: name } = stream;
    const message = { type: 'log', attempt, stream: name, offset: piece.offset } as const;
    const length = piece.kind === 'gap' ? piece.length : piece.bytes.length;
    this.#parts.send(
      piece.kind === 'gap'
        ? { ...message, gapBytes: length }
        : { ...message, base64: Buffer.from(piece.bytes).toString('base64') },
    );
    position.sent += length;
    return length;
  }

  #reportThrough(streams: readonly LogStream[]): void {
    const unfinished = new Set(
      streams
        .filter((stream) => !stream.isFinal() || this.#position(stream).acknowledged < stream.length())
        .map((stream) => stream.attempt),
    );
    const through = new Set(streams.map((stream) => stream.attempt).filter((one) => !unfinished.has(one)));
    for (const attempt of through) {
      for (const stream of ['stdout', 'stderr'] as const) this.#positions.delete(keyOf({ attempt, stream }));
      this.#parts.onAcknowledged(attempt);
    }
  }
}

const keyOf = ({ attempt, stream }: { readonly attempt: string; readonly stream: StreamName }): string =>
  `${attempt} ${stream}`;
