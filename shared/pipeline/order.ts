/**
 * Which step waits for which: names looked up, defaults written in, circles and waits that never end found, and
 * for each step what is certainly done before it.
 */
import { oneOf } from '../expressions/shape.ts';
import { nearestWord } from '../nearest.ts';
import { reportDeadlocks } from './deadlocks.ts';
import {
  type DraftNeed,
  type DraftStep,
  type DraftUnit,
  isFinally,
  isOnLeader,
  isWrittenId,
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
  let last: string | undefined;
  for (const unit of units) {
    // Neither waits for the other step by step: what is in finally comes after all the rest.
    const names: Names = isFinally(unit)
      ? { steps: namesOf(atEnd), removed, where: ' in finally' }
      : { steps: namesOf(main), removed, where: atEnd.length === 0 ? '' : ' before finally' };
    if (unit === atEnd[0]) last = undefined;
    const previousUnit = last;
    const [first] = unit.steps;
    const lose = (step: DraftStep | undefined) => (): void => {
      if (step !== undefined) unknown.add(step.id);
    };
    const own = needsIn(unit.needs, [...unit.path, 'needs'], names, lose(first), report);
    for (const [index, step] of unit.steps.entries()) {
      if (step.broken) unknown.add(step.id);
      const previous = unit.steps[index - 1];
      const stated =
        unit.kind === 'step'
          ? own
          : needsIn(step.file?.needs, [...step.path, 'needs'], names, lose(step), report);
      const outer =
        index > 0 ? [] : (own ?? (previousUnit === undefined ? [] : [barrier(previousUnit, unit.path)]));
      const inner = previous === undefined ? [] : [{ step: previous.id, sameNode: true, path: step.path }];
      const all = unit.kind === 'step' ? outer : [...outer, ...inner, ...(stated ?? [])];
      needs.set(step.id, withoutDoubles(all));
    }
    last = unit.steps.at(-1)?.id ?? last;
  }
  const steps = new Map(units.flatMap(({ steps }) => steps.map((step) => [step.id, step] as const)));
  for (const step of steps.values()) reportNeeds(step, needs.get(step.id) ?? [], steps, report);
  const circular = reportCircles(steps, needs, report);
  if (!circular) reportDeadlocks(units, needs, report);
  const everything: Before = { here: new Set(steps.keys()), everywhere: new Set(steps.keys()) };
  const befores = circular ? undefined : computeBefores(steps, needs, unknown, everything);
  const rest = main.flatMap((unit) => unit.steps.map(({ id }) => id));
  for (const { id } of atEnd.flatMap((unit) => unit.steps)) {
    for (const step of rest) befores?.get(id)?.everywhere.add(step);
  }
  return { needs, before: (id) => befores?.get(id) ?? everything };
}

type Before = { here: Set<string>; everywhere: Set<string> };

const barrier = (step: string, path: Path): DraftNeed => ({ step, sameNode: false, path });

/** Steps by their id, groups by the id of their last step. */
function namesOf(units: readonly DraftUnit[]): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const unit of units) {
    const last = unit.steps.at(-1);
    if (last !== undefined) names.set(unit.id, last.id);
    for (const { id } of unit.steps) names.set(id, id);
  }
  return names;
}

/** What `needs` may name: the last step by the name of its unit or its own. */
type Names = {
  readonly steps: ReadonlyMap<string, string>;
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
  return asList<string | { step: string; same?: 'node' | undefined }>(file).flatMap((need, index) => {
    const at = entryPath(path, file, index);
    const name = typeof need === 'string' ? need : need.step;
    const step = names.steps.get(name);
    if (step === undefined) {
      lose();
      if (names.removed.has(name)) return [];
      const written = [...names.steps.keys()].filter(isWrittenId);
      report.at(typeof need === 'string' ? at : [...at, 'step'], `there is no step "${name}"${names.where}`, {
        nearest: nearestWord(name, written),
        expected: oneOf(written),
      });
      return [];
    }
    return [{ step, sameNode: typeof need !== 'string' && need.same === 'node', path: at }];
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
