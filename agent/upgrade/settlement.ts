/**
 * Which program runs on this state folder, settled before the agent begins. The installed program hands over to the
 * version that was kept; a version that waits for its trial is tried; a trial that another process began and did not
 * end has failed. What cannot be had is passed over with a reason: an agent that runs is worth more than a new one.
 */
import type { Logger } from 'pino';
import { lockFolder } from '../../shared/disk/folder-lock.ts';
import { messageOf } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import { formatDuration } from '../../shared/pipeline/duration.ts';
import { handedOverVariable, replaceProgram } from './program.ts';
import { OnTrial, trialVariable, tryProgram } from './trial.ts';
import { type Kept, type Trial, type UpgradeDocument, UpgradeStore } from './upgrade-store.ts';
import { checkProgram, programFile, pruneVersions } from './version-folder.ts';

export type SettlementParts = {
  readonly stateFolder: string;
  readonly version: string;
  /** What the program was started with. */
  readonly words: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  readonly log: Logger;
  readonly signal: AbortSignal;
};

/** What is to be done about the program before the agent begins. */
export type Measure =
  | { readonly kind: 'try'; readonly trial: Trial }
  | { readonly kind: 'give-up'; readonly trial: Trial }
  | { readonly kind: 'hand-over'; readonly kept: Kept }
  /** Another program was installed since: it was installed to be used. */
  | { readonly kind: 'drop'; readonly kept: Kept }
  /** It was started again and again, and never came as far as to prove itself. */
  | { readonly kind: 'abandon'; readonly kept: Kept }
  | { readonly kind: 'run' };

/** `handedOver`: the digest of the version that this process is; undefined for the installed one. */
export function measureFor(
  { kept, trial }: UpgradeDocument,
  version: string,
  handedOver: string | undefined,
): Measure {
  if (trial !== null) return { kind: trial.begun ? 'give-up' : 'try', trial };
  if (kept === null || kept.digest === handedOver) return { kind: 'run' };
  if (handedOver === undefined && kept.over !== version) return { kind: 'drop', kept };
  if ((kept.unproved?.starts ?? 0) >= limits.upgradeUnprovedStartsMax) return { kind: 'abandon', kept };
  return { kind: 'hand-over', kept };
}

/** Resolves when this process is the one to run the agent, with its trial if it is on one; else it is replaced. */
export async function settleProgram(parts: SettlementParts): Promise<OnTrial | undefined> {
  const { stateFolder, environment } = parts;
  if (environment[trialVariable] !== undefined) {
    // Nothing that it starts is on trial.
    delete environment[trialVariable];
    return new OnTrial(() => process.exit());
  }
  while (UpgradeStore.isThere(stateFolder) && !parts.signal.aborted) {
    if (await settleOnce(parts)) return undefined;
  }
  return undefined;
}

/** True when nothing is left to be settled. */
async function settleOnce(parts: SettlementParts): Promise<boolean> {
  const { stateFolder, version, environment, log } = parts;
  const lock = await lockFolder(stateFolder);
  let isLocked = true;
  const release = async (): Promise<void> => {
    if (isLocked) await lock.release();
    isLocked = false;
  };
  try {
    const store = await UpgradeStore.open(stateFolder);
    const measure = measureFor(store.document, version, environment[handedOverVariable]);
    switch (measure.kind) {
      case 'run':
        return true;
      case 'drop':
        log.warn(
          `agent ${version} was installed since ${measure.kept.version} was kept, and is used instead`,
        );
        await store.write({ kept: null });
        return true;
      case 'abandon':
        await abandon(parts, store, measure.kept);
        return true;
      case 'give-up':
        await giveUp(
          parts,
          store,
          measure.trial,
          'the agent was ended or the host restarted during its trial',
        );
        return false;
      case 'hand-over':
        return await handOver(parts, store, measure.kept, release);
      case 'try':
        await store.write({ trial: { ...measure.trial, begun: true } });
        await release();
        await carryOut(parts, measure.trial);
        return false;
    }
  } finally {
    await release();
  }
}

async function giveUp(
  parts: SettlementParts,
  store: UpgradeStore,
  trial: Trial,
  reason: string,
): Promise<void> {
  parts.log.error(`agent ${trial.version} is not used: ${reason}`);
  const { kept } = store.document;
  await pruneVersions(parts.stateFolder, kept === null ? [] : [kept.digest]);
  await store.fail({ offer: trial.offer, digest: trial.digest, reason });
}

async function abandon(
  { stateFolder, log }: SettlementParts,
  store: UpgradeStore,
  kept: Kept,
): Promise<void> {
  const reason =
    `it was kept, then started ${kept.unproved?.starts ?? 0} times without coming to the coordinator ` +
    `or living for ${formatDuration(limits.upgradeProvedAfterMs)}`;
  log.error(`agent ${kept.version} is not used any more: ${reason}`);
  await store.write({ kept: null });
  await store.fail({ offer: kept.unproved?.offer ?? 0, digest: kept.digest, reason });
  await pruneVersions(stateFolder, []);
}

/** A start that cannot be noted is one all the same: an agent that runs is worth more than a count. */
async function countStart(store: UpgradeStore, kept: Kept, log: Logger): Promise<void> {
  if (kept.unproved === undefined) return;
  const unproved = { ...kept.unproved, starts: kept.unproved.starts + 1 };
  await store
    .write({ kept: { ...kept, unproved } })
    .catch((error: unknown) =>
      log.warn(`the start of agent ${kept.version} is not counted: ${messageOf(error)}`),
    );
}

/** Does not come back when it works. */
async function handOver(
  { stateFolder, environment, words, log }: SettlementParts,
  store: UpgradeStore,
  kept: Kept,
  release: () => Promise<void>,
): Promise<boolean> {
  try {
    await checkProgram(stateFolder, kept);
  } catch (error) {
    log.error(`agent ${kept.version}, which was kept, is not used: ${messageOf(error)}`);
    await store.write({ kept: null });
    return true;
  }
  await countStart(store, kept, log);
  await release();
  log.info(`handing over to agent ${kept.version}`);
  return replaceProgram([programFile(stateFolder, kept.digest), ...words], {
    ...environment,
    [handedOverVariable]: kept.digest,
  });
}

/** Tries a version in this one's place. Kept, it takes over when the document is looked at again. */
async function carryOut(parts: SettlementParts, trial: Trial): Promise<void> {
  const { stateFolder, version, environment, words, log, signal } = parts;
  const { digest, healthyWithinMs } = trial;
  log.info(`trying agent ${trial.version}`);
  const own = environment[handedOverVariable];
  const end = await tryProgram(
    [programFile(stateFolder, digest), ...words],
    { ...environment, [handedOverVariable]: digest },
    healthyWithinMs,
    signal,
  );
  const lock = await lockFolder(stateFolder);
  try {
    const store = await UpgradeStore.open(stateFolder);
    const { kept } = store.document;
    if (end.kind === 'unhealthy') {
      await giveUp(parts, store, trial, end.reason);
      return;
    }
    if (end.kind === 'stopped') {
      await store.write({ trial });
      return;
    }
    const unproved = end.provesItself ? { unproved: { starts: 0, offer: trial.offer } } : {};
    const over = kept?.over ?? version;
    await store.write({ trial: null, kept: { digest, version: trial.version, over, ...unproved } });
    await pruneVersions(stateFolder, own === undefined ? [digest] : [digest, own]);
    log.info(`agent ${trial.version} is healthy, and is kept`);
  } finally {
    await lock.release();
  }
}
