/** One node of an inventory, as words with their places in the file. Whether they make sense is judged in inventory.ts. */
import type { Position } from '../../shared/pipeline/source.ts';

export type Place = Pick<Position, 'line' | 'column'>;

export type Word = { readonly text: string; readonly at: Place };

export type Entry = {
  readonly at: Place;
  /** By field; empty ones are left out, and `mac` may have several. Labels are fields named `labels.KEY`. */
  readonly words: ReadonlyMap<string, readonly Word[]>;
};

/** What a line may tell of a node beside `labels.KEY`. */
export const fields = ['name', 'serial', 'uuid', 'mac', 'site', 'rack', 'cluster', 'address', 'bmc'] as const;
export type Field = (typeof fields)[number];

export const labelPrefix = 'labels.';

export const isField = (word: string): word is Field => fields.some((field) => field === word);

export const expectedFields = `one of ${fields.join(', ')}, or labels.KEY`;
