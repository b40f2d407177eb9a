/** What the agent keeps in its state folder, opened by the holder of the folder's lock. */
import path from 'node:path';
import { IdentityStore } from './state/identity-store.ts';
import { LedgerStore } from './state/ledger-store.ts';
import { OutputStore } from './state/output-store.ts';
import { Reserve } from './state/reserve.ts';
import { UpgradeStore } from './upgrade/upgrade-store.ts';

export type Stores = {
  readonly identity: IdentityStore;
  readonly ledger: LedgerStore;
  readonly outputs: OutputStore;
  readonly upgrade: UpgradeStore;
  readonly reserve: Reserve;
};

export async function openStores(folder: string): Promise<Stores> {
  const identity = await IdentityStore.open(folder);
  const reserve = new Reserve(folder);
  const ledger = await LedgerStore.open(folder, reserve);
  const needed = new Set(ledger.found.ended.flatMap(({ files }) => files));
  const outputs = await OutputStore.open(path.join(folder, 'outputs'), needed, reserve);
  return { identity, ledger, outputs, upgrade: await UpgradeStore.open(folder), reserve };
}
