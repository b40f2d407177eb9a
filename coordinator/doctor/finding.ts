/** What a check found, and what every check may look at. A check reads, and mends nothing. */
import type { CoordinatorClient } from '../cli/client.ts';
import type { Event } from '../core/events.ts';
import type { State } from '../core/state.ts';
import type { JournalReader } from '../journal/journal-reader.ts';
import type { DataPlaces } from '../sequence/data-places.ts';

export type Finding = {
  readonly what: string;
  readonly file: string | null;
  readonly byte: number | null;
  /** Of the journal, where that is the place. */
  readonly seq: number | null;
  readonly remedy: string;
};

export type Subject = {
  readonly dataFolder: string;
  readonly keyFile: string;
  readonly places: DataPlaces;
  /** The https addresses that agents and operators use. */
  readonly addresses: readonly string[];
  /** The last seq that is durable in a coordinator that runs; null when none does. */
  readonly durableSeq: number | null;
  readonly client: CoordinatorClient | null;
  /** Null when it cannot be read. */
  readonly journal: JournalReader<Event> | null;
  /** At the end of the journal; null when it cannot be had. */
  readonly state: State | null;
};

/** Gives findings; a text is worth telling and nothing to mend. */
export type Check = (subject: Subject) => AsyncIterable<Finding | string>;

export const finding = (
  what: string,
  remedy: string,
  place: { readonly file?: string; readonly byte?: number; readonly seq?: number } = {},
): Finding => ({
  what,
  remedy,
  file: place.file ?? null,
  byte: place.byte ?? null,
  seq: place.seq ?? null,
});

export const restoreRemedy = 'restore a backup with `lockstep restore BACKUP --replace`';
