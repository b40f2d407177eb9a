/**
 * How far each stream of each attempt has come. Attempts that print, or did lately, are in memory; the others
 * are found again in the segments' indexes, so that memory is bounded however many attempts there were.
 */
import { limits } from '../../shared/limits.ts';
import { type AttemptTrack, isDurable } from './pending-records.ts';
import { type AttemptEntry, latestEnds } from './segment-index.ts';

/** What each segment knows of an attempt, newest first. */
export type FindEntries = (attempt: string) => Promise<readonly AttemptEntry[]>;

export class AttemptTracks {
  readonly #findEntries: FindEntries;
  /** Least recently used first. */
  readonly #tracks = new Map<string, AttemptTrack>();
  readonly #loading = new Map<string, Promise<AttemptTrack>>();

  constructor(findEntries: FindEntries) {
    this.#findEntries = findEntries;
  }

  async get(attempt: string): Promise<AttemptTrack> {
    const track = this.#tracks.get(attempt) ?? (await this.#load(attempt));
    this.#tracks.delete(attempt);
    this.#tracks.set(attempt, track);
    return track;
  }

  /** Lets go of an attempt that is durable. */
  forget(attempt: string): void {
    this.#tracks.delete(attempt);
  }

  #load(attempt: string): Promise<AttemptTrack> {
    const running = this.#loading.get(attempt);
    if (running !== undefined) return running;
    const loading = this.#read(attempt).finally(() => this.#loading.delete(attempt));
    this.#loading.set(attempt, loading);
    return loading;
  }

  async #read(attempt: string): Promise<AttemptTrack> {
    const entries = await this.#findEntries(attempt);
    const ends = latestEnds(entries);
    const content = { stdout: 0, stderr: 0 };
    for (const { bytes } of entries) {
      content.stdout += bytes.stdout;
      content.stderr += bytes.stderr;
    }
    const track: AttemptTrack = {
      attempt,
      accepted: { ...ends },
      durable: { ...ends },
      content,
      tail: undefined,
      isFinished: false,
    };
    this.#tracks.set(attempt, track);
    this.#makeRoom();
    return track;
  }

  /** What is not durable stays, however much it is: its size is bounded by what may be pending. */
  #makeRoom(): void {
    let excess = this.#tracks.size - limits.logAttemptsInMemoryMax;
    for (const [attempt, track] of this.#tracks) {
      if (excess <= 0) return;
      if (!isDurable(track)) continue;
      this.#tracks.delete(attempt);
      excess -= 1;
    }
  }
}
