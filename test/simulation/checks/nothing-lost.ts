/**
 * P4. Each result that was durable on a node is in the journal exactly once, as what it was, however long the
 * way took, unless the disk that held it died, or the journal that it was acknowledged from. Logs are there byte
 * for byte, or with a gap where a power cut took their end.
 */
import type { Event } from '../../../coordinator/core/events.ts';
import { attemptIdOf, jobIdOf, parseAttemptId } from '../../../shared/ids.ts';
import type { CoordinatorMessage, Outcome } from '../../../shared/messages.ts';
import { type Checker, type FinalSight, type RestoredSight, require } from '../judge.ts';
import type { WorldRecord } from '../world-record.ts';

const streams = ['stdout', 'stderr'] as const;

export class NothingLost implements Checker {
  readonly #record: WorldRecord;
  readonly #applied = new Map<string, Outcome>();
  /** Attempts whose end was told, and whose node was to come back from a reboot. */
  readonly #rebooting = new Set<string>();
  readonly #stale = new Set<string>();
  /** By attempt and stream, up to which byte. */
  readonly #acknowledged = new Map<string, number>();
  /** Attempts whose results, and streams of which all, were acknowledged before the data was put back. */
  readonly #lost = new Set<string>();
  readonly #lostLogs = new Set<string>();

  constructor(record: WorldRecord) {
    this.#record = record;
  }

  journaled(event: Event): void {
    if (event.type === 'StaleResultReported') this.#stale.add(event.attempt);
    if (event.type !== 'AttemptEnded') return;
    const attempt = attemptIdOf(jobIdOf(event.run, event.step, event.node), event.attempt);
    const isLost = event.reason?.startsWith('evidence lost') === true;
    // Of a machine that was to come back from its reboot, and was replaced: that is no second result.
    const mayFollow = isLost && this.#rebooting.has(attempt);
    require(mayFollow || !this.#applied.has(attempt), () => `P4: the result of ${attempt} is applied twice`);
    this.#applied.set(attempt, event.outcome);
    if (event.reboot !== undefined) this.#rebooting.add(attempt);
    else this.#rebooting.delete(attempt);
    if (isLost) return;
    const isUnheardOf = !this.#record.executions.some((one) => one.attempt === attempt);
    if (event.outcome === 'not-started' && isUnheardOf) return;
    const reported = this.#record.results.filter(({ result }) => result.attempt === attempt);
    require(reported.some(
      ({ result }) => result.outcome === event.outcome && result.final === event.final,
    ), () => `P4: ${attempt} is journaled as ${event.outcome}, and no node ever made that durable`);
  }

  coordinatorSaid(_node: string | null, message: CoordinatorMessage): void {
    if (message.type === 'ack-log')
      this.#acknowledged.set(`${message.attempt} ${message.stream}`, message.upTo);
  }

  restored({ events, lostEvents }: RestoredSight): void {
    this.#applied.clear();
    this.#rebooting.clear();
    this.#stale.clear();
    for (const event of events) this.journaled(event);
    for (const event of lostEvents) {
      if (event.type === 'StaleResultReported') this.#lost.add(event.attempt);
      else if (event.type === 'AttemptEnded')
        this.#lost.add(attemptIdOf(jobIdOf(event.run, event.step, event.node), event.attempt));
    }
    for (const { result } of this.#record.results) {
      for (const stream of streams) {
        const key = `${result.attempt} ${stream}`;
        if ((this.#acknowledged.get(key) ?? 0) >= result.logs[stream]) this.#lostLogs.add(key);
      }
    }
  }

  finished({ hosts, logs }: FinalSight): void {
    const { cloned, evidenceLost, executions, histories, results } = this.#record;
    const isBeyond = (node: string, incarnation: string): boolean =>
      cloned.has(node) || evidenceLost.has(incarnation);
    for (const { node, incarnation, lineage, result } of results) {
      if (isBeyond(node, incarnation)) continue;
      const { attempt } = result;
      require(this.#applied.has(attempt) || this.#stale.has(attempt) || this.#lost.has(attempt), () =>
        `P4: the result of ${attempt} (${result.outcome}) never reached the journal`);
      // Where nobody knows the run, nobody keeps its logs.
      const run = parseAttemptId(attempt)?.run ?? '';
      if (histories.nameOf(run, lineage) !== histories.nameOf(run)) continue;
      for (const stream of streams) this.#checkLog(attempt, stream, result.logs[stream], logs);
    }
    for (const { attempt, executor, incarnation } of executions) {
      if (isBeyond(executor, incarnation)) continue;
      const hasResult = results.some(({ result }) => result.attempt === attempt);
      require(hasResult, () => `P4: ${attempt} ran on ${executor}, and there is no result of it`);
    }
    for (const { node, ledger } of hosts) {
      const waiting = ledger.ended.filter(({ acknowledged }) => !acknowledged);
      require(waiting.length === 0 || cloned.has(node), () =>
        `P4: ${node} still waits for ${waiting.length} acknowledgements`);
    }
  }

  #checkLog(
    attempt: string,
    stream: (typeof streams)[number],
    length: number,
    logs: FinalSight['logs'],
  ): void {
    if (this.#lostLogs.has(`${attempt} ${stream}`)) return;
    const { text, damaged } = this.#record.printed(attempt, stream);
    const kept = logs.get(`${attempt} ${stream}`) ?? '';
    require(kept.length >= length, () =>
      `P4: ${stream} of ${attempt} has ${kept.length} bytes at the coordinator, and ${length} were reported`);
    if (!damaged) require(kept === text, () => `P4: ${stream} of ${attempt} is not what was printed`);
    for (let at = 0; at < kept.length; at += 1) {
      require(kept[at] === text[at] || kept[at] === '\0', () =>
        `P4: byte ${at} of ${stream} of ${attempt} is not what was printed`);
    }
  }
}
