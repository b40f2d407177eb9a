/** Steps and groups as drafts: who does what, with names looked up, before order and expressions are judged. */

import { limits } from '../limits.ts';
import { type DraftStep, type DraftTask, type DraftUnit, isFinally, missingId } from './draft.ts';
import {
  aftermathStepSchema,
  type GroupHeadFile,
  groupHeadSchema,
  type MemberStepFile,
  memberStepSchema,
  type StepFile,
  stepHeadSchema,
} from './language.ts';
import type { AftermathPart, RoleDeclaration, Strategy, Target, Window } from './model.ts';
import type { LoadedModule } from './module.ts';
import type { Report } from './report.ts';
import { asList, entryPath, readTarget } from './roles.ts';
import { runnerNames } from './runner-language.ts';
import { salvage } from './salvage.ts';
import { type Bundles, type FileSet, readScripts } from './scripts.ts';
import type { Path } from './source.ts';
import { readStrategy } from './strategy.ts';
import type { VerifyFile } from './strategy-language.ts';
import { mergeOutputs, readUses } from './uses.ts';
import { readWindow } from './window.ts';
import { isReservedName } from './words.ts';
import { readPolicy, readWork } from './work.ts';

export type Surroundings = {
  /** Of the pipeline, for its steps and groups that have none of their own. */
  readonly window: Window | undefined;
  readonly report: Report;
  readonly roleNames: ReadonlySet<string>;
  readonly roles: ReadonlyMap<string, RoleDeclaration>;
  readonly modules: readonly LoadedModule[];
  /** Of the file in which something is written: what lies beside it, and what of that is needed. */
  readonly folderOf: (path: Path) => { readonly beside: FileSet | undefined; readonly bundles: Bundles };
  /** The units that a step which calls a pipeline stands for; undefined: they are not known, and it was told why. */
  readonly call: (
    item: unknown,
    id: string,
    path: Path,
    previous: string | undefined,
  ) => readonly DraftUnit[] | undefined;
};

const isCall = (item: unknown): boolean => typeof item === 'object' && item !== null && 'pipeline' in item;

/** Stands for a call whose steps are not known, so that what refers to it is not wrong for that. */
function placeholder(item: unknown, path: Path, around: Surroundings): DraftUnit {
  const unit = emptyUnit(idOf(item, path), 'step', path, around);
  unit.steps.push(brokenStep(unit.id, path, unit));
  return unit;
}

/** Those of `finally` come last. */
export function readUnits(
  items: { readonly steps: readonly unknown[]; readonly finally: readonly unknown[] },
  around: Surroundings,
): readonly DraftUnit[] {
  const taken = new Set<string>();
  const called: DraftUnit[] = [];
  let previous: string | undefined;
  const main = items.steps.flatMap((item, index) => {
    const path = ['steps', index];
    const before = previous;
    previous = idOf(item, path);
    if (!isCall(item)) return [withOwnIds(readUnit(item, path, around), taken, around.report)];
    const instead = withOwnIds(placeholder(item, path, around), taken, around.report);
    const units = around.call(item, instead.id, path, before);
    if (units === undefined) return [instead];
    called.push(...units.filter(isFinally));
    return units.filter((unit) => !isFinally(unit));
  });
  // What a called pipeline does at the end is inside of what its caller does then.
  const atEnd = items.finally.map((item, index) =>
    withOwnIds(readSingle(item, ['finally', index], around), taken, around.report),
  );
  const units = [...main, ...called, ...atEnd];
  if (units.flatMap(({ steps }) => steps).length > limits.pipelineStepsMax) {
    around.report.atKey(['steps'], `the pipeline has more than ${limits.pipelineStepsMax} steps`);
  }
  return units;
}

/** The first of two that are called the same keeps its name; the other cannot be referred to. */
function withOwnIds(unit: DraftUnit, taken: Set<string>, report: Report): DraftUnit {
  const own = (id: string, path: Path): string => {
    if (isReservedName(id)) report.at([...path, 'id'], `"${id}" is reserved and cannot be the id of a step`);
    if (taken.has(id)) {
      report.at([...path, 'id'], `another step is called "${id}"`, { expected: 'an id of its own' });
      return missingId(path);
    }
    taken.add(id);
    return id;
  };
  if (unit.kind === 'step') {
    const id = own(unit.id, unit.path);
    const named = (step: DraftStep): string => (step.part === undefined ? id : own(step.id, step.path));
    return { ...unit, id, steps: unit.steps.map((step) => ({ ...step, id: named(step) })) };
  }
  const id = own(unit.id, unit.path);
  return { ...unit, id, steps: unit.steps.map((step) => ({ ...step, id: own(step.id, step.path) })) };
}

