/**
 * A pipeline between its file and its model: each step with what is known of it so far and with its place in the
 * file. A step that the schema refused is there too, without contents, so that one wrong key does not make
 * everything that refers to the step wrong as well.
 */
import type { MemberStepFile } from './language.ts';
import type { AftermathPart, Need, OutputDeclaration, Strategy, Target, Task, Window } from './model.ts';
import type { Path } from './source.ts';
import type { Policy } from './work.ts';

export type DraftStep = {
  readonly id: string;
  readonly path: Path;
  /** Absent: refused by the schema, or the `verify` of a group. */
  readonly file?: MemberStepFile;
  readonly broken: boolean;
  readonly runOn?: Target;
  readonly scope?: { readonly role: string };
  readonly unit: DraftUnit;
  readonly tasks: readonly DraftTask[];
  readonly outputs: Readonly<Record<string, OutputDeclaration>>;
  readonly policy: Policy;
  /** Why a node, or all, may have no outputs of it. */
  readonly skippable?: string;
  readonly part?: AftermathPart;
};

export type DraftTask = {
  readonly task: Task;
  readonly policy: Policy;
  /** Where its `if` and `uses` stand. */
  readonly path: Path;
};

export type DraftUnit = {
  readonly id: string;
  readonly kind: 'step' | 'group';
  readonly path: Path;
  readonly on: readonly Target[];
  readonly strategy: Strategy;
  readonly title?: string;
  readonly if?: string;
  readonly approve?: string;
  readonly window?: Window;
  readonly needs?: MemberStepFile['needs'];
  /** What it needs besides, because the call that it comes from does, and where that is said. */
  readonly entry?: { readonly needs: NonNullable<MemberStepFile['needs']>; readonly path: Path };
  /** Ids of the calls that it comes from, the outermost first. */
  readonly calls?: readonly string[];
  /** Filled while the unit is read. */
  readonly steps: DraftStep[];
};

/** It is run at the end, whatever became of the others. */
export const isFinally = ({ path }: Pick<DraftUnit, 'path'>): boolean => path[0] === 'finally';

/** A need with its place, before and after the name was looked up. */
export type DraftNeed = Need & { readonly path: Path };

/** It runs on one node: what it puts out can be read without naming the node. */
export const isOnLeader = (on: readonly Target[]): boolean => on.length === 1 && on[0]?.who === 'leader';

/** Each node of `some` is among those of `whole`, as far as the roles tell. */
export const covers = (whole: readonly Target[], some: readonly Target[]): boolean =>
  some.every(({ role, who }) =>
    whole.some((target) => target.role === role && (target.who === 'all' || target.who === who)),
  );

/** Who waits for the unit waits for the last of its steps, and for the last of those that are done after them. */
export function endsOf({ steps }: DraftUnit): readonly string[] {
  const last = steps.findLast(({ part }) => part === undefined);
  const after = steps.findLast(({ part }) => part !== undefined);
  return [last, after].flatMap((step) => (step === undefined ? [] : [step.id]));
}

/** A need as it is written. */
export type NeedFile = string | { step: string; same?: 'node' | undefined };

/** For a step whose id is missing: no file can contain it, as ids have neither "?" nor ".". */
export const missingId = (path: Path): string => `?${path.join('.')}`;
export const isWrittenId = (id: string): boolean => !id.startsWith('?');
