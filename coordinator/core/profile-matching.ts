/** Which profiles apply to a node. */
import type { Profile } from './profiles.ts';
import type { Node, Run } from './state.ts';

/** `hasRole` is asked only for profiles of roles. */
export function matches(
  { where }: Pick<Profile, 'where'>,
  node: Pick<Node, 'labels'>,
  hasRole: (role: string) => boolean,
): boolean {
  for (const [key, values] of Object.entries(where.labels)) {
    const label = Object.hasOwn(node.labels, key) ? node.labels[key] : undefined;
    if (label === undefined || !values.includes(label)) return false;
  }
  return where.roles === null || where.roles.some(hasRole);
}

/** Whether a node has a role in a run. */
export const hasRoleIn =
  (run: Run, node: Node) =>
  (role: string): boolean =>
    run.roles.get(role)?.nodes.includes(node.name) ?? false;
