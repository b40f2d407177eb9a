/**
 * Every expression of a pipeline at its place: names, types, order and secrets. What comes out of it besides
 * findings: which values of `with` are secret, and which params and roles are used at all.
 */
import type { Access } from '../expressions/accesses.ts';
import { checkExpression, fits, type Place, type Wanted } from '../expressions/check.ts';
import type { Fault } from '../expressions/expression.ts';
import { type ObjectShape, type Shape, shapes } from '../expressions/shape.ts';
import { parseTemplate } from '../expressions/template.ts';
import { nearestWord } from '../nearest.ts';
import { type DraftStep, type DraftUnit, isFinally } from './draft.ts';
import type { AftermathPart, ParamDeclaration, RoleDeclaration, Step, TemplateValue } from './model.ts';
import type { Order } from './order.ts';
import { faultOfValue } from './params.ts';
import { jobPlace, jobValues, judgeOrder, selectPlace, shapeOfType, untilPlace } from './places.ts';
import type { Report } from './report.ts';
import { ownSecretPaths, secretIn, secretPaths } from './secrets.ts';
import type { Path } from './source.ts';

type Judge = (access: Access) => Fault | undefined;
type Secrets = readonly (readonly string[])[];

/** What is known of a template when the file is read. */
type TemplateType = {
  readonly secret: boolean;
  /** No expression in it: the value is known. */
  readonly literal: boolean;
  /** The type of the result, where it is a single expression or text. */
  readonly type: string;
};

export class ExpressionReader {
  /** Params and roles that some expression reads; `*` for all of them. */
  readonly used = { params: new Set<string>(), roles: new Set<string>() };
  readonly #report: Report;

  constructor(report: Report) {
    this.#report = report;
  }

  /** A bare expression. Secrets cannot stand in it: what it decides can be seen by everybody. */
  bare(
    path: Path,
    text: string,
    place: Place,
    wanted: Wanted,
    judge: Judge,
    secrets: Secrets,
  ): string | undefined {
    if (/^\s*\$\{\{/.test(text)) {
      this.#report.at(path, `${place.title} is an expression by itself`, {
        expected: 'the expression without ${{ }}',
      });
      return undefined;
    }
    const checked = checkExpression(
      text,
      place,
      wanted,
      (access) => judge(access) ?? refuseSecret(access, place, secrets),
    );
    for (const fault of checked.faults) this.#report.fault(path, fault);
    this.#use(checked.accesses);
    return checked.type;
  }

  /** Any JSON with `${{ }}` in its texts. `wanted`: what a single expression must give. */
  template(
    path: Path,
    value: unknown,
    place: Place,
    wanted: Wanted,
    judge: Judge,
    secrets: Secrets,
  ): TemplateType {
    if (typeof value === 'string') return this.#text(path, value, place, wanted, judge, secrets);
    if (typeof value !== 'object' || value === null)
      return { secret: false, literal: true, type: jsonType(value) };
    const entries: (readonly [string | number, unknown])[] = Array.isArray(value)
      ? [...value.entries()]
      : Object.entries(value);
    const inside = entries.map(([key, element]) =>
      this.template([...path, key], element, place, 'json', judge, secrets),
    );
    return {
      secret: inside.some(({ secret }) => secret),
      literal: inside.every(({ literal }) => literal),
      type: Array.isArray(value) ? 'list' : 'map',
    };
  }

  #text(
    path: Path,
    text: string,
    place: Place,
    wanted: Wanted,
    judge: Judge,
    secrets: Secrets,
  ): TemplateType {
    const template = parseTemplate(text);
    if (!template.ok) {
      this.#report.fault(path, {
        message: template.message,
        start: template.start,
        end: text.length,
        expected: '$${{ for the characters themselves',
      });
      return { secret: false, literal: false, type: 'dyn' };
    }
    const { segments } = template;
    let secret = false;
    let type = 'string';
    for (const segment of segments) {
      if (segment.kind === 'text') continue;
      const checked = checkExpression(segment.text, place, segments.length === 1 ? wanted : 'json', judge);
      for (const fault of checked.faults) this.#report.fault(path, fault, segment.start);
      this.#use(checked.accesses);
      secret ||= checked.accesses.some((access) => secretIn(access, secrets) !== undefined);
      if (segments.length === 1) type = checked.faults.length > 0 ? 'dyn' : (checked.type ?? 'dyn');
    }
    return { secret, literal: segments.every(({ kind }) => kind === 'text'), type };
  }

  #use(accesses: readonly Access[]): void {
    for (const { root, steps } of accesses) {
      if (root === 'params' || root === 'roles') this.used[root].add(steps[0]?.key ?? '*');
    }
  }
}