function readUnit(item: unknown, path: Path, around: Surroundings): DraftUnit {
  const { head, after } = parted(item);
  const isGroup = typeof head === 'object' && head !== null && 'group' in head;
  const unit = isGroup ? readGroup(head, path, around) : readSingle(head, path, around);
  if (after.rescue !== undefined || after.always !== undefined) refuseDeferral(unit, around.report);
  for (const part of ['rescue', 'always'] as const) readAftermath(after[part], part, unit, around);
  return unit;
}

/** A step or group, and apart from it what is done after it. */
function parted(item: unknown): { head: unknown; after: { readonly [part in AftermathPart]?: unknown } } {
  if (typeof item !== 'object' || item === null || Array.isArray(item)) return { head: item, after: {} };
  const { rescue, always, ...head }: { rescue?: unknown; always?: unknown } = item;
  return { head, after: { rescue, always } };
}

function readAftermath(items: unknown, part: AftermathPart, unit: DraftUnit, around: Surroundings): void {
  if (!Array.isArray(items)) return;
  for (const [index, item] of items.entries()) {
    const path = [...unit.path, part, index];
    const id = idOf(item, path);
    const salvaged = salvage(aftermathStepSchema, item, { id: instead.id });
    const step =
      salvaged === undefined
        ? brokenStep(id, path, unit)
        : readStep({ ...salvaged.value, id }, path, unit, salvaged.removed.size > 0, around, part);
    unit.steps.push({ ...step, part });
  }
}

/** A deferred job may be done when the run is long over: nothing could be done after it. */
function refuseDeferral(unit: DraftUnit, report: Report): void {
  for (const { id, path, file } of unit.steps) {
    if (file?.offline !== 'defer') continue;
    const message = `step ${id} cannot be deferred: what stands in rescue or always is done after it`;
    report.at([...path, 'offline'], message, { expected: 'wait or skip' });
  }
}

/** Values for keys that must be there and are not: the absence was reported. */
const instead = { id: 'unnamed', on: 'unknown' };

function readSingle(item: unknown, path: Path, around: Surroundings): DraftUnit {
  const salvaged = salvage(stepHeadSchema, item, instead);
  if (salvaged === undefined) {
    const unit = emptyUnit(idOf(item, path), 'step', path, around);
    unit.steps.push(brokenStep(unit.id, path, unit));
    return unit;
  }
  const { value, removed } = salvaged;
  const { on: _on, approve: _approve, strategy: _strategy, window: _window, scope, ...member } = value;
  const unit = unitOf({ ...value, id: idOf(item, path) }, 'step', removed, path, around);
  const file = { ...member, id: unit.id };
  const incomplete = removed.size > 0;
  if (scope !== 'role') unit.steps.push(readStep(file, path, unit, incomplete, around));
  else return scopedToRole(value, unit, (own) => readStep(file, path, own, incomplete, around), around);
  return unit;
}

const notForRole = {
  strategy: 'it is one job: a tool that goes from node to node has its own way of it',
  reboot: 'the node that would reboot is the one that runs it for the others',
} as const;

/** A step that runs once for a role is one of whoever carries it out, which knows the nodes of the role as its targets. */
function scopedToRole(
  file: StepFile,
  unit: DraftUnit,
  read: (unit: DraftUnit) => DraftStep,
  { report }: Surroundings,
): DraftUnit {
  const { path } = unit;
  for (const [key, why] of Object.entries(notForRole)) {
    if (file[key as keyof typeof notForRole] !== undefined)
      report.atKey([...path, key], `"${key}" does not go with scope: role: ${why}`);
  }
  if (file.offline === 'defer') {
    report.at([...path, 'offline'], 'what is done for a whole role cannot be deferred', {
      expected: 'wait, or skip to leave out nodes that are away',
    });
  }
  const [target, ...others] = unit.on;
  if (target === undefined) {
    unit.steps.push(read(unit));
    return unit;
  }
  if (others.length > 0 || target.who !== 'all')
    report.at([...path, 'on'], 'scope: role is for the whole of one role', {
      expected: 'the name of a role',
    });
  const role = target.role;
  const drafted = read({ ...unit, on: [{ role, who: 'leader' }] });
  const { runOn = { role, who: 'leader' }, ...step } = drafted;
  if (runOn.who !== 'leader')
    report.at([...path, 'runOn'], 'scope: role runs once, so one node carries it out', {
      expected: `${runOn.role}.leader`,
    });
  const own: DraftUnit = { ...unit, on: [runOn] };
  own.steps.push({ ...step, unit: own, scope: { role } });
  return own;
}

