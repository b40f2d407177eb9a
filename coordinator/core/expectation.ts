/** What is known of a machine before it is there, and of machines that are a node no more. What follows is in expected-nodes.ts. */
import { type Hardware, type Mark, marksOf } from '../../shared/hardware.ts';
import type { Actor } from './event-values.ts';

/** A node that is to come, as a line of an inventory tells it. */
export type Expectation = {
  readonly node: string;
  /** By at least one of these three its machine is recognised; see shared/hardware.ts for how they are written. */
  readonly serial: string | null;
  readonly uuid: string | null;
  readonly macs: readonly string[];
  /** Site, rack and cluster are labels like others. */
  readonly labels: Readonly<Record<string, string>>;
  /** Where it is to be reached, and its management controller: for people. */
  readonly address: string | null;
  readonly bmc: string | null;
};

export const marksOfExpectation = ({ serial, uuid, macs }: Expectation): readonly Mark[] =>
  marksOf({ serial: serial ?? undefined, uuid: uuid ?? undefined, macs: [...macs] });

/** Kept when the machine has come, for it may come again with a new disk. */
export type ExpectedNode = Expectation & {
  /** Who told of it last. */
  readonly by: Actor;
  /** Of the first time, ms since 1970. */
  readonly since: number;
};

/** An incarnation that had the node's name before. */
export type Former = {
  readonly incarnation: string;
  readonly machineId: string | null;
  readonly hardware: Hardware | null;
  readonly version: string;
  readonly address: string | null;
  /** When it joined and when it was one no more, ms since 1970. */
  readonly from: number;
  readonly until: number;
  /** Null when it gave way to the same host with a new state folder; else it is refused when it comes back. */
  readonly replaced: { readonly by: Actor; readonly reason: string } | null;
};

/** An operator gave a node's name free for another machine. */
export type Vacancy = { readonly by: Actor; readonly reason: string; readonly since: number };
