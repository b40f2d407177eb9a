/**
 * Which coordinator may be obeyed: the highest reign seen of each lineage, and which of two lineages of one
 * history is the newer. What an agent tells a coordinator whose data was restored is here too, because it is
 * what the lost part of that history had it do. Grants and results belong to link.ts.
 */

import { parseAttemptId } from '../../shared/ids.ts';
import { limits } from '../../shared/limits.ts';
import type { Hello, Origin } from '../../shared/messages.ts';
import type { Ledger } from './ledger.ts';
import type { Identity, SeenReign } from './state.ts';

export type Reign = {
  readonly lineage: string;
  readonly epoch: number;
  readonly origin?: Origin | undefined;
};

const rootOf = (seen: SeenReign): string => seen.root ?? seen.lineage;

function seenFrom({ lineage, epoch, origin }: Reign): SeenReign {
  const root = origin?.ancestors[0];
  return root === undefined ? { lineage, epoch } : { lineage, epoch, root, begunAt: origin?.begunAt };
}

export const epochSeen = ({ epochs }: Identity, lineage: string): number =>
  epochs.find((seen) => seen.lineage === lineage)?.epoch ?? 0;

/**
 * The reign that was seen here and that this one must give way to: a later one, or one after a later restore. Of two
 * restores at the same time, as a wrong clock has it, the one that was heard of first is kept to.
 */
export function newerReign({ epochs }: Identity, reign: Reign): SeenReign | undefined {
  const asked = seenFrom(reign);
  return epochs.find((seen) =>
    seen.lineage === asked.lineage
      ? seen.epoch > asked.epoch
      : rootOf(seen) === rootOf(asked) && (seen.begunAt ?? 0) >= (asked.begunAt ?? 0),
  );
}

export function withReign(identity: Identity, reign: Reign): Identity {
  const others = identity.epochs.filter((seen) => seen.lineage !== reign.lineage);
  return { ...identity, epochs: [...others, seenFrom(reign)].slice(-limits.agentLineagesMax) };
}

/**
 * What was finished for other lineages of the same history: all of the runs that are asked about, and of each
 * run that the coordinator cannot know the newest attempt.
 */
export function rememberedFor(
  identity: Identity,
  { finished, ended }: Ledger,
  { lineage, origin }: Reign,
): Hello['remembered'] {
  if (origin === undefined) return undefined;
  const root = origin.ancestors[0];
  const ofHistory = new Set([
    ...origin.ancestors,
    ...identity.epochs.filter((seen) => rootOf(seen) === root).map((seen) => seen.lineage),
  ]);
  ofHistory.delete(lineage);
  // With a result that is acknowledged the log may still be on its way; what is not, hello lists as held.
  const acknowledged = ended
    .filter((one) => one.acknowledged)
    .map(({ lineage: of, result }) => ({ attempt: result.attempt, lineage: of, result }));
  const lost = [...finished, ...acknowledged].filter((one) => ofHistory.has(one.lineage));
  const asked = new Set(origin.runs);
  const runOf = (attempt: string): string => parseAttemptId(attempt)?.run ?? '';
  const newestOf = new Map(lost.map((one) => [runOf(one.attempt), one]));
  const told = lost.filter((one) => {
    const run = runOf(one.attempt);
    return asked.has(run) || (Number(run.slice(1)) >= origin.runsFrom && newestOf.get(run) === one);
  });
  const kept = told.slice(-limits.agentRememberedMax);
  const oldest =
    kept.length < told.length ? kept[0] : forgot(finished) ? (lost[0] ?? finished[0]) : undefined;
  return {
    attempts: kept.map(({ attempt, result }) => ({ attempt, outcome: result?.outcome ?? null })),
    oldest: oldest?.attempt ?? null,
  };
}

/** Whether there may have been more: below this number nothing is ever forgotten. */
const forgot = (finished: Ledger['finished']): boolean => finished.length >= limits.agentFinishedKept;