function readGroup(item: object & { readonly group: unknown }, path: Path, around: Surroundings): DraftUnit {
  const { group, ...rest } = item;
  const salvaged = salvage(groupHeadSchema, rest, instead);
  const id = idOf(item, path);
  const head = salvaged?.value;
  const unit: DraftUnit =
    salvaged === undefined
      ? emptyUnit(id, 'group', path, around)
      : {
          ...unitOf({ ...salvaged.value, id }, 'group', salvaged.removed, path, around),
          ...(head?.if === undefined ? {} : { if: head.if }),
        };
  for (const [index, member] of (Array.isArray(group) ? group : []).entries()) {
    const at = [...path, 'group', index];
    const name = idOf(member, at);
    const step = salvage(memberStepSchema, member, { id: instead.id });
    if (step === undefined) {
      unit.steps.push(brokenStep(name, at, unit));
    } else {
      const incomplete = step.removed.size > 0 || salvaged?.removed.size !== 0;
      unit.steps.push(readStep({ ...step.value, id: name }, at, unit, incomplete, around));
    }
  }
  if (head?.verify !== undefined) unit.steps.push(verifyStep(head.verify, path, unit, around));
  if (unit.steps.length === 0) unit.steps.push(brokenStep(`${id}.steps`, path, unit));
  return unit;
}

/** What goes wrong in `finally` keeps nothing else of it from being done. */
const all = { percent: 100 };
const whatever: Strategy = {
  kind: 'parallel',
  budgets: { maxFailed: all, maxUnknown: all, maxUnreachable: all },
};

function unitOf(
  file: StepFile | GroupHeadFile,
  kind: DraftUnit['kind'],
  removed: ReadonlySet<string>,
  path: Path,
  around: Surroundings,
): DraftUnit {
  const { id, title, approve, needs } = file;
  const window =
    file.window === undefined ? around.window : readWindow(file.window, [...path, 'window'], around.report);
  return {
    id,
    kind,
    path,
    on: removed.has('on') ? [] : readTargets(file.on, [...path, 'on'], around),
    strategy: isFinally({ path })
      ? whatever
      : readStrategy(file.strategy, [...path, 'strategy'], around.report),
    ...(title === undefined ? {} : { title }),
    ...(approve === undefined ? {} : { approve }),
    ...(window === undefined ? {} : { window }),
    ...(needs === undefined ? {} : { needs }),
    steps: [],
  };
}

const emptyUnit = (id: string, kind: DraftUnit['kind'], path: Path, around: Surroundings): DraftUnit => ({
  id,
  kind,
  path,
  on: [],
  strategy: readStrategy(undefined, path, around.report),
  steps: [],
});

function readTargets(on: string | readonly string[], path: Path, around: Surroundings): readonly Target[] {
  const targets: Target[] = [];
  for (const [index, text] of asList(on).entries()) {
    const at = entryPath(path, on, index);
    const target = readTarget(text, around.roleNames, at, around.report);
    if (target === undefined) continue;
    if (targets.some(({ role, who }) => role === target.role && who === target.who)) {
      around.report.at(at, `"${text}" stands here twice`);
    } else {
      targets.push(target);
    }
  }
  return targets;
}

const notBesideUses = ['check', 'run', 'verify', 'shell', 'files', 'outputs', ...runnerNames] as const;

