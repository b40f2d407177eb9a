/** From steps and groups as drafts to those of the model: needs, values and policy filled in. */
import { limits } from '../limits.ts';
import { type DraftStep, type DraftTask, type DraftUnit, isFinally } from './draft.ts';
import { parseDuration } from './duration.ts';
import type { Need, RerunClass, Step, Unit, Window } from './model.ts';
import type { Order } from './order.ts';
import type { Report } from './report.ts';
import type { Path } from './source.ts';
import { deferralOf, reportRerun, rerunOf, timeoutOf } from './work.ts';

export function buildUnit(
  draft: DraftUnit,
  order: Order,
  values: ReadonlyMap<string, Pick<Step, 'with' | 'provides'>>,
  report: Report,
  windowOfAll: Window | undefined,
): Unit {
  const { id, kind, title, on, approve, strategy } = draft;
  const window = isFinally(draft) ? undefined : (draft.window ?? windowOfAll);
  return {
    id,
    kind,
    ...(title === undefined ? {} : { title }),
    on,
    ...(approve === undefined ? {} : { approve }),
    strategy,
    ...(window === undefined ? {} : { window }),
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
