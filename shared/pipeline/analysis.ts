/**
 * What a pipeline means, with the pipelines that it calls: names looked up, steps in order, expressions judged. A
 * pipeline that is called is judged by itself first, so that what is wrong with it is told in its own terms.
 */
import { buildUnit } from './build.ts';
import { Calls, checkCalls } from './calls.ts';
import { concurrency, readConcurrency } from './concurrency.ts';
import { reportCounts } from './counts.ts';
import type { DraftUnit } from './draft.ts';
import { checkRole, checkUnits, ExpressionReader } from './expressions.ts';
import type { Called } from './flatten.ts';
import { isRecord } from './form.ts';
import { paramSchema, roleSchema } from './language.ts';
import type { Concurrency, ParamDeclaration, RoleDeclaration, Unit } from './model.ts';
import type { LoadedModule } from './module.ts';
import type { PipelineText, Whole } from './opening.ts';
import { readOrder } from './order.ts';
import { readParam } from './params.ts';
import type { Report } from './report.ts';
import { readRole, reportCircles } from './roles.ts';
import { withRunnerInputs } from './runners/inputs.ts';
import { salvage } from './salvage.ts';
import type { FileStat } from './scripts.ts';
import { readUnits, type Surroundings } from './units.ts';
import { reportUnused } from './unused.ts';
import { readWindow, window } from './window.ts';

export type Analysis = {
  readonly params: ReadonlyMap<string, ParamDeclaration>;
  readonly roles: ReadonlyMap<string, RoleDeclaration>;
  readonly concurrency?: Concurrency;
  readonly drafts: readonly DraftUnit[];
  readonly units: readonly Unit[];
};

export class Analyst {
  readonly #modules: readonly LoadedModule[];
  readonly #folders: Folders;
  readonly #known = new Map<Whole, Called | undefined>();

  constructor(modules: readonly LoadedModule[], folders: Folders) {
    this.#modules = modules;
    this.#folders = folders;
  }

  /** What is wrong is in the report of the whole. */
  analyse(whole: Whole): Analysis {
    const { source, report, removed } = whole;
    const top: Readonly<Record<string, unknown>> = isRecord(source.value) ? source.value : {};
    const own = readParams(top.params, report);
    const roles = readRoles(top.roles, report);
    const calls = new Calls({
      report,
      params: own,
      roles,
      calledAt: ([, index]) => (typeof index === 'number' ? this.#calledAt(whole, index) : undefined),
    });
    const items = {
      steps: Array.isArray(top.steps) ? top.steps : [],
      finally: Array.isArray(top.finally) ? top.finally : [],
    };
    const timed = window.safeParse(top.window);
    const windowOfAll = timed.success ? readWindow(timed.data, ['window'], report) : undefined;
    const drafts = readUnits(items, {
      report,
      window: windowOfAll,
      roleNames: new Set(isRecord(top.roles) ? Object.keys(top.roles) : []),
      roles,
      modules: this.#modules,
      folderOf: (path) => this.#folders.of(source.fileOf(path)),
      call: (...call) => calls.read(...call),
    });
    const params = new Map([...own, ...calls.made]);
    reportCounts(params.size, roles.size, drafts, report);
    const beside = concurrency.safeParse(top.concurrency);
    const sideBySide = beside.success
      ? { concurrency: readConcurrency(beside.data, ['concurrency'], report) }
      : {};
    const order = readOrder(drafts, removed, report);
    const reader = new ExpressionReader(report);
    for (const role of roles.values()) checkRole(role, ['roles', role.name], reader, report);
    const declared = { params: Object.fromEntries(params), roles: Object.fromEntries(roles) };
    const values = checkUnits(
      drafts,
      { ...declared, removed, order },
      (judgeAt) => checkCalls(calls.all, judgeAt, report),
      reader,
      report,
    );
    const given = withRunnerInputs(drafts, values, [...roles.keys()]);
    const units = drafts.map((unit) => buildUnit(unit, order, given, report, windowOfAll));
    if (!report.failed) reportUnused(own, roles, drafts, reader.used, report);
    return { params, roles, ...sideBySide, drafts, units };
  }

  /** Undefined when it cannot be called, which is told in its own file. */
  #calledAt(caller: Whole, index: number): Called | undefined {
    const whole = caller.called.get(index);
    if (whole === undefined) return undefined;
    const called = this.#known.has(whole) ? this.#known.get(whole) : this.#judge(whole);
    this.#known.set(whole, called);
    const { errors, warnings } = whole.report.finish();
    caller.report.add([...errors, ...warnings]);
    return called;
  }

  #judge(whole: Whole): Called | undefined {
    const { params, roles, drafts } = this.analyse(whole);
    return whole.report.failed ? undefined : { file: whole.file, params, roles, units: drafts };
  }
}

/** What the files of a pipeline need of what lies beside each of them. */
export class Folders {
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
