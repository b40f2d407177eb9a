/** One checker per promise of the design; each judges alone. */
import type { Checker } from '../judge.ts';
import type { WorldRecord } from '../world-record.ts';
import { AtMostOnce } from './at-most-once.ts';
import { BlastRadius } from './blast-radius.ts';
import { Bounds } from './bounds.ts';
import { Durable } from './durable.ts';
import { Explained } from './explained.ts';
import { Fencing } from './fencing.ts';
import { NothingLost } from './nothing-lost.ts';
import { OldAgents } from './old-agents.ts';
import { OneSequence } from './one-sequence.ts';
import { Order } from './order.ts';
import { Secrecy } from './secrecy.ts';
import { UnknownIsNotFailure } from './unknown-is-not-failure.ts';

export const newCheckers = (record: WorldRecord): readonly Checker[] => [
  new Order(record),
  new AtMostOnce(record),
  new Durable(),
  new NothingLost(record),
  new OneSequence(),
  new UnknownIsNotFailure(record),
  new Fencing(record),
  new BlastRadius(record),
  new Bounds(),
  new Explained(),
  new Secrecy(),
  new OldAgents(),
];
