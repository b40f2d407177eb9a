/**
 * Which step waits for which: names looked up, defaults written in, circles and waits that never end found, and
 * for each step what is certainly done before it.
 */
import { oneOf } from '../expressions/shape.ts';
import { nearestWord } from '../nearest.ts';
import { type Extent, endsBefore, extentsOf, needsOfExtent } from './call-order.ts';
import { reportDeadlocks } from './deadlocks.ts';
import {
  type DraftNeed,
  type DraftStep,
  type DraftUnit,
  endsOf,
  isFinally,
  isOnLeader,
  isWrittenId,
  type NeedFile,
} from './draft.ts';
import type { MemberStepFile } from './language.ts';
import type { Report } from './report.ts';
import { asList, entryPath } from './roles.ts';
import type { Path } from './source.ts';

export type Order = {
  readonly needs: ReadonlyMap<string, readonly DraftNeed[]>;
  /**
   * Steps that are done before: on this node at least, or on all nodes. Every step, where a need is wrong: the
   * order is not known then, and nothing more is said of it.
   */
  before(step: string): { readonly here: ReadonlySet<string>; readonly everywhere: ReadonlySet<string> };
};

/** `removed`: steps that were there before another file took them away; who needs them was told there. */
export function readOrder(
  units: readonly DraftUnit[],
  removed: { has(step: string): boolean },
  report: Report,
): Order {
  const needs = new Map<string, readonly DraftNeed[]>();
  const unknown = new Set<string>();
  const main = units.filter((unit) => !isFinally(unit));
  const atEnd = units.filter(isFinally);
  let last: DraftUnit | undefined;
  const extents = extentsOf(main);
  for (const unit of units) {
    // Neither waits for the other step by step: what is in finally comes after all the rest.
    const names: Names = isFinally(unit)
      ? { steps: namesOf(atEnd), extents: new Map(), removed, where: ' in finally' }
      : { steps: namesOf(main), extents, removed, where: atEnd.length === 0 ? '' : ' before finally' };
    if (unit === atEnd[0]) last = undefined;
    const previous = last === undefined ? [] : endsBefore(unit, last, extents);
    const [first] = unit.steps;
    const lose = (step: DraftStep | undefined) => (): void => {
      if (step !== undefined) unknown.add(step.id);
    };
    const own = together(
      needsIn(unit.needs, [...unit.path, 'needs'], names, lose(first), report),
      needsIn(unit.entry?.needs, unit.entry?.path ?? unit.path, names, lose(first), report),
    );
    for (const [index, step] of unit.steps.entries()) {
      if (step.broken) unknown.add(step.id);
      if (step.part !== undefined) {
        needs.set(step.id, needsOfAftermath(unit, index));
        continue;
      }
      const stated =
        unit.kind === 'step'
          ? own
          : needsIn(step.file?.needs, [...step.path, 'needs'], names, lose(step), report);
      const outer =
        index > 0 ? [] : (own ?? previous.map((id) => ({ step: id, sameNode: false, path: unit.path })));
      const inner = afterOnNode(unit.steps[index - 1], step.path);
      const all = unit.kind === 'step' ? outer : [...outer, ...inner, ...(stated ?? [])];
      needs.set(step.id, withoutDoubles(all));
    }
    if (unit.steps.length > 0) last = unit;
  }
  const steps = new Map(units.flatMap(({ steps }) => steps.map((step) => [step.id, step] as const)));
  for (const step of steps.values()) reportNeeds(step, needs.get(step.id) ?? [], steps, report);
  const circular = reportCircles(steps, needs, report);
  if (!circular) reportDeadlocks(units, needs, report);
  const everything: Before = { here: new Set(steps.keys()), everywhere: new Set(steps.keys()) };
  const befores = circular ? undefined : computeBefores(steps, needs, unknown, everything);
  for (const unit of units) if (befores !== undefined) completeAftermath(unit, befores);
  const rest = main.flatMap((unit) => unit.steps.map(({ id }) => id));
  for (const { id } of atEnd.flatMap((unit) => unit.steps)) {
    for (const step of rest) befores?.get(id)?.everywhere.add(step);
  }
  return { needs, before: (id) => befores?.get(id) ?? everything };
}

type Before = { here: Set<string>; everywhere: Set<string> };

const afterOnNode = (step: DraftStep | undefined, path: Path): readonly DraftNeed[] =>
  step === undefined ? [] : [{ step: step.id, sameNode: true, path }];

/** Its steps come one after the other. For the first one no step has to be done: it waits for how they ended. */
function needsOfAftermath({ steps }: DraftUnit, index: number): readonly DraftNeed[] {
  const [step, before] = [steps[index], steps[index - 1]];
  return step === undefined || before?.part === undefined ? [] : afterOnNode(before, step.path);
}

/** Before what is done after the steps of a unit, there were those steps, in as far as they were begun. */
function completeAftermath({ steps }: DraftUnit, befores: ReadonlyMap<string, Before>): void {
  const main = steps.filter(({ part }) => part === undefined);
  const first = befores.get(main[0]?.id ?? '');
  for (const { id, part } of steps) {
    const before = part === undefined ? undefined : befores.get(id);
    if (before === undefined) continue;
    for (const step of [...main.map((own) => own.id), ...(first?.here ?? [])]) before.here.add(step);
    for (const step of first?.everywhere ?? []) before.everywhere.add(step);
  }
}

