/**
 * How an agent gives way to another version of itself: an offer is taken while jobs go on, then the process leaves
 * for a trial of what it took; on trial, an agent proves that it is healthy and does nothing new. What was tried
 * and failed is told on every connection. Files and processes are in agent/upgrade.
 */
import { limits } from '../../shared/limits.ts';
import type { CoordinatorMessage } from '../../shared/messages.ts';
import { isRebooting } from './reboot.ts';
import type { AgentState, FailedUpgrade } from './state.ts';
import type { Turn } from './turn.ts';

type Offer = CoordinatorMessage & { readonly type: 'upgrade' };

const isSame = (one: FailedUpgrade, other: Pick<FailedUpgrade, 'offer' | 'digest'>): boolean =>
  one.offer === other.offer && one.digest === other.digest;

/** An offer that failed here is not tried again; an operator who wants that offers it anew. */
export function onOffer(turn: Turn, offer: Offer): void {
  const failed = turn.state.upgradesFailed.find((one) => isSame(one, offer));
  if (failed !== undefined) {
    turn.emit({ kind: 'send', message: { type: 'upgrade-failed', ...failed } });
    return;
  }
  // It comes again with each connection, also while it is being taken.
  if (turn.state.upgrade !== 'none' || isRebooting(turn.state)) return;
  turn.state = { ...turn.state, upgrade: 'taking' };
  turn.note('info', `taking agent ${offer.version} (offer ${offer.offer}, ${offer.digest})`);
  const { offer: number, version, digest, healthyWithinMs } = offer;
  turn.emit({ kind: 'take-upgrade', offer: { offer: number, version, digest, healthyWithinMs } });
}

/** It is on disk, it starts, and whatever starts next will try it. */
export function onUpgradeTaken(turn: Turn): void {
  turn.state = { ...turn.state, upgrade: 'taken' };
}

export function onUpgradeFailed(turn: Turn, failed: FailedUpgrade): void {
  const others = turn.state.upgradesFailed.filter((one) => !isSame(one, failed));
  const upgradesFailed = [...others, failed].slice(-limits.upgradeFailuresKept);
  turn.state = { ...turn.state, upgrade: 'none', upgradesFailed };
  turn.note('error', `offer ${failed.offer} of another agent failed: ${failed.reason}`);
  if (turn.state.link.kind === 'joined')
    turn.emit({ kind: 'send', message: { type: 'upgrade-failed', ...failed } });
}

/** A version on trial begins nothing, and one that leaves would only interrupt it. */
export const isGivingWay = ({ upgrade }: AgentState): boolean =>
  upgrade === 'on-trial' || upgrade === 'leaving';

/**
 * Leaves for the trial of what was taken, but not into a reboot, which would end the trial: it comes after it. On
 * trial, leaves as soon as a coordinator has welcomed it and the job that it found is taken up: then it is healthy.
 */
export function considerUpgrade(turn: Turn): void {
  const { upgrade, link, activity } = turn.state;
  const isHealthy = upgrade === 'on-trial' && link.kind === 'joined' && activity.kind !== 'recovering';
  if (!isHealthy && (upgrade !== 'taken' || isRebooting(turn.state))) return;
  turn.state = { ...turn.state, upgrade: 'leaving' };
  turn.emit({ kind: isHealthy ? 'prove-health' : 'leave-for-upgrade' });
}
