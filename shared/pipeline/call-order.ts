/** What it means to come after a call: after all that it stands for. */
import {
  covers,
  type DraftNeed,
  type DraftUnit,
  endsOf,
  isFinally,
  isOnLeader,
  type NeedFile,
} from './draft.ts';
import { asList } from './roles.ts';
import type { Path } from './source.ts';

/** What a call stands for: the units of the pipeline that it calls, and those of them that no other waits for. */
export type Extent = { readonly units: readonly DraftUnit[]; readonly ends: readonly DraftUnit[] };

/** By the ids of the calls. */
export function extentsOf(units: readonly DraftUnit[]): ReadonlyMap<string, Extent> {
  const extents = new Map<string, Extent>();
  for (const id of new Set(units.flatMap(({ calls }) => calls ?? []))) {
    const own = units.filter(({ calls }) => calls?.includes(id));
    const awaited = awaitedIn(own);
    extents.set(id, { units: own, ends: own.filter((unit) => !isAwaited(unit, awaited)) });
  }
  return extents;
}

/** Ids of steps, units and calls that some unit waits for on all of their nodes. */
function awaitedIn(units: readonly DraftUnit[]): ReadonlySet<string> {
  const awaited = new Set<string>();
  for (const [index, unit] of units.entries()) {
    const before = units[index - 1];
    if (unit.needs === undefined && unit.entry === undefined && before !== undefined) {
      awaited.add(before.id);
      for (const call of before.calls ?? []) if (!unit.calls?.includes(call)) awaited.add(call);
    }
    const stated = [unit.needs, unit.entry?.needs, ...unit.steps.map(({ file }) => file?.needs)];
    for (const need of stated.flatMap((needs) => asList<NeedFile>(needs))) {
      if (typeof need === 'string') awaited.add(need);
      else if (need.same === undefined || isCovered(need.step, unit, units)) awaited.add(need.step);
    }
  }
  return awaited;
}

function isAwaited(unit: DraftUnit, awaited: ReadonlySet<string>): boolean {
  const [last, ...after] = endsOf(unit);
  if (awaited.has(unit.id) || unit.calls?.some((call) => awaited.has(call)) === true) return true;
  return after.length === 0 && last !== undefined && awaited.has(last);
}

/** A need for the same node is as good as a barrier, where every node of the needed unit has one. */
const isCovered = (needed: string, { on }: DraftUnit, units: readonly DraftUnit[]): boolean =>
  units.some(
    ({ id, steps, on: there }) =>
      (id === needed || steps.some((step) => step.id === needed)) && covers(on, there),
  );

/** The last steps of what stands before a unit in the list: of a unit, or of all that a call stands for. */
export function endsBefore(
  unit: DraftUnit,
  last: DraftUnit,
  extents: ReadonlyMap<string, Extent>,
): readonly string[] {
  const left = isFinally(last) ? undefined : last.calls?.find((call) => unit.calls?.includes(call) !== true);
  const ends = left === undefined ? undefined : extents.get(left)?.ends;
  return (ends ?? [last]).flatMap(endsOf);
}

/** All of it; for the same node each part that nodes have, as one does not imply the other there. */
export function needsOfExtent({ units, ends }: Extent, need: NeedFile, path: Path): readonly DraftNeed[] {
  const sameNode = typeof need !== 'string' && need.same === 'node';
  const needed = sameNode ? units.filter(({ on }) => !isOnLeader(on)) : ends;
  return needed.flatMap(endsOf).map((step) => ({ step, sameNode, path }));
}
