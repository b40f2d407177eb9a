/**
 * Tells the checkers what can be seen, and keeps the first promise that was broken. A checker judges from the
 * durable journal and from the record of the world; it knows nothing of what the cores count.
 */

import type { Ledger } from '../../agent/core/ledger.ts';
import type { Identity } from '../../agent/core/state.ts';
import type { Lookup } from '../../coordinator/core/commands.ts';
import type { Event } from '../../coordinator/core/events.ts';
import type { State } from '../../coordinator/core/state.ts';
import type { AgentMessage, CoordinatorMessage } from '../../shared/messages.ts';
import type { WorldExecution, WorldRecord } from './world-record.ts';

/** The durable state of the host that something happened on. */
export type DiskSight = { readonly identity: Identity; readonly ledger: Ledger };

/** What the true coordinator's disk holds at the end. */
export type FinalSight = {
  readonly events: readonly Event[];
  /** By attempt and stream; a gap is a run of NUL. */
  readonly logs: ReadonlyMap<string, string>;
  readonly hosts: readonly (DiskSight & { readonly node: string })[];
  /** The state in memory, when all of it is durable. */
  readonly state: State;
  readonly record: WorldRecord;
};

export type RestoredSight = {
  /** All that the journal holds now. */
  readonly events: readonly Event[];
  /** What it held and does not any more. */
  readonly lostEvents: readonly Event[];
};

export type Checker = {
  /** Became durable, in order of the journal. */
  journaled?(event: Event): void;
  /** A script's first instruction. */
  began?(execution: WorldExecution, disk: DiskSight): void;
  ended?(execution: WorldExecution): void;
  /** On its way to the agent of a node. */
  coordinatorSaid?(
    node: string | null,
    message: CoordinatorMessage,
    contents: ReadonlyMap<string, string>,
  ): void;
  agentSaid?(node: string, message: AgentMessage, disk: DiskSight): void;
  /** An operator was told that his command took effect, with the last seq of it. */
  operatorTold?(seq: number): void;
  /** An agent took in an order of this reign. */
  grantTaken?(incarnation: string, attempt: string, lineage: string, epoch: number): void;
  /** The coordinator was started from its disk. */
  recovered?(state: State, events: readonly Event[]): void;
  /** The coordinator's data was put back. What is judged from the journal is judged from this one now. */
  restored?(sight: RestoredSight): void;
  /** Now and then, between two events. */
  looked?(state: State, lookup: Lookup): void;
  finished?(sight: FinalSight): void;
};

export class BrokenPromise extends Error {}

export class Judge {
  broken: BrokenPromise | null = null;
  readonly #checkers: readonly Checker[];
  readonly #listener: ((line: string) => void) | null;

  constructor(checkers: readonly Checker[], listener: ((line: string) => void) | null) {
    this.#checkers = checkers;
    this.#listener = listener;
  }

  /** For those who read along; the text is made only if somebody does. */
  tell(line: () => string): void {
    this.#listener?.(line());
  }

  /** Something that must never happen has happened, and no checker was needed to see it. */
  accuse(error: unknown): void {
    this.broken ??=
      error instanceof BrokenPromise
        ? error
        : new BrokenPromise(`crash: ${error instanceof Error ? error.stack : String(error)}`, {
            cause: error,
          });
  }

  /** Checkers never throw into what they look at: it would handle the error as its own. */
  show(what: (checker: Checker) => void): void {
    if (this.broken !== null) return;
    try {
      for (const checker of this.#checkers) what(checker);
    } catch (error) {
      this.accuse(error);
    }
  }
}

/** Throws what names a broken promise. */
export function require(condition: boolean, message: () => string): asserts condition {
  if (!condition) throw new BrokenPromise(message());
}
