/** How many secrets a run is going to make, so that one which the store cannot hold is refused before it begins. */
import { limits } from '../../shared/limits.ts';
import type { Pipeline, Step } from '../../shared/pipeline/model.ts';
import type { SecretRoom } from './commands.ts';
import { linesOf } from './layout.ts';
import type { RoleState } from './run-parts.ts';
import type { Selection } from './selection.ts';

const wholeSecret =
  /^\$\{\{\s*(?:params|steps(?:\.([a-z][a-z0-9-]*)|\["([a-z][a-z0-9.-]*)"\])\.outputs)\.([A-Za-z_]\w*)\s*\}\}$/;

/**
 * Which param, or which output of a step, a template hands on as it is: then it keeps its reference, and thousands of
 * nodes need no copies of one token. Undefined for a value that is composed, which is another secret.
 */
export function handedOn(template: unknown): { readonly step?: string; readonly name: string } | undefined {
  const [, field, index, name] = typeof template === 'string' ? (wholeSecret.exec(template) ?? []) : [];
  const step = field ?? index;
  if (name === undefined) return undefined;
  return step === undefined ? { name } : { step, name };
}

const secretsPerNode = (step: Step): number =>
  Object.values(step.with).filter(({ secret, template }) => secret && handedOn(template) === undefined)
    .length + Object.values(step.outputs).filter(({ secret }) => secret).length;

/** Why the secrets that the run makes do not fit, counting one attempt of each job. */
export function faultsOfSecretNeed(
  pipeline: Pipeline,
  { roles: selected }: Selection,
  room: SecretRoom,
): readonly string[] {
  const roles = new Map<string, RoleState>();
  for (const [name, { nodes }] of selected) roles.set(name, { name, nodes, leader: nodes[0] ?? null });
  const lineOf = linesOf(roles);
  let count = 0;
  for (const step of pipeline.units.flatMap((unit) => unit.steps)) {
    const perNode = secretsPerNode(step);
    if (perNode > 0) count += perNode * lineOf(step.on).nodes.length;
  }
  if (count <= room.count) return [];
  return [
    `the run would make ${count} secrets (values composed for each node, secret outputs), and there is room for ` +
      `${Math.max(0, room.count)} (secretsMax is ${limits.secretsMax}): hand secrets on as they are, or split the ` +
      'run with --limit; those of a run go when it has ended',
  ];
}
