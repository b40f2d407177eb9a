/**
 * What chance decides in a rehearsal, drawn from a seed by name instead of in turn: a node that fails in one
 * rehearsal fails in the next one too, also when the pipeline's order or strategy was changed in between, so that
 * two rehearsals differ only by what was changed.
 */
import { createHash } from 'node:crypto';

export class Chances {
  readonly #seed: string;

  constructor(seed: number) {
    this.#seed = String(seed);
  }

  /** From 0 to below 1; always the same for the same seed and name. */
  fraction(name: string): number {
    const digest = createHash('sha256').update(`${this.#seed}\n${name}`).digest();
    return digest.readUIntBE(0, 6) / 2 ** 48;
  }

  happens(share: number, name: string): boolean {
    return this.fraction(name) < share;
  }

  /** So many of them, rounded to the nearest; the ones with the lowest draw. */
  choose<T>(share: number, all: readonly T[], nameOf: (item: T) => string): Set<T> {
    const drawn = all.map((item) => ({ item, draw: this.fraction(nameOf(item)) }));
    drawn.sort((a, b) => a.draw - b.draw);
    return new Set(drawn.slice(0, Math.round(share * all.length)).map(({ item }) => item));
  }
}