function refuseSecret(access: Access, place: Place, secrets: Secrets): Fault | undefined {
  const secret = secretIn(access, secrets);
  if (secret === undefined) return undefined;
  const { start, end } = access;
  return {
    message: `${secret} is secret and cannot stand in ${place.title}: what that decides can be seen`,
    start,
    end,
  };
}

const jsonType = (value: unknown): string => {
  if (typeof value === 'number') return Number.isInteger(value) ? 'int' : 'double';
  return typeof value === 'boolean' ? 'bool' : 'dyn';
};

const noJudge: Judge = () => undefined;

export function checkRole(role: RoleDeclaration, path: Path, reader: ExpressionReader, report: Report): void {
  reader.bare([...path, 'select'], role.select, selectPlace('select'), 'bool', noJudge, []);
  if (role.prefer === undefined) return;
  const type = reader.bare([...path, 'prefer'], role.prefer, selectPlace('prefer'), 'json', noJudge, []);
  if (type !== undefined && !['string', 'int', 'double', 'bool', 'dyn'].includes(type)) {
    report.at([...path, 'prefer'], 'nodes cannot be ordered by this', {
      expected: 'text, a number or a bool',
    });
  }
}

/** What is declared, and what is certainly done before each step. */
type Declared = {
  readonly params: Readonly<Record<string, ParamDeclaration>>;
  readonly roles: Readonly<Record<string, RoleDeclaration>>;
  readonly removed: ReadonlyMap<string, string>;
  readonly order: Order;
};

/** Judges what is written outside of steps as if it stood in the first step of a unit. */
type JudgeAt = (unit: DraftUnit) => {
  readonly value: (path: Path, value: unknown, declared: ParamDeclaration) => TemplateType;
  readonly condition: (path: Path, text: string) => void;
};

/**
 * Checks the expressions of all units; gives the values of `with` and `provides` by step. `checkCalls` judges what
 * calls give, and tells of which no more is to be said.
 */
export function checkUnits(
  units: readonly DraftUnit[],
  { params, roles, removed, order }: Declared,
  checkCalls: (judgeAt: JudgeAt) => ReadonlySet<string>,
  reader: ExpressionReader,
  report: Report,
): ReadonlyMap<string, Pick<Step, 'with' | 'provides'>> {
  const drafts = units.flatMap(({ steps }) => steps);
  const steps = new Map(drafts.map((step) => [step.id, step]));
  const main = jobValues(params, roles, drafts, removed);
  const end = jobValues(params, roles, drafts, removed, 'of-run');
  const secrets = secretPaths(params, drafts);
  const results = new Map<string, Pick<Step, 'with' | 'provides'>>();
  const wrong = checkCalls(({ steps: [first] }) => {
    const judge = first === undefined ? noJudge : judgeOrder(first, steps, order);
    return {
      value: (path, value, { type }) =>
        reader.template(path, value, jobPlace('with', main), type, judge, secrets),
      condition: (path, text) => {
        reader.bare(path, text, jobPlace('if', main), 'bool', judge, secrets);
      },
    };
  });
  for (const unit of units) {
    if (unit.calls?.some((call) => wrong.has(call))) continue;
    const valuesOf = (part: AftermathPart): ObjectShape =>
      jobValues(params, roles, drafts, removed, { of: unit, part });
    const own = isFinally(unit) ? end : main;
    const after = partsOf(unit, valuesOf);
    const [first] = unit.steps;
    if (unit.if !== undefined && first !== undefined) {
      reader.bare(
        [...unit.path, 'if'],
        unit.if,
        jobPlace('if', own),
        'bool',
        judgeOrder(first, steps, order),
        secrets,
      );
    }
    for (const step of unit.steps) {
      const { file, path, part } = step;
      if (file === undefined) continue;
      const values = part === undefined ? own : (after.get(part) ?? own);
      const conditions = jobPlace('if', values);
      const judge = judgeOrder(step, steps, order);
      if (file.if !== undefined) reader.bare([...path, 'if'], file.if, conditions, 'bool', judge, secrets);
      for (const { task, path: at } of step.tasks) {
        if (task.if !== undefined) reader.bare([...at, 'if'], task.if, conditions, 'bool', judge, secrets);
      }
      const given = checkWith(step, params, jobPlace('with', values), judge, secrets, reader, report);
      checkUntil(step, params, given, reader);
      const provides = checkProvides(step, jobPlace('provides', values), judge, secrets, reader, report);
      const templates = Object.entries(file.with ?? {}).map(([name, template]): [string, TemplateValue] => [
        name,
        { template, secret: given.get(name)?.secret ?? false },
      ]);
      results.set(step.id, {
        with: Object.fromEntries(templates),
        ...(provides === undefined ? {} : { provides }),
      });
    }
  }
  return results;
}

