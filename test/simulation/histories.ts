/**
 * The lineages of one simulated cluster, each with what it went on from. Runs of two histories may have the same
 * id without being the same run: here each has a name of its own.
 */
import { present } from '../../shared/assert.ts';

/** What a restore brought back. */
export type Restored = {
  readonly lineage: string;
  /** The lineage that the backup was taken in. */
  readonly continues: string;
  /** Runs from this number on are not in the backup. */
  readonly runsFrom: number;
};

type History = { readonly order: number; readonly runsFrom: number; readonly before: History | null };

export class Histories {
  readonly #known = new Map<string, History>();
  #present: History;

  constructor(first: string) {
    this.#present = { order: 0, runsFrom: 1, before: null };
    this.#known.set(first, this.#present);
  }

  /** The present history is another one from now on. */
  begin({ lineage, continues, runsFrom }: Restored): void {
    this.#present = { order: this.#known.size, runsFrom, before: this.#of(continues) };
    this.#known.set(lineage, this.#present);
  }

  /** Later restores have higher numbers. */
  orderOf(lineage: string): number {
    return this.#of(lineage).order;
  }

  /** What the run with this id is called that a lineage, or else the present one, knows. */
  nameOf(run: string, lineage?: string): string {
    const number = Number(run.slice(1));
    let history = lineage === undefined ? this.#present : this.#of(lineage);
    while (history.before !== null && number < history.runsFrom) history = history.before;
    return history.order === 0 ? run : `${run} of history ${history.order}`;
  }

  #of(lineage: string): History {
    return present(this.#known.get(lineage), `lineage ${lineage}`);
  }
}