/** Steps by their id, units by the ids of what they end with. */
function namesOf(units: readonly DraftUnit[]): ReadonlyMap<string, readonly string[]> {
  const names = new Map<string, readonly string[]>();
  for (const unit of units) {
    for (const { id, part } of unit.steps) if (part === undefined) names.set(id, [id]);
    if (unit.steps.length > 0) names.set(unit.id, endsOf(unit));
  }
  return names;
}

const together = <T>(
  some: readonly T[] | undefined,
  more: readonly T[] | undefined,
): readonly T[] | undefined =>
  some === undefined || more === undefined ? (some ?? more) : [...some, ...more];

/** What `needs` may name: steps and units, each with the steps that have to be done; and calls. */
type Names = {
  readonly steps: ReadonlyMap<string, readonly string[]>;
  readonly extents: ReadonlyMap<string, Extent>;
  readonly removed: { has(step: string): boolean };
  readonly where: string;
};

function needsIn(
  file: MemberStepFile['needs'],
  path: Path,
  names: Names,
  lose: () => void,
  report: Report,
): readonly DraftNeed[] | undefined {
  if (file === undefined) return undefined;
  return asList<NeedFile>(file).flatMap((need, index) => {
    const at = entryPath(path, file, index);
    const name = typeof need === 'string' ? need : need.step;
    const found = names.steps.get(name);
    const extent = names.extents.get(name);
    if (found === undefined && extent !== undefined) return needsOfExtent(extent, need, at);
    if (found === undefined) {
      lose();
      if (names.removed.has(name)) return [];
      const written = [...names.steps.keys(), ...names.extents.keys()].filter(isWrittenId);
      report.at(typeof need === 'string' ? at : [...at, 'step'], `there is no step "${name}"${names.where}`, {
        nearest: nearestWord(name, written),
        expected: oneOf(written),
      });
      return [];
    }
    const sameNode = typeof need !== 'string' && need.same === 'node';
    return found.map((step) => ({ step, sameNode, path: at }));
  });
}

/** A barrier covers a need for the same node. */
function withoutDoubles(needs: readonly DraftNeed[]): readonly DraftNeed[] {
  const kept = new Map<string, DraftNeed>();
  for (const need of needs) if (kept.get(need.step)?.sameNode !== false) kept.set(need.step, need);
  return [...kept.values()];
}

function reportNeeds(
  step: DraftStep,
  needs: readonly DraftNeed[],
  steps: ReadonlyMap<string, DraftStep>,
  report: Report,
): void {
  for (const need of needs) {
    const needed = steps.get(need.step);
    if (needed === undefined || !need.sameNode || needed.broken || step.broken) continue;
    if (needed.part !== undefined) continue;
    const leader = [needed, step].find(({ unit }) => isOnLeader(unit.on));
    if (leader !== undefined && needed.unit !== step.unit) {
      const message = `same: node has no meaning here: ${leader.id} runs on one node only`;
      report.at(need.path, message, { expected: `"${need.step}" alone, which waits for that node` });
    }
    const roles = new Set(needed.unit.on.map(({ role }) => role));
    if (leader === undefined && !step.unit.on.some(({ role }) => roles.has(role))) {
      report.warn(
        need.path,
        `${need.step} and ${step.id} have no role in common: with same: node this waits for nothing`,
      );
    }
  }
}

function reportCircles(
  steps: ReadonlyMap<string, DraftStep>,
  needs: ReadonlyMap<string, readonly DraftNeed[]>,
  report: Report,
): boolean {
  const done = new Set<string>();
  let found = false;
  const visit = (id: string, way: readonly string[], path: Path): void => {
    const at = way.indexOf(id);
    if (at !== -1) {
      found = true;
      const message =
        at === way.length - 1
          ? `${id} cannot need itself`
          : `steps need each other in a circle: ${[...way.slice(at), id].join(' → ')}`;
      report.at(path, message);
      return;
    }
    if (done.has(id)) return;
    for (const need of needs.get(id) ?? []) visit(need.step, [...way, id], need.path);
    done.add(id);
  };
  for (const [id, { path }] of steps) visit(id, [], path);
  return found;
}

function computeBefores(
  steps: ReadonlyMap<string, DraftStep>,
  needs: ReadonlyMap<string, readonly DraftNeed[]>,
  unknown: ReadonlySet<string>,
  everything: Before,
): ReadonlyMap<string, Before> {
  const befores = new Map<string, Before>();
  const visit = (id: string): Before => {
    const known = befores.get(id);
    if (known !== undefined) return known;
    if (unknown.has(id)) return everything;
    const before: Before = { here: new Set(), everywhere: new Set() };
    for (const need of needs.get(id) ?? []) {
      const earlier = visit(need.step);
      before.here.add(need.step);
      for (const step of earlier.here) before.here.add(step);
      if (!need.sameNode) before.everywhere.add(need.step);
      // Behind a barrier, all that its nodes did before is done too.
      for (const step of need.sameNode ? earlier.everywhere : earlier.here) before.everywhere.add(step);
    }
    befores.set(id, before);
    return before;
  };
  for (const id of steps.keys()) visit(id);
  return befores;
}
