/**
 * P3. What the coordinator says rests on events that are durable when the words leave; what an agent says or
 * does rests on records that are durable on its disk.
 */
import type { Event } from '../../../coordinator/core/events.ts';
import { attemptIdOf, jobIdOf } from '../../../shared/ids.ts';
import type { AgentMessage, CoordinatorMessage } from '../../../shared/messages.ts';
import { type Checker, type DiskSight, type RestoredSight, require } from '../judge.ts';
import type { WorldExecution } from '../world-record.ts';

const idOf = (event: { run: string; step: string; node: string; attempt: number }): string =>
  attemptIdOf(jobIdOf(event.run, event.step, event.node), event.attempt);

export class Durable implements Checker {
  #seq = 0;
  readonly #granted = new Set<string>();
  /** Attempts whose end, or whose staleness, is durable. */
  readonly #reported = new Set<string>();
  /** What each node said under which number, on its present disk. */
  readonly #said = new Map<string, Map<number, string>>();
  readonly #connected = new Set<string>();

  journaled(event: Event): void {
    this.#seq = event.seq;
    if (event.type === 'JobGranted') {
      // A grant allows these attempts, and is sent again with the first of them that is not over.
      for (let more = 0; more < event.attemptsMax; more += 1)
        this.#granted.add(idOf({ ...event, attempt: event.attempt + more }));
    }
    if (event.type === 'AttemptEnded') this.#reported.add(idOf(event));
    else if (event.type === 'StaleResultReported') this.#reported.add(event.attempt);
    else if (event.type === 'NodeConnected') this.#connected.add(event.node);
    else if (event.type === 'NodeDisconnected') this.#connected.delete(event.node);
  }

  restored({ events }: RestoredSight): void {
    this.#granted.clear();
    this.#reported.clear();
    this.#connected.clear();
    for (const event of events) this.journaled(event);
  }

  coordinatorSaid(
    node: string | null,
    message: CoordinatorMessage,
    contents: ReadonlyMap<string, string>,
  ): void {
    if (message.type === 'grant') {
      for (const { attempt, inputs } of message.jobs) {
        require(this.#granted.has(attempt), () =>
          `P3: ${attempt} is granted to ${node} before that is durable`);
        for (const [name, input] of Object.entries(inputs)) {
          const digest = 'blob' in input ? input.blob : 'file' in input ? input.file : undefined;
          require(digest === undefined || contents.has(digest), () =>
            `P3: ${attempt} is granted with ${name}, which is not stored`);
        }
      }
    } else if (message.type === 'ack-results') {
      for (const [number, attempt] of this.#said.get(node ?? '') ?? [])
        require(number > message.upTo || this.#reported.has(attempt), () =>
          `P3: the result of ${attempt} is acknowledged to ${node} before it is durable`);
    } else if (message.type === 'welcome') {
      require(this.#connected.has(message.node), () =>
        `P3: ${node} is welcomed before its connection is durable`);
    }
  }

  operatorTold(seq: number): void {
    require(seq <= this.#seq, () => `P3: an operator was told of seq ${seq}, and ${this.#seq} is durable`);
  }

  agentSaid(node: string, message: AgentMessage, { ledger }: DiskSight): void {
    if (message.type === 'hello') {
      // Numbers are those of one disk.
      this.#said.delete(node);
    } else if (message.type === 'result') {
      const { attempt } = message.result;
      const said = this.#said.get(node) ?? new Map<number, string>();
      this.#said.set(node, said.set(message.number, attempt));
      const isKept = ledger.ended.some(({ number }) => number === message.number);
      require(isKept, () => `P3: ${node} reports ${attempt}, and its disk does not hold that`);
    } else if (message.type === 'accepted') {
      const isKept =
        ledger.jobs.some(({ attempt }) => attempt === message.attempt) ||
        ledger.ended.some(({ result }) => result.attempt === message.attempt) ||
        ledger.finished.some(({ attempt }) => attempt === message.attempt);
      require(isKept, () => `P3: ${node} accepts ${message.attempt}, and its disk does not hold that`);
    }
  }

  began({ attempt, host }: WorldExecution, { ledger }: DiskSight): void {
    const job = ledger.jobs.find((held) => held.attempt === attempt);
    require(job !== undefined && job.begun !== null, () =>
      `P3: ${attempt} runs on ${host} before its beginning is durable there`);
  }
}
