/**
 * The state folder of one host. The ledger and the identity are fsynced, so they survive everything but the
 * disk itself; attempt folders are not: a killed agent loses nothing of them, a power cut may.
 */
import { emptyLedger, evolveLedger, type Ledger, type LedgerRecord } from '../../agent/core/ledger.ts';
import type { Phase } from '../../agent/core/next-step.ts';
import type { Identity } from '../../agent/core/state.ts';
import type { UpgradeDocument } from '../../agent/upgrade/upgrade-store.ts';
import type { StreamName } from '../../shared/messages.ts';
import type { Random } from '../coordinator/core/random-pipeline.ts';
import type { WorldRecord } from './world-record.ts';

export type ExecutionFolder = {
  readonly number: number;
  readonly phase: Phase;
  claim: 'unclaimed' | 'void' | 'supervised';
  status: number | undefined;
  /** What it wrote to `$LOCKSTEP_OUTPUT`. */
  output: Uint8Array;
};

export type AttemptFolder = {
  params: Readonly<Record<string, unknown>>;
  readonly executions: Map<number, ExecutionFolder>;
  readonly printed: Record<StreamName, string>;
};

export class HostDisk {
  identity: Identity;
  ledger: Ledger = emptyLedger;
  /** Which program belongs to the folder: a document of its own, fsynced. */
  upgrade: UpgradeDocument = { kept: null, trial: null, failed: [] };
  readonly folders = new Map<string, AttemptFolder>();
  /** Files among the outputs, by digest: fsynced, too. */
  readonly files = new Map<string, string>();

  constructor(incarnation: string) {
    this.identity = { incarnation, counter: 0, epochs: [] };
  }

  append(records: readonly LedgerRecord[]): void {
    this.ledger = records.reduce(evolveLedger, this.ledger);
  }

  folder(attempt: string): AttemptFolder {
    const known = this.folders.get(attempt) ?? {
      params: {},
      executions: new Map(),
      printed: { stdout: '', stderr: '' },
    };
    this.folders.set(attempt, known);
    return known;
  }

  /** Of what was never fsynced, anything may be gone. */
  losePower(random: Random, record: WorldRecord): void {
    for (const [attempt, folder] of this.folders) {
      if (random.chance(0.4)) continue;
      record.damage(attempt);
      if (random.chance(0.2)) {
        this.folders.delete(attempt);
        continue;
      }
      for (const stream of ['stdout', 'stderr'] as const) {
        folder.printed[stream] = folder.printed[stream].slice(
          0,
          random.below(folder.printed[stream].length + 1),
        );
      }
      for (const [number, execution] of folder.executions) {
        if (random.chance(0.3)) execution.status = undefined;
        if (random.chance(0.2)) folder.executions.delete(number);
      }
    }
  }

  /** Somebody copied the state folder to another host. */
  copy(): HostDisk {
    const copy = new HostDisk(this.identity.incarnation);
    copy.identity = this.identity;
    copy.ledger = this.ledger;
    copy.upgrade = this.upgrade;
    return copy;
  }
}
