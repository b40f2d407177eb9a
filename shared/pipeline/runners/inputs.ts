/** What runners are given beside what the step says, evaluated like any `with` when a job is granted. */
import type { DraftStep, DraftUnit } from '../draft.ts';
import type { Step, TemplateValue } from '../model.ts';

type Values = Pick<Step, 'with' | 'provides'>;

export function withRunnerInputs(
  units: readonly DraftUnit[],
  values: ReadonlyMap<string, Values>,
  roles: readonly string[],
): ReadonlyMap<string, Values> {
  const given = new Map(values);
  for (const step of units.flatMap(({ steps }) => steps)) {
    if (!step.tasks.some(({ task }) => task.runner === 'ansible')) continue;
    const own = values.get(step.id) ?? { with: {} };
    given.set(step.id, { ...own, with: { ...own.with, lockstep_ansible: inventoryOf(step, own, roles) } });
  }
  return given;
}

/**
 * Names, labels and addresses of the hosts of the playbook, in the same order; which of them are in which role: a list
 * of names, or whether all are; and which of the values stand in `with`.
 */
function inventoryOf(step: DraftStep, own: Values, roles: readonly string[]): TemplateValue {
  const isOfRole = step.scope !== undefined;
  const hosts = isOfRole ? 'targets' : step.runOn === undefined ? '[node]' : '[target]';
  const isRemote = isOfRole || step.runOn !== undefined;
  const subject = step.runOn === undefined ? 'node' : 'target';
  // Of one host the names of all others need not be told.
  const membersOf = (role: string): string =>
    isOfRole
      ? `roles.${role}.nodes.map(n, n.name)`
      : `roles.${role}.nodes.exists(n, n.name == ${subject}.name)`;
  const template = {
    names: `\${{ ${hosts}.map(n, n.name) }}`,
    labels: `\${{ ${hosts}.map(n, n.labels) }}`,
    addresses: isRemote ? `\${{ ${hosts}.map(n, addressOf(n, node)) }}` : [],
    groups: Object.fromEntries(roles.map((role) => [role, `\${{ ${membersOf(role)} }}`])),
    given: Object.keys(own.with),
  };
  return { template, secret: false };
}
