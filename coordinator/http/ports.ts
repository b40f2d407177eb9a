/**
 * What the HTTP edge needs from the rest of the coordinator. main introduces them; nothing here knows how a
 * token is verified, where an event is stored, or who else listens.
 */
import type { ErrorCode, LockstepError } from '../../shared/errors.ts';
import type { Command, Lookup } from '../core/commands.ts';
import type { Event } from '../core/events.ts';
import type { IterationOf } from '../core/explain-live.ts';
import type { State } from '../core/state.ts';

export type TokenKind = 'join' | 'operator';

export type Admission =
  | { readonly ok: true; readonly token: string; readonly kind: TokenKind }
  | { readonly ok: false; readonly code: ErrorCode; readonly detail: string };

/** See sequencer.ts. */
export type SequencerPort = {
  submit(command: Command): Promise<readonly Event[]>;
  read<T>(view: (state: State) => T): Promise<T>;
  readonly stalled: LockstepError | null;
};

/** See journal/port.ts. */
export type EventsPort = {
  readonly lineage: string;
  readonly last: { readonly seq: number };
  read(range: { readonly from: number }): AsyncIterable<readonly Event[]>;
  /** What operators did, from a seq on, of the part that is not kept whole any more. */
  audit(from: number): AsyncIterable<readonly Event[]>;
  oldest(): Promise<number>;
  hashAt(seq: number): Promise<string>;
  beyond(seq: number, signal: AbortSignal): Promise<void>;
};

/** See journal/blobs.ts. */
export type BlobsPort = {
  put(content: string): Promise<string>;
  missing(digests: Iterable<string>): Promise<readonly string[]>;
  putStream(chunks: AsyncIterable<Uint8Array>): Promise<{ readonly digest: string; readonly bytes: number }>;
  putPart(
    digest: string,
    part: { readonly start: number; readonly size: number },
    chunks: AsyncIterable<Uint8Array>,
  ): Promise<void>;
  offset(digest: string): Promise<number>;
  has(digest: string): Promise<boolean>;
  read(digest: string): Promise<Buffer>;
  stream(
    digest: string,
    range?: { readonly start: number; readonly end: number },
  ): Promise<{ readonly size: number; readonly chunks: AsyncGenerator<Buffer> }>;
};

export type StreamName = 'stdout' | 'stderr';

export type LogPiece =
  | { readonly kind: 'text'; readonly stream: StreamName; readonly offset: number; readonly bytes: Buffer }
  | { readonly kind: 'gap'; readonly stream: StreamName; readonly offset: number; readonly bytes: number };

export type StreamOffsets = { readonly [stream in StreamName]: number };

/** See logs/log-store.ts. */
export type LogsPort = {
  read(
    attempt: string,
    selection: { readonly stream?: StreamName | undefined; readonly from?: StreamOffsets | undefined },
  ): AsyncIterable<LogPiece>;
  tail(
    attempt: string,
    selection: { readonly bytes: number; readonly stream?: StreamName },
  ): Promise<readonly LogPiece[]>;
  /** Told which attempts have more on disk, until it is unsubscribed by what it returns. */
  subscribe(listener: (attempts: readonly string[]) => void): () => void;
};

/** See sequence/upkeep.ts. */
export type UpkeepPort = {
  pause(id: string): Promise<void>;
  renewPause(id: string): void;
  endPause(id: string): void;
};

/** See notify/notifier.ts. */
export type NotifierPort = {
  refresh(): Promise<void>;
  progressOf(receiver: string):
    | {
        readonly cursor: {
          readonly delivered: number;
          readonly deliveredAt: number | null;
          readonly givenUp: number;
          readonly lastGivenUp: {
            readonly id: string;
            readonly what: string;
            readonly at: number;
            readonly reason: string;
          } | null;
        };
        readonly trying: {
          readonly id: string;
          readonly what: string;
          readonly at: number;
          readonly attempts: number;
          readonly reason: string | null;
        } | null;
      }
    | undefined;
  test(receiver: string): Promise<{ readonly ok: true } | { readonly ok: false; readonly reason: string }>;
};

export type ApiPorts = {
  readonly version: string;
  readonly now: () => number;
  readonly sequencer: SequencerPort;
  readonly lookup: Lookup;
  readonly events: EventsPort;
  readonly blobs: BlobsPort;
  readonly logs: LogsPort;
  readonly upkeep: UpkeepPort;
  readonly notifier: NotifierPort;
  readonly metrics: { readonly contentType: string; readonly render: (state: State) => Promise<string> };
  /** Whose token this `Authorization` header carries. */
  readonly admit: (authorization: string | undefined) => Admission;
  readonly createToken: (kind: TokenKind) => {
    readonly id: string;
    readonly token: string;
    readonly hash: string;
  };
  /** A token is not valid any more: whoever came with it has to go. */
  readonly dropToken: (token: string) => void;
  readonly agents: () => number;
  /** What is wrong with a node that is connected and does not get on; see ws/stalls.ts. */
  readonly stallOf: (node: string) => { readonly attempt: string; readonly sentence: string } | undefined;
  readonly iterationOf: IterationOf;
  /** Aborted when the coordinator ends. */
  readonly ending: AbortSignal;
  /** An answer had to be broken off. */
  readonly onStreamError: (error: unknown) => void;
  /** A random value of so many bytes, hex. */
  readonly random: (bytes: number) => string;
};
