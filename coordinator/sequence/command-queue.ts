/**
 * Commands in order of arrival, until a turn takes them. Bounded: who fills it hears `too-many`, and edges
 * that can stop reading do so long before, at the high-water mark.
 */

import type { LockstepError } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import type { Command, Effect } from '../core/commands.ts';
import type { Event } from '../core/events.ts';

/** What became of a command, told only when the disk holds it. The effects are those of this command alone. */
export type Settled =
  | { readonly ok: true; readonly events: readonly Event[]; readonly effects: readonly Effect[] }
  | { readonly ok: false; readonly error: LockstepError; readonly effects: readonly Effect[] };

export type Content = { readonly digest: string; readonly text: string };

export type Entry = {
  readonly command: Command;
  readonly settle: ((settled: Settled) => void) | null;
  /** What the command names by digest; stored before its events. */
  readonly content: Content | null;
};

const compactAt = 1_024;

export class CommandQueue {
  #entries: Entry[] = [];
  #head = 0;

  get length(): number {
    return this.#entries.length - this.#head;
  }

  /** False when it is full. That an agent went away is always taken: nobody would say it again. */
  push(entry: Entry): boolean {
    if (this.length >= limits.commandsQueuedMax && entry.command.type !== 'DisconnectAgent') return false;
    this.#entries.push(entry);
    return true;
  }

  /** Takes one out of the front; undefined when there is none. */
  shift(): Entry | undefined {
    const entry = this.#entries[this.#head];
    if (entry === undefined) return undefined;
    this.#head += 1;
    if (this.#head === this.#entries.length) {
      this.#entries.length = 0;
      this.#head = 0;
    } else if (this.#head >= compactAt && this.#head * 2 >= this.#entries.length) {
      // Only when half is used up, so that a long queue does not cost its square.
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
    return entry;
  }

  /** Takes out all for which `unwanted` holds; the others keep their order. */
  remove(unwanted: (entry: Entry) => boolean): Entry[] {
    const waiting = this.#entries.slice(this.#head);
    const removed = waiting.filter(unwanted);
    this.#entries = waiting.filter((entry) => !unwanted(entry));
    this.#head = 0;
    return removed;
  }
}
