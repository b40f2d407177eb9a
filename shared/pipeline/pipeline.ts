/**
 * From the text of a pipeline file to the model that runs are planned from, or to everything that is wrong with
 * it. Pure: what lies beside the file and which modules there are comes in as arguments.
 */
import * as z from 'zod';
import type { Diagnostic } from '../diagnostic.ts';
import { limits } from '../limits.ts';
import { concurrency, readConcurrency } from './concurrency.ts';
import { reportCounts } from './counts.ts';
import { type DraftStep, type DraftTask, type DraftUnit, isFinally } from './draft.ts';
import { parseDuration } from './duration.ts';
import { checkRole, checkUnits, ExpressionReader } from './expressions.ts';
import { isRecord } from './form.ts';
import { paramSchema, pipelineHead, roleSchema } from './language.ts';
import type { Need, ParamDeclaration, Pipeline, RerunClass, RoleDeclaration, Step, Unit } from './model.ts';
import type { LoadedModule } from './module.ts';
import { type Opener, openPipeline, type PipelineText } from './opening.ts';
import { type Order, readOrder } from './order.ts';
import { readParam } from './params.ts';
import type { Report } from './report.ts';
import { readRole, reportCircles } from './roles.ts';
import { salvage } from './salvage.ts';
import type { FileStat } from './scripts.ts';
import type { Path } from './source.ts';
import { readUnits, type Surroundings } from './units.ts';
import { reportUnused } from './unused.ts';
import { type Variation, variationOf } from './variation.ts';
import { deferralOf, reportRerun, rerunOf, timeoutOf } from './work.ts';

export type PipelineInput = PipelineText & {
  readonly modules?: readonly LoadedModule[];
  /** Absent: there are no other files. */
  readonly open?: Opener;
};

/** Another pipeline file that was read, with what it needs of what lies beside it. */
export type OtherFile = {
  readonly file: string;
  readonly text: string;
  readonly requiredFiles: ReadonlyMap<string, FileStat>;
};

export type PipelineParsed =
  | {
      readonly ok: true;
      readonly pipeline: Pipeline;
      readonly warnings: readonly Diagnostic[];
      /** Texts of bundle manifests by digest, and the files that they name, by path beside the pipeline. */
      readonly manifests: ReadonlyMap<string, string>;
      readonly requiredFiles: ReadonlyMap<string, FileStat>;
      readonly others: readonly OtherFile[];
      /** What it does differently from the pipeline that it extends, if it does. */
      readonly variation?: Variation;
    }
  /** Errors first, then warnings, each in the order of the text. */
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

export function parsePipeline(input: PipelineInput): PipelineParsed {
  const opened = openPipeline(input, input.open ?? (() => undefined));
  if (!opened.ok) return opened;
  const { source, report, texts, removed, base } = opened;
  const top: Readonly<Record<string, unknown>> = isRecord(source.value) ? source.value : {};
  const params = readParams(top.params, report);
  const roles = readRoles(top.roles, report);
  const folders = new Folders(texts);
  const items = {
    steps: Array.isArray(top.steps) ? top.steps : [],
    finally: Array.isArray(top.finally) ? top.finally : [],
  };
  const units = readUnits(items, {
    report,
    roleNames: new Set(isRecord(top.roles) ? Object.keys(top.roles) : []),
    roles,
    modules: input.modules ?? [],
    folderOf: (path) => folders.of(source.fileOf(path)),
  });
  reportCounts(params.size, roles.size, units, report);
  const beside = concurrency.safeParse(top.concurrency);
  const sideBySide = beside.success
    ? { concurrency: readConcurrency(beside.data, ['concurrency'], report) }
    : {};
  const order = readOrder(units, removed, report);
  const reader = new ExpressionReader(report);
  for (const role of roles.values()) checkRole(role, ['roles', role.name], reader, report);
  const declared = { params: Object.fromEntries(params), roles: Object.fromEntries(roles) };
  const values = checkUnits(units, declared.params, declared.roles, order, removed, reader, report);
  const built = units.map((unit) => buildUnit(unit, order, values, report));
  if (!report.failed) reportUnused(params, roles, units, reader.used, report);
  const { errors, warnings } = report.finish();
  if (errors.length > 0) return { ok: false, diagnostics: [...errors, ...warnings] };
  const { name, title } = pipelineHeadSchema.parse(source.value);
  const pipeline: Pipeline = {
    name,
    ...(title === undefined ? {} : { title }),
    ...sideBySide,
    ...declared,
    units: built,
    modules: modulesOf(built),
  };
  return {
    ok: true,
    pipeline,
    warnings,
    manifests: folders.manifests,
    requiredFiles: folders.requiredOf(input.file),
    others: [...texts.values()]
      .filter(({ file }) => file !== input.file)
      .map(({ file, text }) => ({ file, text, requiredFiles: folders.requiredOf(file) })),
    ...(base === undefined ? {} : { variation: variationOf(base, source, removed) }),
  };
}

