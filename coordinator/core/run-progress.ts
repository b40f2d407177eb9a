/** When a run starts, ends, is held or goes on: everything that concerns it as a whole. */
import { present } from '../../shared/assert.ts';
import { hasFinally } from './conclusion.ts';
import { supersedeDeferred } from './concurrency.ts';
import { aheadInGroup } from './concurrency-group.ts';
import { list } from './gate.ts';
import type { RunEnd } from './run-parts.ts';
import { recallSegments } from './segments.ts';
import { hasDomainRoom } from './slots.ts';
import { isOpen, type Run, type UnitState } from './state.ts';
import type { Turn } from './turn.ts';

export function considerRun(turn: Turn, run: Run): void {
  if (run.end !== null) return;
  if (run.outcome !== null) {
    considerEnd(turn, run, run.outcome);
    return;
  }
  if (run.cancel !== null) {
    if (run.cancel.replacedBy !== undefined) recallSegments(turn, run);
    if (run.jobsLive === 0 && (run.jobsAftermath === 0 || run.cancel.wholly === true))
      endRun(
        turn,
        run,
        'cancelled',
        `cancelled by ${run.cancel.by}${run.cancel.reason === '' ? '' : `: ${run.cancel.reason}`}`,
      );
    return;
  }
  if (!run.planned) return;
  // One that still stands in line can fail, too: by what is decided about it after a restore.
  if (run.startedAt === null && run.failing === null) {
    startRun(turn, run);
    return;
  }
  if (!isOpen(run)) recallSegments(turn, run);
  if (run.failing !== null) {
    if (run.jobsLive > 0 || run.jobsAftermath > 0) return;
    if (!run.failing.hold) endRun(turn, run, 'failed', run.failing.reason);
    else if (run.hold === null) {
      turn.emit({ type: 'RunHeld', run: run.id, needs: 'decision', reason: run.failing.reason });
    }
    return;
  }
  if (run.jobsUnfinished === 0 && run.jobsDeferred === 0) {
    endRun(turn, run, 'succeeded', describeSuccess(run));
    return;
  }
  if (run.jobsUnfinished === 0 && run.deferredAt === null && run.jobsLive + run.jobsHeld === 0) {
    const jobs = run.jobsDeferred === 1 ? 'job' : 'jobs';
    const reason = `every step is done but for ${run.jobsDeferred} deferred ${jobs}`;
    turn.emit({ type: 'RunDeferred', run: run.id, reason });
    return;
  }
  if (run.hold?.needs === 'contact' && stuckUnit(run) === undefined) {
    turn.emit({
      type: 'RunResumed',
      run: run.id,
      how: 'continue',
      by: 'coordinator',
      reason: 'enough nodes are back',
    });
    return;
  }
  if (run.hold === null && run.jobsLive === 0 && run.unitsOverBudget === 0) {
    const stuck = stuckUnit(run);
    if (stuck !== undefined && !mayGoOn(run)) {
      turn.emit({ type: 'RunHeld', run: run.id, needs: needsOf(run, stuck), reason: reasonOf(run, stuck) });
    }
  }
}

/** Also what a success leaves out: nobody should take it for more than it is. */
function describeSuccess(run: Run): string {
  const out = [...run.members.values()].filter((member) => member.out !== null).length;
  const missed = run.steps.flatMap(({ jobs }) => [...jobs.values()].flatMap(({ missed }) => missed ?? []));
  const jobs = (count: number): string => `${count} deferred ${count === 1 ? 'job was' : 'jobs were'}`;
  const overdue = missed.filter(({ how }) => how === 'overdue').length;
  const by = [...new Set(missed.flatMap((one) => (one.how === 'superseded' ? [one.by] : [])))];
  return [
    'every step is done',
    ...(out === 0 ? [] : [`${out} of ${run.members.size} nodes left the run`]),
    ...(overdue === 0 ? [] : [`${jobs(overdue)} not done in time`]),
    ...(by.length === 0 ? [] : [`${jobs(missed.length - overdue)} superseded by ${list(by)}`]),
  ].join('; ');
}

function startRun(turn: Turn, run: Run): void {
  if (run.membersAwaited > 0 || run.hold !== null) return;
  if (aheadInGroup(turn.state, run) !== undefined) return;
  if (supersedeDeferred(turn, run)) turn.emit({ type: 'RunStarted', run: run.id });
  else turn.state.agenda.runs.add(run);
}

/** After the outcome: the run ends as it was to end when its last steps are through, or nobody wants to wait for them. */
function considerEnd(turn: Turn, run: Run, { state, reason }: RunEnd): void {
  if (run.jobsLive > 0) return;
  if (run.jobsUnfinished > 0 && run.cancel === null) return;
  turn.emit({ type: 'RunEnded', run: run.id, state, reason });
}

function endRun(turn: Turn, run: Run, state: 'succeeded' | 'failed' | 'cancelled', reason: string): void {
  if (run.startedAt !== null && hasFinally(run)) {
    turn.emit({ type: 'RunConcluded', run: run.id, state, reason });
    return;
  }
  turn.emit({ type: 'RunEnded', run: run.id, state, reason });
}

/**
 * A rolling unit whose turn it is and in which no slot can ever be given as things are. A node that holds
 * its slot and has still to go on there will give it back, and so may one whose job an operator decides.
 */
function stuckUnit(run: Run): UnitState | undefined {
  return run.units.find(
    (unit) =>
      unit.unit.strategy.kind === 'rolling' &&
      unit.waiting.nodes.size > 0 &&
      causesOf(run, unit).every(({ cause }) => cause !== onItsWay) &&
      isFull(unit),
  );
}

/** No node that stands in line can have a slot. */
const isFull = (unit: UnitState): boolean =>
  unit.unavailable.size >= unit.limits.atOnce ||
  (unit.domains !== null && ![...domainsWaiting(unit)].some((domain) => hasDomainRoom(unit, domain)));

/** Whether elsewhere in the run there is work that only was not handed out yet, or waits for its node's link. */
function mayGoOn(run: Run): boolean {
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
      if (unit.waveOf.has(node) ? !isFull(unit) : unit.waveUnfinished === 0) return true;
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

const needsOf = (run: Run, unit: UnitState): 'decision' | 'contact' =>
  causesOf(run, unit).some((cause) => cause.comesBack) ? 'contact' : 'decision';

function reasonOf(run: Run, unit: UnitState): string {
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
