/**
 * Digests that a client asked about a moment ago. It was told that they are stored, so they must stay until it
 * has named them in a request of its own.
 */
import { limits } from '../../shared/limits.ts';

export class RecentNames {
  /** With the time until when; the oldest first. */
  readonly #until = new Map<string, number>();

  note(digests: Iterable<string>, now: number): void {
    for (const digest of digests) {
      this.#until.delete(digest);
      this.#until.set(digest, now + limits.blobAgeMinMs);
    }
    for (const [oldest, until] of this.#until) {
      if (until > now && this.#until.size <= limits.blobsKnownMax) break;
      this.#until.delete(oldest);
    }
  }

  has(digest: string, now: number): boolean {
    return (this.#until.get(digest) ?? 0) > now;
  }
}
