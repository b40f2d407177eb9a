/**
 * The agent as a pure state machine: an input and the time give the next state, the records that must be
 * durable, and the effects that may take place after that. Whoever calls it keeps that order (P3, P4).
 */
import { assertNever } from '../../shared/assert.ts';
import { limits } from '../../shared/limits.ts';
import { attemptAlarm, beginNext, onAlarm, onExecuted, onPrepared, onRecovered } from './attempt.ts';
import { endJobsOfOtherBoots, onCollected } from './conclusion.ts';
import type { Ledger } from './ledger.ts';
import { flush, onFilesUploaded, onMessage } from './link.ts';
import type { NodeValues } from './next-step.ts';
import { considerReboot, rebootAlarm } from './reboot.ts';
import type { AgentState, FailedUpgrade, HostTraits, Identity, Input, Now, Turned } from './state.ts';
import { Turn } from './turn.ts';
import { considerUpgrade, isGivingWay, onUpgradeFailed, onUpgradeTaken } from './upgrade.ts';

export type Beginning = {
  readonly node: NodeValues['node'];
  readonly host: HostTraits;
  readonly identity: Identity;
  readonly ledger: Ledger;
  readonly onTrial: boolean;
  readonly upgradesFailed: readonly FailedUpgrade[];
};

/** The state after a start, on a new host or with all that an earlier process left behind. */
export function beginAgent({ onTrial, ...beginning }: Beginning, now: Now): Turned {
  const turn = new Turn(
    {
      ...beginning,
      link: { kind: 'down' },
      activity: { kind: 'idle' },
      uploaded: [],
      pullAgainAtMs: null,
      rebootAtMs: now.monotonicMs + limits.rebootAcknowledgementWaitMs,
      iterationTold: null,
      upgrade: onTrial ? 'on-trial' : 'none',
    },
    now,
  );
  endJobsOfOtherBoots(turn);
  const [job] = turn.state.ledger.jobs;
  if (turn.state.activity.kind === 'idle' && job !== undefined && job.begun !== null) {
    turn.become({ kind: 'recovering', attempt: job.attempt, stop: null });
    turn.emit({ kind: 'recover', job });
  }
  return settled(turn);
}

export function step(state: AgentState, input: Input, now: Now): Turned {
  const turn = new Turn(state, now);
  take(turn, input);
  return settled(turn);
}

function take(turn: Turn, input: Input): void {
  switch (input.kind) {
    case 'message':
      onMessage(turn, input.message);
      return;
    case 'disconnected':
      turn.relink({ kind: 'down' });
      return;
    case 'prepared':
      onPrepared(turn, input);
      return;
    case 'recovered':
      onRecovered(turn, input);
      return;
    case 'executed':
      onExecuted(turn, input);
      return;
    case 'collected':
      onCollected(turn, input);
      return;
    case 'logs-acknowledged':
      onLogsAcknowledged(turn, input.attempt);
      return;
    case 'files-uploaded':
      onFilesUploaded(turn, input);
      return;
    case 'upgrade-taken':
      onUpgradeTaken(turn);
      return;
    case 'upgrade-failed':
      onUpgradeFailed(turn, input.failed);
      return;
    case 'alarm':
      onAlarm(turn);
      return;
    default:
      assertNever(input);
  }
}

function onLogsAcknowledged(turn: Turn, attempt: string): void {
  const waiting = turn.state.ledger.ended.some(
    (ended) => ended.result.attempt === attempt && !ended.logsAcknowledged,
  );
  if (waiting) turn.record({ kind: 'logs-acknowledged', attempt });
}

function settled(turn: Turn): Turned {
  considerUpgrade(turn);
  if (!isGivingWay(turn.state)) considerReboot(turn);
  beginNext(turn);
  flush(turn);
  return { state: turn.state, records: turn.records, effects: turn.effects };
}

/** When `alarm` is due, by the monotonic clock; null while only the world can make anything happen. */
export function alarmAt(state: AgentState): number | null {
  const { activity, ledger, link, pullAgainAtMs } = state;
  if (isGivingWay(state)) return activity.kind === 'idle' ? null : attemptAlarm(activity, ledger.jobs);
  const reboot = rebootAlarm(state);
  if (reboot !== null) return reboot;
  const attempt = attemptAlarm(activity, ledger.jobs);
  const pull = link.kind === 'joined' && activity.kind === 'idle' ? pullAgainAtMs : null;
  if (attempt === null || pull === null) return attempt ?? pull;
  return Math.min(attempt, pull);
}
