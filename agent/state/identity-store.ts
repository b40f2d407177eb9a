/**
 * The lowdb document that makes this state folder one incarnation: its random id, connections, epochs. It
 * changes by the rules in ledger-format.ts.
 */
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { Low } from 'lowdb';
import * as z from 'zod';
import { DurableAdapter } from '../../shared/disk/durable-adapter.ts';
import type { Identity } from '../core/state.ts';

const identitySchema = z.object({
  incarnation: z.string().min(8).max(64),
  counter: z.int().nonnegative(),
  epochs: z.array(
    z.object({
      lineage: z.string(),
      epoch: z.int().nonnegative(),
      root: z.string().optional(),
      begunAt: z.int().optional(),
    }),
  ),
  given: z.object({ asked: z.string(), name: z.string() }).optional(),
});

export class IdentityStore {
  readonly #low: Low<Identity>;

  private constructor(low: Low<Identity>) {
    this.#low = low;
  }

  /** Creates the identity with the folder, durably, before anybody hears of it. */
  static async open(folder: string): Promise<IdentityStore> {
    const adapter = new DurableAdapter<Identity>(path.join(folder, 'identity.json'), (document) =>
      identitySchema.parse(document),
    );
    const unborn: Identity = { incarnation: '', counter: 0, epochs: [] };
    const low = new Low(adapter, unborn);
    await low.read();
    const store = new IdentityStore(low);
    if (low.data === unborn) await store.write({ ...unborn, incarnation: randomUUID() });
    return store;
  }

  get identity(): Identity {
    return this.#low.data;
  }

  async write(identity: Identity): Promise<void> {
    this.#low.data = identity;
    await this.#low.write();
  }
}
