/**
 * What the coordinator asks of a journal: the durable, gap-free sequence of events that is its only source
 * of truth. Every implementation passes test/contract/journal.ts. What events mean does not belong here.
 */

/** What a journal needs to know of an event. The names `batch`, `more` and `hash` are the file format's. */
export type StoredEvent = {
  /** 1, 2, 3, … without a gap. */
  readonly seq: number;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly type: string;
  readonly batch?: never;
  readonly more?: never;
  readonly hash?: never;
};

/** A place in one history. `hash` covers every event up to `seq`: equal positions have equal pasts. */
export type Position = { readonly seq: number; readonly hash: string };

export type ReadRange = {
  readonly from: number;
  /** The last event wanted; without it, up to the last one that is durable when the reader gets there. */
  readonly to?: number;
};

export type Verified = { readonly first: number; readonly last: Position; readonly events: number };

export interface Journal<E extends StoredEvent> {
  /** The identity of this history, which a cursor carries besides its seq. */
  readonly lineage: string;

  /** The last durable event; seq 0 before the first. */
  readonly last: Position;

  /**
   * Appends one batch: all of it or, after a crash, none. Resolves when it is durable. The events continue
   * `last.seq`, and the caller waits for one batch before it gives the next: a second one in flight is a bug.
   * What is read back is what JSON keeps of an event.
   *
   * Rejects with `disk-full` when there was no space: nothing was appended, everything else goes on, and the
   * same batch may be given again later. Rejects with `too-large` for an event or batch over its bound, also
   * without a trace. After any other failure what the disk holds is unknown: every later call rejects, and
   * the caller ends the process. A failed fsync is never repeated, because the kernel forgets the pages.
   */
  append(events: readonly E[]): Promise<void>;

  /**
   * Durable events in order, in pages of bounded size. A reader that is slow holds one page and nothing else:
   * the rest stays on disk. Throws `cursor-expired` when `from` is older than what is kept, or beyond
   * `last.seq + 1`, which means that the cursor is of another history.
   */
  read(range: ReadRange): AsyncIterable<readonly E[]>;

  /** The oldest seq that can be read; 1 while everything is kept. */
  oldest(): Promise<number>;

  /** The hash of the position at a seq that can be read, or of 0: tells whether a snapshot belongs here. */
  hashAt(seq: number): Promise<string>;

  /**
   * Resolves once an event after `seq` is durable, or when the signal aborts. Throws `too-many` when too many
   * wait already.
   */
  beyond(seq: number, signal: AbortSignal): Promise<void>;

  /** Reads everything that is kept and checks every link. Throws `damaged` with the place. */
  verify(): Promise<Verified>;

  /** Waits for the batch in flight, and releases those who wait in `beyond`. Followers are aborted before. */
  close(): Promise<void>;
}

/** Every event from `from` on, for as long as the signal is not aborted: first what is there, then what comes. */
export async function* follow<E extends StoredEvent>(
  journal: Journal<E>,
  from: number,
  signal: AbortSignal,
): AsyncGenerator<readonly E[]> {
  let next = from;
  while (!signal.aborted) {
    for await (const page of journal.read({ from: next })) {
      if (signal.aborted) return;
      yield page;
      next += page.length;
    }
    await journal.beyond(next - 1, signal);
  }
}
