/**
 * The steps of a pipeline that is called, as steps of its caller: under its id, on its roles, with what it gives for
 * params, after what the call needs. What comes out is what somebody would have written by hand.
 */
import { covers, type DraftStep, type DraftUnit, type NeedFile } from './draft.ts';
import type { MemberStepFile } from './language.ts';
import type { ParamDeclaration, RoleDeclaration, Target } from './model.ts';
import { type Renaming, renameExpression, renameTemplate } from './renaming.ts';
import { asList } from './roles.ts';
import type { Path } from './source.ts';
import { skippableBecause } from './units.ts';

/** A pipeline that is called, read and found to be right by itself. */
export type Called = {
  readonly file: string;
  readonly params: ReadonlyMap<string, ParamDeclaration>;
  readonly roles: ReadonlyMap<string, RoleDeclaration>;
  readonly units: readonly DraftUnit[];
};

export type Call = {
  readonly id: string;
  readonly path: Path;
  readonly needs: MemberStepFile['needs'];
  readonly if: string | undefined;
  /** The step, group or call before it in the list. */
  readonly previous: string | undefined;
  readonly renaming: Renaming;
  /** Of the caller. */
  readonly roles: ReadonlyMap<string, RoleDeclaration>;
};

/** Where the called pipeline's values are found in the caller's source. */
export const calledPath = (path: Path): Path => [...path, 'called'];
export const calledAtEnd = (id: string): Path => ['finally', id];

export function flatten(call: Call, called: Called): readonly DraftUnit[] {
  return called.units.map((unit, index) => new Flattening(call, called).unit(unit, index === 0));
}

type Needs = NonNullable<MemberStepFile['needs']>;

class Flattening {
  readonly #call: Call;
  readonly #called: Called;

  constructor(call: Call, called: Called) {
    this.#call = call;
    this.#called = called;
  }

  unit(unit: DraftUnit, first: boolean): DraftUnit {
    const { id, renaming } = this.#call;
    const condition = unit.if === undefined ? undefined : renameExpression(unit.if, renaming);
    const together = unit.kind === 'group' ? this.#also(condition) : undefined;
    const needs = unit.needs === undefined ? undefined : this.#needs(unit.needs);
    const { if: _if, needs: _needs, ...rest } = unit;
    const flat: DraftUnit = {
      ...rest,
      id: renaming.step(unit.id),
      path: this.#path(unit.path),
      on: this.#targets(unit.on),
      ...(together === undefined ? {} : { if: together }),
      ...(needs === undefined ? {} : { needs }),
      ...this.#entry(unit, first),
      calls: [id, ...(unit.calls ?? []).map(renaming.step)],
      steps: [],
    };
    for (const step of unit.steps) flat.steps.push(this.#step(step, flat));
    return flat;
  }

  /** What waits for nothing in the called pipeline still waits for what the call needs. */
  #entry({ needs, entry, path, on }: DraftUnit, first: boolean): Pick<DraftUnit, 'entry'> {
    const { needs: own, previous, path: at } = this.#call;
    const inner = entry === undefined ? [] : asList<NeedFile>(this.#needs(entry.needs));
    const stated = needs === undefined ? [] : asList<NeedFile>(needs);
    const isAtEnd = path[0] === 'finally';
    const written = entry === undefined ? [] : asList<NeedFile>(entry.needs);
    const waits = [...stated, ...written].some((need) => this.#holds(need, on));
    const enters = !isAtEnd && !waits && (first || needs !== undefined || entry !== undefined);
    if (!enters) return inner.length === 0 ? {} : { entry: { needs: [...inner], path: at } };
    // The first without needs of its own has what stands before it in the list, unless the call says otherwise.
    if (own === undefined && needs === undefined && entry === undefined) return {};
    const before = previous === undefined ? [] : [previous];
    const outer = own === undefined ? before : asList<NeedFile>(own);
    return { entry: { needs: [...inner, ...outer], path: own === undefined ? at : [...at, 'needs'] } };
  }

  /** Whether all nodes of a unit wait for a need: one for the same node is none on nodes without a job there. */
  #holds(need: NeedFile, on: readonly Target[]): boolean {
    if (typeof need === 'string' || need.same === undefined) return true;
    const needed = this.#called.units.find(
      ({ id, steps }) => id === need.step || steps.some((step) => step.id === need.step),
    );
    return needed !== undefined && covers(needed.on, on);
  }

