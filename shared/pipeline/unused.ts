/** Params and roles that nothing uses: most often a name that was changed in one place only. */
import type { DraftStep, DraftUnit } from './draft.ts';
import type { ParamDeclaration, RoleDeclaration } from './model.ts';
import type { Report } from './report.ts';

type Used = { readonly params: ReadonlySet<string>; readonly roles: ReadonlySet<string> };

export function reportUnused(
  params: ReadonlyMap<string, ParamDeclaration>,
  roles: ReadonlyMap<string, RoleDeclaration>,
  units: readonly DraftUnit[],
  used: Used,
  report: Report,
): void {
  const steps = units.flatMap((unit) => unit.steps);
  for (const [name, { secret }] of params) {
    if (
      used.params.has(name) ||
      used.params.has('*') ||
      (!secret && steps.some((step) => mayRead(step, name)))
    )
      continue;
    report.warnKey(['params', name], `nothing uses the param ${name}`);
  }
  const scopes = steps.flatMap(({ scope }) => scope?.role ?? []);
  const targets = new Set([...units.flatMap(({ on }) => on.map(({ role }) => role)), ...scopes]);
  const excepted = new Set([...roles.values()].flatMap(({ except }) => except));
  for (const name of roles.keys()) {
    if (targets.has(name) || excepted.has(name) || used.roles.has(name) || used.roles.has('*')) continue;
    report.warnKey(['roles', name], `nothing runs on the role ${name}`);
  }
}

/** Scripts of a step see every param that is not secret, in the environment and in a file; other files may read it. */
function mayRead({ tasks }: DraftStep, name: string): boolean {
  return tasks.some(({ task }) => {
    if (task.source !== undefined || task.params !== undefined) return false;
    if (task.bundle !== undefined) return true;
    const texts = [task.check?.text, task.run?.text, task.verify?.script.text];
    return texts.some(
      (text) =>
        text?.includes(`PARAM_${name.toUpperCase()}`) === true || text?.includes('LOCKSTEP_PARAMS') === true,
    );
  });
}
