/**
 * The newest durable events in memory, up to a number of bytes, so that readers who keep up cost no disk and
 * no parsing. It is only a cache: what it has dropped is read from the segments.
 */
import { limits } from '../../shared/limits.ts';
import type { StoredEvent } from './port.ts';

type Batch<E> = { readonly events: readonly E[]; readonly first: number; readonly bytes: number };

export class RecentEvents<E extends StoredEvent> {
  #batches: Batch<E>[] = [];
  /** Batches before this index are dropped; they leave the array in one piece, so that dropping stays cheap. */
  #head = 0;
  #bytes = 0;

  push(events: readonly E[], first: number, bytes: number): void {
    this.#batches.push({ events, first, bytes });
    this.#bytes += bytes;
    while (this.#bytes > limits.journalRecentBytesMax && this.#head < this.#batches.length - 1) {
      this.#bytes -= this.#batches[this.#head]?.bytes ?? 0;
      this.#head += 1;
    }
    if (this.#head > 1_000 && this.#head > this.#batches.length / 2) {
      this.#batches = this.#batches.slice(this.#head);
      this.#head = 0;
    }
  }

  /** Events from `seq` on up to `to`, at most a page; undefined when `seq` is not here. */
  page(seq: number, to: number): readonly E[] | undefined {
    const oldest = this.#batches[this.#head];
    if (oldest === undefined || seq < oldest.first) return undefined;
    let low = this.#head;
    let high = this.#batches.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((this.#batches[middle]?.first ?? Number.POSITIVE_INFINITY) <= seq) low = middle;
      else high = middle;
    }
    const count = Math.min(to - seq + 1, limits.journalPageEventsMax);
    const page: E[] = [];
    let bytes = 0;
    for (let index = low; index < this.#batches.length && page.length < count; index += 1) {
      const batch = this.#batches[index];
      if (batch === undefined || bytes > limits.journalPageBytesMax) break;
      const skipped = Math.max(seq - batch.first, 0);
      page.push(...batch.events.slice(skipped, skipped + count - page.length));
      bytes += batch.bytes;
    }
    return page.length > 0 ? page : undefined;
  }
}
