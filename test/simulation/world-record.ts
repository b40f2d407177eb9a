/**
 * What really happened, as somebody saw who was everywhere: which scripts ran where and when, what they printed,
 * which results agents made durable. Nothing ever loses it, and no part under test reads it.
 */
import type { Phase } from '../../agent/core/next-step.ts';
import { jobIdOf, parseAttemptId } from '../../shared/ids.ts';
import type { AttemptResult, StreamName } from '../../shared/messages.ts';
import { Histories } from './histories.ts';

export type WorldExecution = {
  readonly attempt: string;
  /** With the name of the run, which tells it from one of another history. */
  readonly job: string;
  readonly attemptNumber: number;
  /** Its name, not its id: see histories.ts. */
  readonly run: string;
  /** Of which it was granted. */
  readonly lineage: string;
  readonly step: string;
  /** For which it is done; who carries it out is `executor`. */
  readonly node: string;
  readonly executor: string;
  readonly number: number;
  readonly phase: Phase;
  /** The physical host: a clone has another one than its original. */
  readonly host: string;
  readonly incarnation: string;
  readonly beganAt: number;
  endedAt: number | null;
};

type Printed = { text: string; damaged: boolean };

export type EndedRecord = {
  readonly node: string;
  readonly incarnation: string;
  readonly lineage: string;
  readonly number: number;
  readonly result: AttemptResult;
};

export class WorldRecord {
  readonly histories: Histories;
  readonly executions: WorldExecution[] = [];
  /** Results that were durable on the disk of their node at some time. */
  readonly results: EndedRecord[] = [];
  /** Incarnations whose disk is gone, or of which a second copy was made: promises about them end there. */
  readonly evidenceLost = new Set<string>();
  /** Nodes of which two hosts existed at once. */
  readonly cloned = new Set<string>();
  readonly #printed = new Map<string, Printed>();

  constructor(lineage: string) {
    this.histories = new Histories(lineage);
  }

  begin(
    execution: Omit<WorldExecution, 'job' | 'attemptNumber' | 'run' | 'step' | 'node' | 'endedAt'>,
  ): WorldExecution {
    const name = parseAttemptId(execution.attempt);
    if (name === undefined) throw new Error(`not an attempt id: ${execution.attempt}`);
    const { attempt: attemptNumber, step, node } = name;
    const run = this.histories.nameOf(name.run, execution.lineage);
    const job = jobIdOf(run, step, node);
    const began: WorldExecution = { ...execution, job, attemptNumber, run, step, node, endedAt: null };
    this.executions.push(began);
    return began;
  }

  print(attempt: string, stream: StreamName, text: string): void {
    this.#stream(attempt, stream).text += text;
  }

  /** A power cut took the end of the file: from there on the log cannot be complete. */
  damage(attempt: string): void {
    for (const stream of ['stdout', 'stderr'] as const) this.#stream(attempt, stream).damaged = true;
  }

  printed(attempt: string, stream: StreamName): Readonly<Printed> {
    return this.#stream(attempt, stream);
  }

  #stream(attempt: string, stream: StreamName): Printed {
    const key = `${attempt} ${stream}`;
    const printed = this.#printed.get(key) ?? { text: '', damaged: false };
    this.#printed.set(key, printed);
    return printed;
  }
}
