/**
 * Who may be unavailable next: candidates of a unit in order of rank, under the bound in total, per failure
 * domain and in the number of domains. Finding the next one looks at the heads of queues, never at all nodes.
 */

import { popHeap, pushHeap } from './heap.ts';
import type { Waiting } from './run-parts.ts';
import type { Node, Run, UnitState } from './state.ts';

const smaller = (a: number, b: number): boolean => a < b;

/** Puts a node in line, once. */
export function awaitPlace(unit: UnitState, node: string): void {
  const { waiting } = unit;
  if (waiting.nodes.has(node)) return;
  waiting.nodes.add(node);
  const rank = unit.rank.get(node) ?? 0;
  pushHeap(waiting.all, rank, smaller);
  const domain = unit.domains?.get(node);
  if (domain === undefined) return;
  const line = waiting.byDomain.get(domain) ?? [];
  waiting.byDomain.set(domain, line);
  pushHeap(line, rank, smaller);
}

/** First in a line that still waits, without taking it out; entries that lost their meaning are dropped. */
function headOf(unit: UnitState, line: number[]): string | undefined {
  for (;;) {
    const [rank] = line;
    if (rank === undefined) return undefined;
    const node = unit.nodes[rank];
    if (node !== undefined && unit.waiting.nodes.has(node)) return node;
    popHeap(line, smaller);
  }
}

export const hasDomainRoom = (unit: UnitState, domain: string): boolean => {
  const { strategy } = unit.unit;
  if (strategy.kind !== 'rolling' || strategy.by === undefined) return true;
  // Accidents may have opened more domains than allowed: then nobody is added, wherever it stands.
  if (unit.unavailableByDomain.size > strategy.by.domains) return false;
  const count = unit.unavailableByDomain.get(domain) ?? 0;
  if (count > 0) return strategy.by.perDomain === undefined || count < strategy.by.perDomain;
  return unit.unavailableByDomain.size < strategy.by.domains;
};

/**
 * The next node that may take a slot, or undefined. Its place in line is kept until it takes the slot, which
 * makes its job leave `ready`.
 */
export function nextForSlot(unit: UnitState): string | undefined {
  if (unit.unavailable.size >= unit.limits.atOnce) return undefined;
  if (unit.domains === null) return headOf(unit, unit.waiting.all);
  // Domains that are already open are the only ones as soon as no further one may be opened.
  const open: string[] = [];
  for (const domain of unit.unavailableByDomain.keys()) {
    if (!hasDomainRoom(unit, domain)) continue;
    const head = headOf(unit, unit.waiting.byDomain.get(domain) ?? []);
    if (head !== undefined) open.push(head);
  }
  const strategy = unit.unit.strategy;
  const domainsMax = strategy.kind === 'rolling' ? (strategy.by?.domains ?? 1) : 1;
  if (open.length > 0 || unit.unavailableByDomain.size >= domainsMax) return lowest(unit, open);
  return nextInClosedDomain(unit);
}

/** A node of a domain in which nobody is unavailable: the first one in line that is not in an open, full domain. */
function nextInClosedDomain(unit: UnitState): string | undefined {
  const setAside: number[] = [];
  let found: string | undefined;
  for (;;) {
    const head = headOf(unit, unit.waiting.all);
    if (head === undefined) break;
    if (hasDomainRoom(unit, unit.domains?.get(head) ?? '')) {
      found = head;
      break;
    }
    const rank = popHeap(unit.waiting.all, smaller);
    if (rank !== undefined) setAside.push(rank);
  }
  for (const rank of setAside) pushHeap(unit.waiting.all, rank, smaller);
  return found;
}

const lowest = (unit: UnitState, nodes: readonly string[]): string | undefined =>
  nodes.reduce<string | undefined>(
    (best, node) =>
      best === undefined || (unit.rank.get(node) ?? 0) < (unit.rank.get(best) ?? 0) ? node : best,
    undefined,
  );

/** The next node for a place under `maxParallel`. */
export const nextForPlace = (unit: UnitState): string | undefined =>
  unit.live.size >= unit.limits.atOnce ? undefined : headOf(unit, unit.waiting.all);

/** Whether the node could start a job this moment. */
export const isFree = (run: Run, node: Node): boolean => node.credit > 0 && isIdle(run, node);

/** Whether something may be done for the node this moment, by whomever. */
export const isIdle = (run: Run, node: Node): boolean =>
  node.contact === 'connected' &&
  node.segment.length === 0 &&
  node.attended.length === 0 &&
  node.administration === 'in-service' &&
  node.queue[0] === run;

export const leaveLine = (waiting: Waiting, node: string): void => {
  waiting.nodes.delete(node);
};