/** The values of `rescue` and `always`, where a unit has them. */
function partsOf(
  { steps }: DraftUnit,
  valuesOf: (part: AftermathPart) => ObjectShape,
): ReadonlyMap<AftermathPart, ObjectShape> {
  const parts = new Set(steps.flatMap(({ part }) => (part === undefined ? [] : [part])));
  return new Map([...parts].map((part) => [part, valuesOf(part)]));
}

function checkWith(
  step: DraftStep,
  pipelineParams: Readonly<Record<string, ParamDeclaration>>,
  place: Place,
  judge: Judge,
  secrets: Secrets,
  reader: ExpressionReader,
  report: Report,
): ReadonlyMap<string, TemplateType> {
  const given = new Map<string, TemplateType>();
  // What a call gives its steps was judged where it is written.
  const tasks = step.tasks.flatMap(({ task, path }) =>
    task.params === undefined || task.source === undefined
      ? []
      : [{ params: task.params, uses: task.source.uses, path }],
  );
  const path = [...step.path, 'with'];
  const variables = variablesOf(step, pipelineParams);
  for (const [name, value] of Object.entries(step.file?.with ?? {})) {
    const at = [...path, name];
    const variable = name.toUpperCase();
    const other = variables.get(variable) ?? name;
    if (other !== name) report.atKey(at, `${other} and ${name} would both be $PARAM_${variable}`);
    variables.set(variable, name);
    const declarations = tasks.flatMap(({ params }) => (Object.hasOwn(params, name) ? [params[name]] : []));
    const [declared] = declarations;
    const type = reader.template(at, value, place, declared?.type ?? 'json', judge, secrets);
    given.set(name, type);
    if (tasks.length > 0 && declared === undefined && !step.broken) {
      const known = tasks.flatMap(({ params }) => Object.keys(params));
      report.atKey(at, `${tasks.map(({ uses }) => uses).join(', ')} has no param "${name}"`, {
        nearest: nearestWord(name, known),
        expected: known.length === 0 ? 'no values: it has no params' : undefined,
      });
    }
    for (const declaration of declarations) {
      if (declaration === undefined) continue;
      if (type.literal) {
        const fault = faultOfValue(declaration, value);
        if (fault !== undefined) report.at(at, fault.message, fault);
        if (declaration.secret)
          report.warn(at, `the secret ${name} stands in this file in clear`, {
            expected: 'an expression that reads a secret param',
          });
      } else if (type.type !== 'dyn' && !fits(type.type, declaration.type)) {
        report.at(at, `this gives a ${type.type}, but ${name} is of type ${declaration.type}`, {
          expected: declaration.type,
        });
      }
    }
  }
  for (const task of tasks) {
    for (const [name, declaration] of Object.entries(task.params)) {
      if (given.has(name)) continue;
      const same = Object.hasOwn(pipelineParams, name) ? pipelineParams[name] : undefined;
      if (same !== undefined) {
        reader.used.params.add(name);
        if (fits(same.type === 'json' ? 'dyn' : same.type, declaration.type)) continue;
        report.at(
          task.path,
          `${task.uses} takes the param ${name} as ${declaration.type}, but here it is of type ${same.type}`,
          { expected: `with: { ${name}: … }` },
        );
      } else if (declaration.default === undefined) {
        report.at(task.path, `${task.uses} needs the param "${name}"`, {
          expected: `with: { ${name}: a value of type ${declaration.type} }`,
        });
      }
    }
  }
  return given;
}

