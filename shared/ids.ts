/**
 * How runs, jobs and attempts are named. An id says what it names, so that a line in a log, a file on a
 * node and an event in the journal can be put together by eye: `r17/configure/n1#2` is the second attempt
 * of step `configure` for node `n1` in run 17.
 */

/** Node names, step ids, role, param and output names are safe in paths, URLs and shell words. */
export const nodeNamePattern = /^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/;
export const stepIdPattern = /^[a-z][a-z0-9-]{0,62}(\.verify)?$/;
/** The part before the dot: what a file may call a step or a group. `<group>.verify` is made from it. */
export const stepNamePattern = /^[a-z][a-z0-9-]{0,62}$/;
export const identifierPattern = /^[A-Za-z_][A-Za-z0-9_]{0,62}$/;
export const digestPattern = /^sha256:[0-9a-f]{64}$/;

export const runIdOf = (number: number): string => `r${number}`;

export const jobIdOf = (run: string, step: string, node: string): string => `${run}/${step}/${node}`;

export const attemptIdOf = (job: string, attempt: number): string => `${job}#${attempt}`;

export type AttemptName = {
  readonly run: string;
  readonly step: string;
  readonly node: string;
  readonly job: string;
  readonly attempt: number;
};

export const attemptIdPattern = /^(r[1-9][0-9]*)\/([a-z][a-z0-9.-]*)\/([a-z0-9][a-z0-9.-]*)#([1-9][0-9]*)$/;

/** The parts of an attempt id, or undefined when it is not one. */
export function parseAttemptId(id: string): AttemptName | undefined {
  const match = attemptIdPattern.exec(id);
  const [, run, step, node, attempt] = match ?? [];
  if (run === undefined || step === undefined || node === undefined || attempt === undefined)
    return undefined;
  return { run, step, node, job: jobIdOf(run, step, node), attempt: Number(attempt) };
}