/** `incomplete`: keys were taken away, so that nothing is said of what is not there. */
function readStep(
  file: MemberStepFile,
  path: Path,
  unit: DraftUnit,
  incomplete: boolean,
  around: Surroundings,
  part?: AftermathPart,
): DraftStep {
  const { report, modules } = around;
  const { id, uses } = file;
  const broken = incomplete || unit.on.length === 0;
  if (!incomplete && file.every !== undefined && file.until === undefined) {
    report.atKey([...path, 'every'], 'every belongs to until, and there is none', { expected: 'until' });
  }
  const skippable = skippableBecause(file, unit, around.roles, part);
  const runOn =
    file.runOn === undefined
      ? undefined
      : readTarget(file.runOn, around.roleNames, [...path, 'runOn'], around.report);
  if (runOn !== undefined && file.reboot !== undefined) {
    report.atKey([...path, 'reboot'], 'the node that would reboot is the one that runs it for others', {
      expected: 'reboot on a step without runOn',
    });
  }
  if (isFinally(unit) && file.offline === 'defer') {
    report.at([...path, 'offline'], 'the end of a run waits for no node to come back', {
      expected: 'skip or wait',
    });
  }
  if (runOn !== undefined && file.offline === 'defer') {
    report.at([...path, 'offline'], 'what another node carries out cannot be deferred', {
      expected: 'wait or skip',
    });
  }
  const common = {
    id,
    path,
    file,
    broken,
    unit,
    ...(runOn === undefined ? {} : { runOn }),
    ...(skippable === undefined ? {} : { skippable }),
  };
  if (uses === undefined) {
    const { beside, bundles } = around.folderOf(path);
    const work = readWork(file, path, incomplete, beside, bundles, report);
    const runs = file.run !== undefined || runnerNames.some((name) => file[name] !== undefined);
    if (!incomplete && file.until !== undefined && !runs) {
      report.at([...path, 'until'], 'until runs a script again, and there is none', { expected: 'run' });
    }
    const tasks: readonly DraftTask[] = [{ task: work.scripts, policy: {}, path }];
    return { ...common, tasks, outputs: work.outputs, policy: work.policy };
  }
  for (const key of notBesideUses) {
    if (file[key] !== undefined)
      report.atKey([...path, key], `"${key}" does not stand beside uses: the task has its own`);
  }
  const tasks = readUses(uses, [...path, 'uses'], modules, report);
  const outputs = mergeOutputs(tasks, [...path, 'uses'], report);
  // A task that could not be found was reported: what it would have put out is not known.
  const wanted = typeof uses === 'string' ? 1 : uses.length;
  return {
    ...common,
    broken: broken || tasks.length < wanted,
    tasks,
    outputs,
    policy: readPolicy(file, path, report),
  };
}

/** Why a node, or every node, may have done nothing in the step, so that its outputs are not there. */
export function skippableBecause(
  file: MemberStepFile,
  unit: DraftUnit,
  roles: ReadonlyMap<string, RoleDeclaration>,
  part: AftermathPart | undefined,
): string | undefined {
  if (part === 'rescue') return `step ${file.id} is done after a failure only`;
  if (file.if !== undefined) return `step ${file.id} has an "if"`;
  if (isFinally(unit) || part === 'always') return `step ${file.id} leaves out nodes that cannot be reached`;
  if (unit.if !== undefined) return `group ${unit.id} has an "if"`;
  if (file.offline === 'skip' || file.offline === 'defer')
    return `step ${file.id} goes on without nodes that cannot be reached`;
  const role = unit.on.find((target) => roles.get(target.role)?.optional === true)?.role;
  return role === undefined ? undefined : `role ${role} is optional`;
}

/** The `verify` of a group, as its last step: a job that only verifies, and may do so as often as it likes. */
function verifyStep(verify: VerifyFile, path: Path, unit: DraftUnit, around: Surroundings): DraftStep {
  const at = [...path, 'verify'];
  const { beside, bundles } = around.folderOf(path);
  const task = readScripts({ verify }, path, beside, bundles, around.report);
  const timeoutMs = Math.min(limits.jobTimeoutMaxMs, (task.verify?.timeoutMs ?? 0) + limits.verifyMarginMs);
  return {
    id: `${unit.id}.verify`,
    path: at,
    broken: false,
    unit,
    tasks: [{ task, policy: {}, path: at }],
    outputs: {},
    policy: { rerun: 'idempotent', timeoutMs },
    ...(unit.if === undefined ? {} : { skippable: `group ${unit.id} has an "if"` }),
  };
}

const brokenStep = (id: string, path: Path, unit: DraftUnit): DraftStep => ({
  id,
  path,
  broken: true,
  unit,
  tasks: [],
  outputs: {},
  policy: {},
});

/** The id that was written, or one that nobody can have written. */
const idOf = (item: unknown, path: Path): string =>
  typeof item === 'object' && item !== null && 'id' in item && typeof item.id === 'string'
    ? item.id
    : missingId(path);
