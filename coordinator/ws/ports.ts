/** What the agents' gateway needs from the rest of the coordinator. main introduces them. */
import type { Origin } from '../../shared/messages.ts';
import type { Command } from '../core/commands.ts';
import type { Settled } from '../sequence/command-queue.ts';
import type { Complain } from './complaints.ts';
import type { TakeLog } from './log-intake.ts';
import type { Admission } from './upgrade.ts';

export type GatewayPorts = {
  readonly admit: (authorization: string | undefined) => Admission;
  readonly reign: () => { readonly lineage: string; readonly epoch: number };
  /** Where the lineage comes from, if it began with a restore. */
  readonly origin: () => Origin | undefined;
  /** False: the queue is full, and the command is not in it. */
  readonly post: (command: Command, settle?: (settled: Settled) => void) => boolean;
  /** True: stop reading from agents until `roomAgain`. */
  readonly congested: () => boolean;
  /** Stores facts by digest and posts the report of it. */
  readonly reportFacts: (node: string, facts: unknown) => 'posted' | 'full' | 'too-large';
  readonly takeLog: TakeLog;
  /** Whether a node may speak of an attempt that is for another node, because it carries such jobs out. */
  readonly carriesOut: (attempt: string) => boolean;
  /** The log store broke: what it holds is unknown. */
  readonly onLogFailure: (error: unknown) => void;
  /** The JSON text of a secret. */
  readonly secret: (reference: string) => string;
  readonly now: () => number;
  readonly warn: Complain;
};
