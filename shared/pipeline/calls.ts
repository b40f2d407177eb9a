/** Steps that call another pipeline: roles mapped, params given and judged by the types that it declares. */
import { fits } from '../expressions/check.ts';
import { referencesInTemplate } from '../expressions/evaluate.ts';
import { oneOf } from '../expressions/shape.ts';
import { limits } from '../limits.ts';
import { nearestWord } from '../nearest.ts';
import { type DraftUnit, isFinally } from './draft.ts';
import { type Called, flatten } from './flatten.ts';
import { isRecord } from './form.ts';
import { type CallFile, callSchema } from './language.ts';
import type { ParamDeclaration, RoleDeclaration } from './model.ts';
import { faultOfValue } from './params.ts';
import type { GivenValue, Renaming } from './renaming.ts';
import type { Report } from './report.ts';
import { salvage } from './salvage.ts';
import type { Path } from './source.ts';

/** A call with what is known of it, for judging what it gives. */
export type DraftCall = {
  readonly id: string;
  readonly path: Path;
  readonly file: CallFile;
  readonly called: Called;
  readonly units: readonly DraftUnit[];
};

type Caller = {
  readonly report: Report;
  readonly params: ReadonlyMap<string, ParamDeclaration>;
  readonly roles: ReadonlyMap<string, RoleDeclaration>;
  /** Undefined: it is not there or not right, which was reported. */
  readonly calledAt: (path: Path) => Called | undefined;
};

/** The calls of one pipeline. */
export class Calls {
  readonly all: DraftCall[] = [];
  /** Params that a called pipeline makes by itself, under names of the caller. */
  readonly made = new Map<string, ParamDeclaration>();
  readonly #caller: Caller;

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  /** Its steps, those of `finally` too; undefined when they are not known. */
  read(
    item: unknown,
    id: string,
    path: Path,
    previous: string | undefined,
  ): readonly DraftUnit[] | undefined {
    const called = this.#caller.calledAt(path);
    const salvaged = salvage(callSchema, item, { id: 'unnamed', pipeline: './unknown' });
    if (called === undefined || salvaged === undefined || salvaged.removed.size > 0) return undefined;
    const { report } = this.#caller;
    const before = report.errorCount;
    const file = { ...salvaged.value, id };
    const roles = this.#roles(file, path, called);
    const params = this.#params(file, path, called);
    const longest = Math.max(...called.units.flatMap(({ steps }) => steps.map((step) => step.id.length)));
    if (id.length + 1 + longest > limits.stepIdLengthMax)
      report.at(
        [...path, 'id'],
        `steps that are called would have ids of more than ${limits.stepIdLengthMax} characters`,
      );
    if (report.errorCount > before) return undefined;
    const renaming = this.#renaming(id, path, called, roles, params);
    const call = { id, path, needs: file.needs, if: file.if, previous, renaming, roles: this.#caller.roles };
    const units = flatten(call, called);
    this.all.push({ id, path, file, called, units });
    return units;
  }

  #roles({ roles = {} }: CallFile, path: Path, called: Called): ReadonlyMap<string, string> {
    const { report, roles: own } = this.#caller;
    for (const name of Object.keys(roles)) {
      if (called.roles.has(name)) continue;
      const known = [...called.roles.keys()];
      report.atKey([...path, 'roles', name], `${called.file} has no role "${name}"`, {
        nearest: nearestWord(name, known),
        expected: oneOf(known),
      });
    }
    const mapped = new Map<string, string>();
    for (const name of called.roles.keys()) {
      const given = Object.hasOwn(roles, name) ? roles[name] : undefined;
      const role = given ?? name;
      mapped.set(name, role);
      if (own.has(role)) continue;
      const known = [...own.keys()];
      if (given === undefined)
        report.at(path, `it is not said who is ${name} of ${called.file}`, {
          expected: `roles: { ${name}: ${known.join(' or ')} }`,
        });
      else
        report.at([...path, 'roles', name], `there is no role "${role}"`, {
          nearest: nearestWord(role, known),
          expected: oneOf(known),
        });
    }
    return mapped;
  }

