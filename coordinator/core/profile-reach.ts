/** Whether profiles give a param that has no other value to every node of a run that is to be. */
import { matches } from './profile-matching.ts';
import type { Selection } from './selection.ts';
import type { State } from './state.ts';

export const isGivenByProfile = ({ profiles }: State, name: string): boolean =>
  [...profiles.values()].some(({ params }) => Object.hasOwn(params, name));

const namedMax = 5;

/** Why a node would have no value. Nodes that are not known yet are judged when they get their jobs. */
export function faultOfProfiles(
  state: State,
  name: string,
  selection: Selection | undefined,
): string | undefined {
  const giving = [...state.profiles.values()].filter(({ params }) => Object.hasOwn(params, name));
  const roles = [...(selection?.roles ?? [])];
  const lacking = new Set(roles.flatMap(([, { nodes }]) => nodes));
  for (const of of lacking) {
    const node = state.nodes.get(of);
    if (node === undefined) continue;
    const hasRole = (role: string): boolean => selection?.roles.get(role)?.nodes.includes(of) ?? false;
    if (node.params.has(name) || giving.some((profile) => matches(profile, node, hasRole)))
      lacking.delete(of);
  }
  if (lacking.size === 0) return undefined;
  const nodes = [...lacking].slice(0, namedMax).join(', ') + (lacking.size > namedMax ? ', …' : '');
  const profiles = giving.map(({ profile }) => profile).join(', ');
  return `param ${name} has no value on ${nodes}: only profiles give it (${profiles}), and none of them matches there`;
}
