/** When a rolling unit cannot go on as things are, and what has to change for that. */
import { present } from '../../shared/assert.ts';
import { countedInLine, describeBudget, hasRoom, isGivenBack, mayBecomeUnavailable } from './disruption.ts';
import { list } from './gate.ts';
import { slotsOfLeft } from './resume.ts';
import { isParked } from './shown-states.ts';
import { hasDomainRoom } from './slots.ts';
import type { Run, State, UnitState } from './state.ts';

/**
 * A rolling unit whose turn it is and in which no slot can ever be given as things are. A node that holds
 * its slot and has still to go on there will give it back, and so may one whose job an operator decides.
 */
export function stuckUnit(state: State, run: Run): UnitState | undefined {
  return run.units.find(
    (unit) =>
      unit.unit.strategy.kind === 'rolling' &&
      unit.waiting.nodes.size > 0 &&
      !isParked(unit) &&
      causesOf(run, unit).every(({ cause }) => cause !== onItsWay) &&
      (isFull(unit) || (isBudgetSpent(state, run) && countedInLine(state, run, unit) === undefined)),
  );
}

/**
 * Whether the cluster's disruption budget leaves no slot, this run has a share in that, and no other run is about to
 * give some of it back. A node that failed here keeps its slot; one that waits for others keeps it, too, when the
 * budget was lowered under it.
 */
const isBudgetSpent = (state: State, run: Run): boolean =>
  !hasRoom(state, run.cluster) && run.units.some(({ slots }) => slots.size > 0) && !isGivenBack(state, run);

/** No node that stands in line can have a slot. */
const isFull = (unit: UnitState): boolean =>
  unit.unavailable.size >= unit.limits.atOnce ||
  (unit.domains !== null && ![...domainsWaiting(unit)].some((domain) => hasDomainRoom(unit, domain)));

/** Whether elsewhere in the run there is work that only was not handed out yet, or waits for its node's link. */
export function mayGoOn(state: State, run: Run): boolean {
  const isSpent = isBudgetSpent(state, run);
  for (const member of run.members.values()) {
    if (member.node.administration !== 'in-service') continue;
    for (const index of member.ready) {
      // It comes after what was deferred here, which is looked at first.
      if (index > (member.deferred[0] ?? index)) break;
      const { unit, step } = present(run.steps[index], 'step');
      if (step.part !== undefined) return true;
      const node = member.node.name;
      if (unit.approval.kind === 'requested') continue;
      if (unit.unit.strategy.kind === 'parallel' || unit.slots.has(node)) return true;
      // It may be looked at before it stands in line.
      const hasRoomLeft = !isSpent || mayBecomeUnavailable(state, member.node);
      if (unit.waveOf.has(node) ? !isFull(unit) && hasRoomLeft : unit.waveUnfinished === 0) return true;
    }
  }
  return false;
}

function domainsWaiting(unit: UnitState): ReadonlySet<string> {
  return new Set([...unit.waiting.nodes].map((node) => unit.domains?.get(node) ?? ''));
}

const onItsWay = 'holds its slot';

function causesOf(run: Run, unit: UnitState): readonly { node: string; cause: string; comesBack: boolean }[] {
  return [...unit.unavailable].map((node) => {
    const member = present(run.members.get(node), `member ${node}`);
    const failed = member.out !== null || unit.failed.has(node);
    if (failed && unit.slots.has(node)) return { node, cause: 'failed here', comesBack: false };
    if (member.node.administration !== 'in-service') {
      return { node, cause: `is ${member.node.administration}`, comesBack: false };
    }
    if (member.node.contact === 'unreachable') return { node, cause: 'is unreachable', comesBack: true };
    return { node, cause: onItsWay, comesBack: false };
  });
}

export function needsOf(run: Run, unit: UnitState): 'decision' | 'contact' {
  // What is left of the budget changes by itself, but not what failed nodes keep of it.
  if (!isFull(unit)) return [...slotsOfLeft(run)].length > 0 ? 'decision' : 'contact';
  return causesOf(run, unit).some((cause) => cause.comesBack) ? 'contact' : 'decision';
}

export function reasonOf(state: State, run: Run, unit: UnitState): string {
  if (!isFull(unit)) {
    const left = list([...slotsOfLeft(run)].map(({ node }) => node));
    const failed = left === '' ? '' : `; ${left} failed in this run`;
    const more = `lockstep cluster set ${run.cluster} --max-unavailable allows more`;
    return `no slot is possible in ${unit.unit.id}: ${describeBudget(state, run.cluster) ?? ''}${failed} (${more})`;
  }
  const byCause = new Map<string, string[]>();
  for (const { node, cause } of causesOf(run, unit))
    byCause.set(cause, [...(byCause.get(cause) ?? []), node]);
  const causes = [...byCause].map(
    ([cause, nodes]) => `${list(nodes)} ${nodes.length > 1 ? pluralOf(cause) : cause}`,
  );
  return `no slot is possible in ${unit.unit.id}: ${boundOf(unit)}, and ${causes.join(', ')}`;
}

const pluralOf = (cause: string): string =>
  cause === onItsWay ? 'hold their slots' : cause.replace(/^is /, 'are ');

/** The bound that leaves no slot: how many may be unavailable, or in how many failure domains. */
function boundOf({ unit: { strategy }, limits, unavailable, unavailableByDomain }: UnitState): string {
  const by = strategy.kind === 'rolling' ? strategy.by : undefined;
  if (by === undefined || unavailable.size >= limits.atOnce)
    return `${limits.atOnce === 1 ? 'one node' : `${limits.atOnce} nodes`} may be unavailable`;
  const each = by.perDomain === undefined ? '' : `, ${by.perDomain} in each`;
  const open = list(unavailableByDomain.keys());
  return `nodes may be unavailable in ${by.domains === 1 ? 'one' : by.domains} ${by.label} at once${each} (${open} now)`;
}
