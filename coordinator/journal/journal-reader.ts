/**
 * A journal's folder that is only read: of a backup, of a coordinator that does not run, or, up to a seq that is
 * known to be durable, of one that does. Nothing is repaired; a torn end is left out.
 */
import { readFile } from 'node:fs/promises';
import { genesisHash } from './chain.ts';
import { checkLinks, expired, readHistory } from './history.ts';
import type { Position, ReadRange, StoredEvent } from './port.ts';
import { damagedAt, listSegments } from './segment-folder.ts';
import { recoverSegment } from './segment-recovery.ts';

export class JournalReader<E extends StoredEvent> {
  readonly last: Position;
  /** That the next event would belong to. */
  readonly lineage: string;
  readonly #folder: string;
  readonly #parse: (stored: unknown) => E;

  private constructor(
    folder: string,
    parse: (stored: unknown) => E,
    end: { readonly last: Position; readonly lineage: string },
  ) {
    this.#folder = folder;
    this.#parse = parse;
    this.last = end.last;
    this.lineage = end.lineage;
  }

  /** Throws `damaged` like opening it for writing; undefined when there is no journal. */
  static async open<E extends StoredEvent>(
    folder: string,
    parse: (stored: unknown) => E,
  ): Promise<JournalReader<E> | undefined> {
    const newest = await checkLinks(folder);
    if (newest === undefined) return undefined;
    const { header, last } = recoverSegment(newest.segment, await readFile(newest.segment.file));
    if (newest.previous !== undefined && newest.previous !== header.previous)
      throw damagedAt(newest.segment, 0, header.first, 'it does not continue the segment before it');
    return new JournalReader(folder, parse, { last, lineage: header.lineage });
  }

  /** The part of a journal that somebody appends to; what comes after `last` is not looked at. */
  static upTo<E extends StoredEvent>(
    folder: string,
    parse: (stored: unknown) => E,
    last: Position & { readonly lineage: string },
  ): JournalReader<E> {
    return new JournalReader(folder, parse, { last, lineage: last.lineage });
  }

  async oldest(): Promise<number> {
    return (await listSegments(this.#folder))[0]?.first ?? 1;
  }

  async *read({ from, to = this.last.seq }: ReadRange): AsyncGenerator<readonly E[]> {
    if (from < 1 || from > this.last.seq + 1) throw expired(from, `this history ends at ${this.last.seq}`);
    if (from > Math.min(to, this.last.seq)) return;
    for await (const { events } of readHistory(this.#folder, from, Math.min(to, this.last.seq)))
      yield events.map(this.#parse);
  }

  async hashAt(seq: number): Promise<string> {
    if (seq === 0) return genesisHash;
    if (seq === this.last.seq) return this.last.hash;
    if (seq < 1 || seq > this.last.seq) throw expired(seq, `this history ends at ${this.last.seq}`);
    for await (const page of readHistory(this.#folder, seq, seq)) return page.hash;
    throw expired(seq, 'it is not there');
  }
}