  #step(step: DraftStep, unit: DraftUnit): DraftStep {
    const { renaming } = this.#call;
    const file = step.file === undefined ? undefined : this.#file(step, step.file, unit);
    const { skippable: _skippable, file: _file, ...rest } = step;
    const moved: DraftStep = {
      ...rest,
      id: renaming.step(step.id),
      path: this.#path(step.path),
      unit,
      ...(file === undefined ? {} : { file }),
      ...(step.runOn === undefined ? {} : { runOn: this.#target(step.runOn) }),
      ...(step.scope === undefined ? {} : { scope: { role: renaming.role(step.scope.role) } }),
      tasks: step.tasks.map(({ task, policy, path }) => ({
        task: {
          ...task,
          ...(task.if === undefined ? {} : { if: renameExpression(task.if, renaming) }),
          ...(task.source === undefined ? { params: task.params ?? this.#visible() } : {}),
        },
        policy,
        path: this.#path(path),
      })),
    };
    const skippable =
      file === undefined
        ? unit.if && `group ${unit.id} has an "if"`
        : skippableBecause(file, unit, this.#call.roles, step.part);
    return { ...moved, ...(skippable === undefined ? {} : { skippable }) };
  }

  #file(step: DraftStep, file: MemberStepFile, unit: DraftUnit): MemberStepFile {
    const { renaming } = this.#call;
    const own = file.if === undefined ? undefined : renameExpression(file.if, renaming);
    // What is done after steps is not done where none of them was begun.
    const condition = unit.kind === 'group' || step.part !== undefined ? own : this.#also(own);
    const { provides } = file;
    const given = Object.entries(file.with ?? {}).map(([name, value]): [string, unknown] => [
      name,
      renameTemplate(value, renaming),
    ]);
    return {
      ...file,
      id: renaming.step(step.id),
      ...(condition === undefined ? {} : { if: condition }),
      ...(file.needs === undefined ? {} : { needs: this.#needs(file.needs) }),
      with: Object.fromEntries([...this.#inherited(step), ...given]) as NonNullable<MemberStepFile['with']>,
      ...(typeof provides !== 'object'
        ? {}
        : { provides: renameTemplate(provides, renaming) as NonNullable<MemberStepFile['provides']> }),
    };
  }

  /** Params that reach a script without being named: all that are not secret, or those that a module's task takes. */
  #inherited({ tasks }: DraftStep): [string, unknown][] {
    const { params } = this.#call.renaming;
    const wanted = new Set<string>();
    for (const { task } of tasks) {
      // Of a call inside the called pipeline: it gave its steps all they have.
      if (task.source === undefined && task.params !== undefined) continue;
      for (const name of Object.keys(task.params ?? this.#visible())) wanted.add(name);
    }
    return [...wanted].flatMap((name): [string, unknown][] => {
      const given = params.get(name);
      return given === undefined ? [] : [[name, given.template]];
    });
  }

  #visible(): Record<string, ParamDeclaration> {
    return Object.fromEntries([...this.#called.params].filter(([, { secret }]) => !secret));
  }

  #also(condition: string | undefined): string | undefined {
    const { if: outer } = this.#call;
    if (outer === undefined) return condition;
    // An expression may end in a comment, which only a line end ends.
    return condition === undefined ? outer : `(${outer}\n) && (${condition}\n)`;
  }

  #path(path: Path): Path {
    const { id, path: at } = this.#call;
    return path[0] === 'finally' ? [...calledAtEnd(id), ...path] : [...calledPath(at), ...path];
  }

  #needs(needs: Needs): NeedFile[] {
    const { step } = this.#call.renaming;
    return asList<NeedFile>(needs).map((need) =>
      typeof need === 'string' ? step(need) : { ...need, step: step(need.step) },
    );
  }

  #target({ role, who }: Target): Target {
    return { role: this.#call.renaming.role(role), who };
  }

  /** Two roles of the called pipeline may be one here. */
  #targets(on: readonly Target[]): readonly Target[] {
    const targets = on.map((target) => this.#target(target));
    const keys = targets.map(({ role, who }) => `${role}.${who}`);
    return targets.filter((_, index) => keys.indexOf(keys[index] ?? '') === index);
  }
}