/** Params that the scripts of the step see anyway, by the variable that holds them. */
function variablesOf(
  step: DraftStep,
  params: Readonly<Record<string, ParamDeclaration>>,
): Map<string, string> {
  const inline = step.tasks.some(({ task }) => task.source === undefined && task.params === undefined);
  const seen = Object.entries(params).filter(([, { secret }]) => inline && !secret);
  return new Map(seen.map(([name]) => [name.toUpperCase(), name]));
}

const shapeOfResult = (type: string): Shape => {
  switch (type) {
    case 'string':
    case 'int':
    case 'double':
    case 'bool':
      return { kind: type };
    default:
      return shapes.any;
  }
};

function checkUntil(
  step: DraftStep,
  pipelineParams: Readonly<Record<string, ParamDeclaration>>,
  given: ReadonlyMap<string, TemplateType>,
  reader: ExpressionReader,
): void {
  const { file, path, tasks } = step;
  if (file?.until === undefined) return;
  // A task of a module sees its own params only, a script of the step all that are not secret.
  const own = file.uses === undefined && tasks.every(({ task }) => task.params === undefined);
  const declared: Record<string, ParamDeclaration> = own ? { ...pipelineParams } : {};
  for (const { task } of tasks) Object.assign(declared, task.params ?? {});
  const secret = new Set(
    Object.keys(declared).filter((name) => file.uses !== undefined && declared[name]?.secret === true),
  );
  const types: Record<string, Shape> = {};
  for (const name of secret) types[name] = shapeOfType(declared[name]?.type ?? 'json');
  for (const [name, type] of given) {
    if (type.secret) secret.add(name);
    const param = file.uses === undefined || !Object.hasOwn(declared, name) ? undefined : declared[name];
    types[name] = param === undefined ? shapeOfResult(type.type) : shapeOfType(param.type);
  }
  const place = untilPlace(step, declared, types);
  if (!step.broken) {
    reader.bare([...path, 'until'], file.until, place, 'bool', noJudge, ownSecretPaths(step, secret));
  }
}

function checkProvides(
  step: DraftStep,
  place: Place,
  judge: Judge,
  secrets: Secrets,
  reader: ExpressionReader,
  report: Report,
): Step['provides'] | undefined {
  const provides = step.file?.provides;
  if (provides === undefined) return undefined;
  if (typeof provides === 'string') return { service: provides };
  const path = [...step.path, 'provides'];
  const template = (
    key: 'port' | 'address',
    value: string | number,
    wanted: 'int' | 'string',
  ): TemplateValue => {
    const at = [...path, key];
    const result = reader.template(at, value, place, wanted, judge, secrets);
    if (!fits(result.type, wanted)) {
      report.at(at, `${key} cannot be this`, {
        expected: wanted === 'int' ? 'a number, or one expression that gives an int' : 'text',
      });
    }
    if (result.secret) report.at(at, `${key} reads a secret, but services are known to all`);
    return { template: value, secret: false };
  };
  return {
    service: provides.service,
    ...(provides.port === undefined ? {} : { port: template('port', provides.port, 'int') }),
    ...(provides.address === undefined ? {} : { address: template('address', provides.address, 'string') }),
  };
}
