/** Which nodes that are expected would be in which role. Of a machine that is not there labels are known and no facts. */
import { present } from '../../shared/assert.ts';
import { evaluateSelector } from '../../shared/expressions/evaluate.ts';
import type { Pipeline, RoleDeclaration } from '../../shared/pipeline/model.ts';
import { unmetExpectations } from './expected-nodes.ts';
import { compareNames } from './order.ts';
import type { State } from './state.ts';
import { clusterOf } from './state.ts';

/** Roles in an order in which each comes after those it excepts; the file was checked to have no cycle. */
export function inOrder(pipeline: Pipeline): readonly RoleDeclaration[] {
  const ordered: RoleDeclaration[] = [];
  const visit = (role: RoleDeclaration): void => {
    if (ordered.includes(role)) return;
    for (const name of role.except) visit(present(pipeline.roles[name], `role ${name}`));
    ordered.push(role);
  };
  for (const role of Object.values(pipeline.roles)) visit(role);
  return ordered;
}

/** By role, in order of names; also nodes that wait for another machine. What may fit once its facts are known counts. */
export function awaitedByRole(
  state: State,
  pipeline: Pipeline,
  cluster: string,
  limit: string | null,
): ReadonlyMap<string, readonly string[]> {
  const vacant = [...state.nodes.values()].filter(
    (node) => node.vacancy !== null && clusterOf(node) === cluster,
  );
  const candidates = [
    ...unmetExpectations(state, cluster).map(({ node: name, labels }) => ({ name, labels })),
    ...vacant.map(({ name, labels }) => ({ name, labels })),
  ].sort((a, b) => compareNames(a.name, b.name));
  const roles = new Map<string, readonly string[]>();
  for (const role of inOrder(pipeline)) {
    // Which nodes a role with a count takes is only known when they are there.
    const elsewhere = new Set(
      role.except.flatMap((name) =>
        pipeline.roles[name]?.count === undefined ? (roles.get(name) ?? []) : [],
      ),
    );
    const texts = limit === null ? [role.select] : [role.select, limit];
    const fits = candidates.filter(
      ({ name, labels }) => !elsewhere.has(name) && texts.every((text) => mayFit(text, name, labels)),
    );
    roles.set(
      role.name,
      fits.map(({ name }) => name),
    );
  }
  return roles;
}

function mayFit(text: string, name: string, labels: Readonly<Record<string, string>>): boolean {
  const result = evaluateSelector(text, { name, labels, facts: {} });
  return result.ok && (result.value || result.missing.some((path) => path.startsWith('facts.')));
}
