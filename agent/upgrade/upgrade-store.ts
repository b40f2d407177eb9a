/**
 * The lowdb document that says which program this state folder belongs to: the one that was kept instead of the
 * installed one, the one that is to be tried, and those that failed. Every version of the agent reads and writes it,
 * the installed one after every boot: fields may be added, none renamed or given a new meaning.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { Low } from 'lowdb';
import * as z from 'zod';
import { DurableAdapter } from '../../shared/disk/durable-adapter.ts';
import { limits } from '../../shared/limits.ts';
import type { FailedUpgrade } from '../core/state.ts';

const program = { digest: z.string(), version: z.string() };

const documentSchema = z.object({
  /** `over`: the version of the installed program that hands over to it; another one was installed for a reason. */
  kept: z
    .object({
      ...program,
      over: z.string(),
      /**
       * How often it was started since it last proved itself, and the offer that it came with. Absent for a version
       * that does not know to prove itself in its own place: then nothing follows from how often it was started.
       */
      unproved: z.object({ starts: z.int(), offer: z.int() }).optional(),
    })
    .nullable(),
  /** `begun`: it was started; found so by another process, it did not come to a good end. */
  trial: z.object({ ...program, offer: z.int(), healthyWithinMs: z.int(), begun: z.boolean() }).nullable(),
  failed: z.array(z.object({ offer: z.int(), digest: z.string(), reason: z.string() })),
});

export type UpgradeDocument = Readonly<z.infer<typeof documentSchema>>;
export type Kept = NonNullable<UpgradeDocument['kept']>;
export type Trial = NonNullable<UpgradeDocument['trial']>;

const nothing: UpgradeDocument = { kept: null, trial: null, failed: [] };

const placeOf = (folder: string): string => path.join(folder, 'upgrade.json');

export class UpgradeStore {
  readonly #low: Low<UpgradeDocument>;

  private constructor(low: Low<UpgradeDocument>) {
    this.#low = low;
  }

  /** Whether there ever was an upgrade; most hosts never had one. */
  static isThere(folder: string): boolean {
    return existsSync(placeOf(folder)) || existsSync(`${placeOf(folder)}.previous`);
  }

  /** For the holder of the folder's lock. */
  static async open(folder: string): Promise<UpgradeStore> {
    const adapter = new DurableAdapter(placeOf(folder), (document) => documentSchema.parse(document));
    const low = new Low<UpgradeDocument>(adapter, nothing);
    await low.read();
    return new UpgradeStore(low);
  }

  get document(): UpgradeDocument {
    return this.#low.data;
  }

  async write(change: Partial<UpgradeDocument>): Promise<void> {
    this.#low.data = { ...this.#low.data, ...change };
    await this.#low.write();
  }

  /** It has come to the coordinator, or has lived for long: starts are counted anew. */
  async prove(): Promise<void> {
    const { kept } = this.document;
    if (kept?.unproved === undefined || kept.unproved.starts === 0) return;
    await this.write({ kept: { ...kept, unproved: { ...kept.unproved, starts: 0 } } });
  }

  /** The trial, if there was one, is over; the reason is remembered. */
  async fail({ offer, digest, reason }: FailedUpgrade): Promise<void> {
    const others = this.document.failed.filter((one) => one.offer !== offer || one.digest !== digest);
    await this.write({
      trial: null,
      failed: [...others, { offer, digest, reason }].slice(-limits.upgradeFailuresKept),
    });
  }
}