const pipelineHeadSchema = z.object({ name: pipelineHead.name, title: pipelineHead.title });

/** What the files of a pipeline need of what lies beside each of them. */
class Folders {
  readonly manifests = new Map<string, string>();
  readonly #texts: ReadonlyMap<string, PipelineText>;
  readonly #required = new Map<string, Map<string, FileStat>>();

  constructor(texts: ReadonlyMap<string, PipelineText>) {
    this.#texts = texts;
  }

  of(file: string): ReturnType<Surroundings['folderOf']> {
    const files = this.#required.get(file) ?? new Map<string, FileStat>();
    this.#required.set(file, files);
    return { beside: this.#texts.get(file)?.files, bundles: { manifests: this.manifests, files } };
  }

  requiredOf(file: string): ReadonlyMap<string, FileStat> {
    return this.#required.get(file) ?? new Map();
  }
}

/** Those that the schema accepts, and the others by name: what refers to them is not wrong for that. */
function readParams(items: unknown, report: Report): ReadonlyMap<string, ParamDeclaration> {
  const params = new Map<string, ParamDeclaration>();
  const variables = new Map<string, string>();
  for (const [name, item] of Object.entries(isRecord(items) ? items : {})) {
    const path = ['params', name];
    const parsed = paramSchema.safeParse(item);
    params.set(
      name,
      parsed.success ? readParam(name, parsed.data, path, report) : { type: 'json', secret: false },
    );
    const variable = name.toUpperCase();
    const other = variables.get(variable);
    if (other !== undefined)
      report.atKey(path, `params ${other} and ${name} would both be $PARAM_${variable}`);
    variables.set(variable, name);
  }
  return params;
}

function readRoles(items: unknown, report: Report): ReadonlyMap<string, RoleDeclaration> {
  const roles = new Map<string, RoleDeclaration>();
  const names = new Set(Object.keys(isRecord(items) ? items : {}));
  for (const [name, item] of Object.entries(isRecord(items) ? items : {})) {
    const salvaged = salvage(roleSchema, item, {});
    const broken = { name, select: 'true', except: [], optional: false };
    roles.set(
      name,
      salvaged === undefined ? broken : readRole(name, salvaged, names, ['roles', name], report),
    );
  }
  reportCircles(roles, report);
  return roles;
}

function buildUnit(
  draft: DraftUnit,
  order: Order,
  values: ReadonlyMap<string, Pick<Step, 'with' | 'provides'>>,
  report: Report,
): Unit {
  const { id, kind, title, on, approve, strategy } = draft;
  return {
    id,
    kind,
    ...(title === undefined ? {} : { title }),
    on,
    ...(approve === undefined ? {} : { approve }),
    strategy,
    ...(isFinally(draft) ? { finally: true } : {}),
    steps: draft.steps.map((step) => {
      const needs = (order.needs.get(step.id) ?? []).map(
        ({ step: needed, sameNode }): Need => ({ step: needed, sameNode }),
      );
      return buildStep(step, needs, values.get(step.id) ?? { with: {} }, report);
    }),
  };
}

/** `if` of a group holds for each of its steps; where none of them was begun, nothing is done after them either. */
function conditionOf({ file, unit, part }: DraftStep): string | undefined {
  if (unit.if === undefined || part !== undefined) return file?.if;
  // An expression may end in a comment, which only a line end ends.
  return file?.if === undefined ? unit.if : `(${unit.if}\n) && (${file.if}\n)`;
}

function buildStep(
  draft: DraftStep,
  needs: readonly Need[],
  values: Pick<Step, 'with' | 'provides'>,
  report: Report,
): Step {
  const { id, path, file, unit, tasks, outputs, part } = draft;
  const condition = conditionOf(draft);
  const hasUntil = file?.until !== undefined;
  const policy = policyOf(draft, hasUntil);
  if (!draft.broken && file !== undefined) {
    const at = (key: string): readonly (string | number)[] => [
      ...path,
      key in file ? key : file.uses === undefined ? 'id' : 'uses',
    ];
    const hasCheck = tasks.every(({ task }) => task.check !== undefined);
    const work = { rerun: policy.rerun, attempts: policy.retry.attempts, hasCheck, hasUntil };
    reportRerun(work, { rerun: at('rerun'), retry: at('retry'), until: at('until') }, report);
  }
  const every = file?.every === undefined ? limits.untilEveryDefaultMs : (parseDuration(file.every) ?? 0);
  const unknownAfter = file?.unknownAfter;
  return {
    id,
    ...(file?.title === undefined ? {} : { title: file.title }),
    on: unit.on,
    ...(draft.runOn === undefined ? {} : { runOn: draft.runOn }),
    ...(draft.scope === undefined ? {} : { scope: draft.scope }),
    needs,
    ...(condition === undefined ? {} : { if: condition }),
    ...(unit.kind === 'group' || part !== undefined || unit.approve === undefined
      ? {}
      : { approve: unit.approve }),
    tasks: tasks.map(({ task }) => task),
    ...values,
    ...(file?.until === undefined ? {} : { until: { expression: file.until, everyMs: every } }),
    ...policy,
    outputs,
    // What is left at the end is done where it can be, and waits for nobody.
    offline: file?.offline ?? (isFinally(unit) || part !== undefined ? 'skip' : 'wait'),
    unknownAfterMs:
      unknownAfter === undefined
        ? limits.unknownAfterDefaultMs
        : timeoutOf(unknownAfter, [...path, 'unknownAfter'], report),
    ...absenceOf(file, path, report),
    ...(part === undefined ? {} : { part }),
  };
}

/** What the step says of nodes that go away, whether they mean to or not. */
function absenceOf(
  file: DraftStep['file'],
  path: Path,
  report: Report,
): Pick<Step, 'deferUntilMs' | 'onUnknown' | 'reboot' | 'rebootTimeoutMs'> {
  const { offline, deferUntil, onUnknown, reboot, rebootTimeout } = file ?? {};
  if (deferUntil !== undefined && offline !== 'defer') {
    report.atKey([...path, 'deferUntil'], 'deferUntil belongs to offline: defer', {
      expected: 'offline: defer',
    });
  }
  return {
    ...(deferUntil === undefined
      ? {}
      : { deferUntilMs: deferralOf(deferUntil, [...path, 'deferUntil'], report) }),
    ...(onUnknown === undefined || onUnknown === 'wait' ? {} : { onUnknown }),
    ...(reboot === undefined ? {} : { reboot }),
    ...(rebootTimeout === undefined
      ? {}
      : { rebootTimeoutMs: timeoutOf(rebootTimeout, [...path, 'rebootTimeout'], report) }),
  };
}

/** What the step says, else what its tasks say; of several alternatives the most cautious counts. */
function policyOf(
  draft: DraftStep,
  hasUntil: boolean,
): Pick<Step, 'rerun' | 'retry' | 'timeoutMs' | 'leaves'> {
  const { policy, tasks } = draft;
  const rerun = policy.rerun ?? commonRerun(tasks, hasUntil);
  const once = { attempts: 1, backoffMs: 0 };
  const retries = tasks.map(({ policy: own }) => own.retry ?? once);
  const [fewest] = rerun === 'never-twice' ? [] : retries.toSorted((a, b) => a.attempts - b.attempts);
  const timeouts = tasks.flatMap(({ policy: own }) => (own.timeoutMs === undefined ? [] : [own.timeoutMs]));
  return {
    rerun,
    retry: policy.retry ?? fewest ?? once,
    timeoutMs:
      policy.timeoutMs ?? (timeouts.length === 0 ? limits.jobTimeoutDefaultMs : Math.max(...timeouts)),
    leaves:
      policy.leaves ?? (tasks.some(({ policy: own }) => own.leaves === 'daemon') ? 'daemon' : 'nothing'),
  };
}

/** One class for the step: where alternatives differ and not each has a check, only a person can tell. */
function commonRerun(tasks: readonly DraftTask[], hasUntil: boolean): RerunClass {
  const classes = new Set(
    tasks.map(({ task, policy }) => rerunOf(policy.rerun, task.check !== undefined, hasUntil)),
  );
  const [only = 'never-twice', ...others] = classes;
  if (others.length === 0) return only;
  const allChecked = tasks.every(({ task }) => task.check !== undefined);
  return allChecked && !classes.has('never-twice') ? 'verify-first' : 'never-twice';
}

/** By `name@version`, as `uses` names them. */
function modulesOf(units: readonly Unit[]): Readonly<Record<string, string>> {
  const sources = units
    .flatMap(({ steps }) => steps)
    .flatMap(({ tasks }) => tasks.flatMap(({ source }) => (source === undefined ? [] : [source])));
  return Object.fromEntries(sources.map(({ uses, digest }) => [uses.replace(/\/[^@]*/, ''), digest]));
}
