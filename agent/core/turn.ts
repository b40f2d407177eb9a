/**
 * The working copy of one input's handling: rules add records and effects to it and see at once what the
 * records mean. It never outlives the call that made it, so the core stays pure as seen from outside.
 */
import { present } from '../../shared/assert.ts';
import type { AttemptResult } from '../../shared/messages.ts';
import { evolveLedger, type Job, type LedgerRecord } from './ledger.ts';
import type { Activity, AgentState, Effect, Link, Now } from './state.ts';

export class Turn {
  state: AgentState;
  readonly now: Now;
  readonly records: LedgerRecord[] = [];
  readonly effects: Effect[] = [];

  constructor(state: AgentState, now: Now) {
    this.state = state;
    this.now = now;
  }

  record(record: LedgerRecord): void {
    const before = this.state.ledger;
    const ledger = evolveLedger(before, record);
    this.records.push(record);
    this.state = { ...this.state, ledger };
    if (ledger.ended.length >= before.ended.length) return;
    const kept = new Set(ledger.ended.map((ended) => ended.number));
    for (const { number, result, files } of before.ended) {
      if (!kept.has(number)) this.emit({ kind: 'forget', attempt: result.attempt, files });
    }
  }

  /** A result under the next number of the outbox. */
  conclude(
    lineage: string,
    result: AttemptResult,
    more: { files?: readonly string[]; secret?: boolean; retryAtMs?: number | null } = {},
  ): void {
    const { files = [], secret = false, retryAtMs = null } = more;
    const number = this.state.ledger.nextNumber;
    this.record({ kind: 'ended', lineage, number, result, files, secret, retryAtMs });
  }

  emit(...effects: readonly Effect[]): void {
    this.effects.push(...effects);
  }

  note(level: 'info' | 'warn' | 'error', text: string): void {
    this.emit({ kind: 'note', level, text });
  }

  become(activity: Activity): void {
    this.state = { ...this.state, activity };
  }

  relink(link: Link): void {
    this.state = { ...this.state, link };
  }

  /** The job that the activity is about. */
  get job(): Job {
    return present(this.state.ledger.jobs[0], 'the job of the running attempt');
  }
}

/** A result of an attempt that did not execute in this turn of events. */
export function unexecuted(
  attempt: string,
  outcome: 'cancelled' | 'interrupted' | 'not-started',
  reason: string,
  now: Now,
): AttemptResult {
  return {
    attempt,
    outcome,
    final: true,
    unchanged: false,
    exitCode: null,
    signal: null,
    reason: clip(reason),
    phase: 'none',
    iterations: 0,
    startedAt: null,
    finishedAt: now.wallMs,
    durationMs: 0,
    outputs: {},
    logs: { stdout: 0, stderr: 0 },
  };
}

const reasonLengthMax = 1_000;

export const clip = (reason: string): string =>
  reason.length > reasonLengthMax ? `${reason.slice(0, reasonLengthMax)}…` : reason;