  #params(file: CallFile, path: Path, called: Called): ReadonlyMap<string, GivenValue> {
    const { report } = this.#caller;
    const given = file.with ?? {};
    for (const name of Object.keys(given)) {
      if (called.params.has(name)) continue;
      const known = [...called.params.keys()];
      report.atKey([...path, 'with', name], `${called.file} has no param "${name}"`, {
        nearest: nearestWord(name, known),
        expected: known.length === 0 ? 'no values: it has no params' : undefined,
      });
    }
    const values = new Map<string, GivenValue>();
    for (const [name, declared] of called.params) {
      const { type } = declared;
      if (Object.hasOwn(given, name)) values.set(name, { template: given[name], type });
      else if (declared.default !== undefined)
        values.set(name, { template: literal(declared.default), type });
      else if (declared.generate !== undefined) {
        const own = this.#make(file.id, name, declared, path, called.file);
        values.set(name, { template: `\${{ params.${own} }}`, type });
      } else
        report.at(path, `${called.file} needs the param "${name}"`, {
          expected: `with: { ${name}: a value of type ${type} }`,
        });
    }
    return values;
  }

  /** A generated value belongs to the caller's run, like all others. */
  #make(id: string, name: string, declared: ParamDeclaration, path: Path, file: string): string {
    const own = `${id.replaceAll(/[^a-z0-9]/g, '_')}_${name}`;
    if (this.#caller.params.has(own) || this.made.has(own))
      this.#caller.report.at(
        path,
        `${file} makes its own ${name}, as ${own}, and there is a param ${own} already`,
        {
          expected: `with: { ${name}: … }, or another id`,
        },
      );
    this.made.set(own, declared);
    return own;
  }

  #renaming(
    id: string,
    path: Path,
    called: Called,
    roles: ReadonlyMap<string, string>,
    params: ReadonlyMap<string, GivenValue>,
  ): Renaming {
    const read = [...params.values()].flatMap(({ template }) =>
      referencesInTemplate(template).map(({ path: [root = ''] }) => root),
    );
    return {
      step: (name) => `${id}.${name}`,
      role: (name) => roles.get(name) ?? name,
      params,
      roots: new Set(read),
      hide: (variable) =>
        this.#caller.report.at(
          path,
          `${called.file} has a variable "${variable}" where it reads its params, so what is given for them cannot read ${variable}`,
          { expected: 'another name for that variable' },
        ),
    };
  }
}

/** A value that is meant as it stands. */
function literal(value: unknown): unknown {
  if (typeof value === 'string') return value.replaceAll('${{', '$${{');
  if (Array.isArray(value)) return value.map(literal);
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, literal(each)]));
}

type Judged = { readonly secret: boolean; readonly literal: boolean; readonly type: string };
type Judge = {
  readonly value: (path: Path, value: unknown, declared: ParamDeclaration) => Judged;
  readonly condition: (path: Path, text: string) => void;
};

/**
 * What calls give, judged where it is written. The ids of those that are wrong: of their steps, which repeat it,
 * nothing more is to be said.
 */
export function checkCalls(
  calls: readonly DraftCall[],
  judgeAt: (unit: DraftUnit) => Judge,
  report: Report,
): ReadonlySet<string> {
  const wrong = new Set<string>();
  for (const { id, path, file, called, units } of calls) {
    const first = units.find((unit) => !isFinally(unit)) ?? units[0];
    if (first === undefined) continue;
    const before = report.errorCount;
    const judge = judgeAt(first);
    if (file.if !== undefined) judge.condition([...path, 'if'], file.if);
    for (const [name, value] of Object.entries(file.with ?? {})) {
      const declared = called.params.get(name);
      if (declared !== undefined) checkValue([...path, 'with', name], name, value, declared, judge, report);
    }
    if (report.errorCount > before) wrong.add(id);
  }
  return wrong;
}

function checkValue(
  path: Path,
  name: string,
  value: unknown,
  declared: ParamDeclaration,
  judge: Judge,
  report: Report,
): void {
  const { secret, literal: known, type } = judge.value(path, value, declared);
  if (known) {
    const fault = faultOfValue(declared, value);
    if (fault !== undefined) report.at(path, fault.message, fault);
    if (declared.secret)
      report.warn(path, `the secret ${name} stands in this file in clear`, {
        expected: 'an expression that reads a secret param',
      });
  } else if (type !== 'dyn' && !fits(type, declared.type)) {
    report.at(path, `this gives a ${type}, but ${name} is of type ${declared.type}`, {
      expected: declared.type,
    });
  }
  if (secret && !declared.secret)
    report.at(path, `this is secret, but ${name} is not, so every script of the pipeline would get it`, {
      expected: 'secret: true where the param is declared',
    });
}
