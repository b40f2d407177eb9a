/**
 * A reboot that a job asked for: begun when the job's result cannot be lost any more, and over when the agent
 * finds itself on another boot instance. Nothing else begins in between. A diskless node loses its ledger with
 * the reboot, so everything it has to tell is acknowledged before; any other node does not wait long for that.
 */
import { limits } from '../../shared/limits.ts';
import type { Hello } from '../../shared/messages.ts';
import type { Ledger, Reboot } from './ledger.ts';
import type { AgentState, HostTraits } from './state.ts';
import type { Turn } from './turn.ts';

/** The reboot that is still to come, or under way, on this boot. */
const pending = ({ ledger, host }: { readonly ledger: Ledger; readonly host: HostTraits }): Reboot | null =>
  ledger.reboot?.boot === host.boot ? ledger.reboot : null;

/** Nothing is begun, and no work asked for, from the result that leads to a reboot until the reboot is over. */
export const isRebooting = (state: AgentState): boolean => pending(state) !== null;

/** To be called with the result of the attempt, in the same turn. */
export function wantReboot(turn: Turn, attempt: string): void {
  const { boot } = turn.state.host;
  turn.record({ kind: 'reboot', attempt, boot, stage: 'wanted' });
  const rebootAtMs = turn.now.monotonicMs + limits.rebootAcknowledgementWaitMs;
  turn.state = { ...turn.state, rebootAtMs };
}

/** Begins the reboot when nothing is in its way, and again when the host has not gone down long after. */
export function considerReboot(turn: Turn): void {
  const { state, now } = turn;
  const reboot = pending(state);
  if (reboot === null || state.activity.kind !== 'idle') return;
  const isDue = now.monotonicMs >= state.rebootAtMs;
  if (reboot.begun ? !isDue : !mayBegin(state, reboot, isDue)) return;
  const { attempt, boot } = reboot;
  if (!reboot.begun) turn.record({ kind: 'reboot', attempt, boot, stage: 'begun' });
  else
    turn.note(
      'warn',
      `the host has not gone down since ${reboot.attempt} asked for a reboot; telling it again`,
    );
  turn.state = { ...turn.state, rebootAtMs: now.monotonicMs + limits.rebootAgainMs };
  turn.emit({ kind: 'reboot' });
}

function mayBegin({ ledger, link, host }: AgentState, { attempt }: Reboot, isDue: boolean): boolean {
  if (host.diskless) return ledger.ended.length === 0;
  const result = ledger.ended.find((ended) => ended.result.attempt === attempt);
  return result === undefined || result.acknowledged || link.kind !== 'joined' || isDue;
}

/** The coordinator has given it up: the run goes on without. False when there is none for this attempt. */
export function withdrawReboot(turn: Turn, attempt: string): boolean {
  const reboot = pending(turn.state);
  if (reboot?.attempt !== attempt) return false;
  turn.record({ kind: 'reboot', attempt, boot: reboot.boot, stage: 'withdrawn' });
  return true;
}

/** When the clock alone lets the reboot go on; null when there is none, or it waits for the coordinator. */
export function rebootAlarm(state: AgentState): number | null {
  const reboot = pending(state);
  if (reboot === null || state.activity.kind !== 'idle') return null;
  return state.host.diskless && !reboot.begun ? null : state.rebootAtMs;
}

/** What the greeting says of the last reboot: that it is to come, or how it was. */
export function rebootInHello({ ledger, host }: AgentState): Pick<Hello, 'rebooting' | 'rebooted'> {
  const { reboot } = ledger;
  if (reboot === null) return {};
  if (reboot.boot === host.boot) return { rebooting: reboot.attempt };
  return { rebooted: { attempt: reboot.attempt, planned: reboot.begun } };
}
