/** Takes what the coordinator offers, while the agent goes on: afterwards only a trial can say more. */
import { messageOf } from '../../shared/errors.ts';
import type { Input, Offer } from '../core/state.ts';
import type { UpgradeStore } from './upgrade-store.ts';
import { pruneVersions, takeProgram } from './version-folder.ts';

export type UpgradesParts = {
  readonly stateFolder: string;
  readonly store: UpgradeStore;
  readonly fetch: (digest: string, file: string, signal: AbortSignal) => Promise<void>;
  readonly tell: (input: Input) => void;
};

export class Upgrades {
  readonly #parts: UpgradesParts;

  constructor(parts: UpgradesParts) {
    this.#parts = parts;
  }

  /** Whatever goes wrong is the offer's failure, not the agent's. */
  async take({ offer, version, digest, healthyWithinMs }: Offer, signal: AbortSignal): Promise<void> {
    const { stateFolder, store, fetch, tell } = this.#parts;
    try {
      await pruneVersions(stateFolder, [digest, ...keptDigests(store)]);
      await takeProgram(stateFolder, { digest, version }, (wanted, file) => fetch(wanted, file, signal));
    } catch (error) {
      if (signal.aborted) return;
      const failed = { offer, digest, reason: messageOf(error).slice(0, reasonLengthMax) };
      // First: what it took may be the space that the document needs.
      await pruneVersions(stateFolder, keptDigests(store));
      await store.fail(failed);
      tell({ kind: 'upgrade-failed', failed });
      return;
    }
    await store.write({ trial: { offer, digest, version, healthyWithinMs, begun: false } });
    tell({ kind: 'upgrade-taken' });
  }
}

const keptDigests = ({ document: { kept } }: UpgradeStore): readonly string[] =>
  kept === null ? [] : [kept.digest];

const reasonLengthMax = 1_000;
