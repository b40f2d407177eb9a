/** Goes through all checks of a data folder, whether a coordinator runs on it or not. Nothing is changed. */
import { LockstepError, messageOf } from '../../shared/errors.ts';
import { type HeldData, holdData, openJournal } from '../backup/data-source.ts';
import type { State } from '../core/state.ts';
import { dataPlaces } from '../sequence/data-places.ts';
import { recoverState } from '../sequence/recovery.ts';
import { checkBackups } from './backup-check.ts';
import { checkCertificates } from './certificate-check.ts';
import { checkBlobs, checkSecrets } from './content-checks.ts';
import { type Check, type Finding, finding, type Subject } from './finding.ts';
import { checkJournal } from './journal-check.ts';
import { checkLinks } from './link-check.ts';
import { checkLogs } from './log-check.ts';
import { checkClock, checkDisk, checkLock, checkModes } from './machine-checks.ts';
import { checkSnapshots } from './snapshot-check.ts';

/** In the order in which they are told. */
const checks = {
  lock: checkLock,
  journal: checkJournal,
  snapshots: checkSnapshots,
  blobs: checkBlobs,
  secrets: checkSecrets,
  logs: checkLogs,
  backups: checkBackups,
  disk: checkDisk,
  clock: checkClock,
  modes: checkModes,
  certificates: checkCertificates,
  links: checkLinks,
} as const satisfies Record<string, Check>;

export type Checked = {
  readonly check: string;
  readonly findings: readonly Finding[];
  /** Worth telling, and nothing to mend. */
  readonly notes: readonly string[];
};

export type Examination = {
  readonly dataFolder: string;
  /** Whether a coordinator runs on it. */
  readonly running: boolean;
  readonly checks: readonly Checked[];
};

type Examined = {
  readonly dataFolder: string;
  readonly keyFile: string;
  readonly addresses: readonly string[];
};

export async function examine(places: Examined, onChecked: (checked: Checked) => void): Promise<Examination> {
  const held = await holdData(places.dataFolder);
  try {
    const subject = await subjectOf(places, held);
    const all: Checked[] = [];
    for (const [name, check] of Object.entries(checks)) {
      const checked = await perform(name, check, subject);
      onChecked(checked);
      all.push(checked);
    }
    return { dataFolder: places.dataFolder, running: held.client !== null, checks: all };
  } finally {
    await held.release();
  }
}

async function subjectOf({ dataFolder, keyFile, addresses }: Examined, held: HeldData): Promise<Subject> {
  const places = dataPlaces(dataFolder);
  const journal = await unlessDamaged(openJournal(dataFolder, held));
  const recovered = journal === null ? null : await unlessDamaged(recoverState(journal, places.snapshots));
  const state: State | null = recovered?.state ?? null;
  const durableSeq = held.durable?.seq ?? null;
  return { dataFolder, keyFile, places, addresses, durableSeq, client: held.client, journal, state };
}

/** Damage is for the checks to tell, with its place. */
async function unlessDamaged<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error;
    if (error.code === 'damaged' || error.code === 'usage' || error.code === 'cursor-expired') return null;
    throw error;
  }
}

async function perform(name: string, check: Check, subject: Subject): Promise<Checked> {
  const findings: Finding[] = [];
  const notes: string[] = [];
  try {
    for await (const told of check(subject)) {
      if (typeof told === 'string') notes.push(told);
      else findings.push(told);
    }
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error;
    findings.push(finding(messageOf(error), 'mend what the other checks tell, then look again'));
  }
  return { check: name, findings, notes };
}
