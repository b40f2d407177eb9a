/**
 * How far each receiver has been told, in a file of its own that no backup takes along: after a restore nothing old
 * is told again. What is lost of it is told twice, never not at all.
 */
import { Low } from 'lowdb';
import * as z from 'zod';
import { DurableAdapter } from '../../shared/disk/durable-adapter.ts';
import { messageOf } from '../../shared/errors.ts';

const givenUpSchema = z.object({ id: z.string(), what: z.string(), at: z.number(), reason: z.string() });

const cursorSchema = z.object({
  lineage: z.string(),
  /** Everything up to it was delivered, given up, or not for this receiver. */
  seq: z.int().nonnegative(),
  /** Which declaration of that name this is about. */
  declaredSeq: z.int(),
  delivered: z.int().nonnegative(),
  deliveredAt: z.number().nullable(),
  givenUp: z.int().nonnegative(),
  lastGivenUp: givenUpSchema.nullable(),
});
export type Cursor = z.infer<typeof cursorSchema>;

const documentSchema = z.object({ receivers: z.record(z.string(), cursorSchema) });
type Document = z.infer<typeof documentSchema>;

export class Cursors {
  readonly #low: Low<Document>;
  readonly #warn: (what: string) => void;

  private constructor(low: Low<Document>, warn: (what: string) => void) {
    this.#low = low;
    this.#warn = warn;
  }

  /** A file that cannot be read is done without: at worst a day's notifications are delivered again. */
  static async open(file: string, warn: (what: string) => void): Promise<Cursors> {
    const adapter = new DurableAdapter(file, (stored) => documentSchema.parse(stored), { onPrevious: warn });
    const low = new Low<Document>(adapter, { receivers: {} });
    await low.read().catch((error: unknown) => {
      warn(`it is not known who was told what; what is not too old is told again: ${messageOf(error)}`);
    });
    return new Cursors(low, warn);
  }

  get(receiver: string): Cursor | undefined {
    return this.#low.data.receivers[receiver];
  }

  /** Resolves when it is durable, or could not be made so, which is logged: then it may be told twice. */
  async put(receiver: string, cursor: Cursor): Promise<void> {
    this.#low.data.receivers[receiver] = cursor;
    await this.#write();
  }

  async keepOnly(receivers: ReadonlySet<string>): Promise<void> {
    const gone = Object.keys(this.#low.data.receivers).filter((name) => !receivers.has(name));
    if (gone.length === 0) return;
    for (const name of gone) delete this.#low.data.receivers[name];
    await this.#write();
  }

  async #write(): Promise<void> {
    await this.#low.write().catch((error: unknown) => {
      this.#warn(`cannot note who was told what: ${messageOf(error)}`);
    });
  }
}
