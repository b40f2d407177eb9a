/**
 * Waits that never end although no step waits for itself. Nodes go through a bounded group (rolling, or with
 * `maxParallel`) a few at a time, so a step in it cannot wait for all nodes of the group; and to wait for any
 * step of such a group is to wait for the whole of it, as other nodes get in only when some have come out.
 */
import type { DraftNeed, DraftUnit } from './draft.ts';
import type { Report } from './report.ts';

/** Between wholes: bounded groups, and steps that are in none. */
type Edge = Pick<DraftNeed, 'sameNode' | 'path'> & { readonly from: string; readonly to: string };

const isBounded = ({ kind, strategy }: DraftUnit): boolean =>
  kind === 'group' && (strategy.kind === 'rolling' || strategy.maxParallel !== undefined);

export function reportDeadlocks(
  units: readonly DraftUnit[],
  needs: ReadonlyMap<string, readonly DraftNeed[]>,
  report: Report,
): void {
  const groups = new Set(units.filter(isBounded).map(({ id }) => id));
  if (groups.size === 0) return;
  const wholes = new Map<string, string>();
  for (const unit of units)
    for (const { id } of unit.steps) wholes.set(id, groups.has(unit.id) ? unit.id : id);
  const edges: Edge[] = [];
  for (const [id, list] of needs) {
    const from = wholes.get(id) ?? id;
    for (const need of list) {
      const to = wholes.get(need.step) ?? need.step;
      if (from !== to) {
        edges.push({ from, to, sameNode: need.sameNode, path: need.path });
      } else if (!need.sameNode) {
        const message = `this never opens: it waits for all nodes in ${need.step}, but nodes go through ${from} a few at a time`;
        report.at(need.path, message, { expected: `{ step: ${need.step}, same: node }, or two groups` });
      }
    }
  }
  const reported = new Set<string>();
  for (const group of groups) if (!reported.has(group)) reportCircle(group, groups, edges, reported, report);
}

function reportCircle(
  group: string,
  groups: ReadonlySet<string>,
  edges: readonly Edge[],
  reported: Set<string>,
  report: Report,
): void {
  const forth = reachable(
    group,
    edges,
    ({ from }) => from,
    ({ to }) => to,
  );
  const back = reachable(
    group,
    edges,
    ({ to }) => to,
    ({ from }) => from,
  );
  const together = new Set([...forth.keys()].filter((id) => back.has(id)));
  const inner = edges.filter(({ from, to }) => together.has(from) && together.has(to));
  const barriers = inner.filter(({ sameNode }) => !sameNode);
  // One node at a time can go round by itself, unless it has to get into two groups.
  const several = [...together].filter((id) => groups.has(id)).length > 1;
  const edge =
    barriers.find(({ from }) => groups.has(from)) ?? barriers[0] ?? (several ? inner[0] : undefined);
  if (edge === undefined) return;
  for (const id of together) reported.add(id);
  const circle = [edge.from, ...wayBetween(edge.to, edge.from, inner)].join(' → ');
  report.at(
    edge.path,
    `this never opens: ${circle} wait for each other, as nodes go through a group a few at a time`,
    {
      expected: 'needs that lead out of the group, or two groups',
    },
  );
}

type End = (edge: Edge) => string;

/** What can be reached, each with what it was reached from. */
function reachable(start: string, edges: readonly Edge[], near: End, far: End): ReadonlyMap<string, string> {
  const next = Map.groupBy(edges, near);
  const reached = new Map<string, string>();
  const queue = [start];
  for (const at of queue) {
    for (const edge of next.get(at) ?? []) {
      const to = far(edge);
      if (reached.has(to)) continue;
      reached.set(to, at);
      queue.push(to);
    }
  }
  return reached;
}

function wayBetween(start: string, end: string, edges: readonly Edge[]): readonly string[] {
  if (start === end) return [start];
  const from = reachable(
    start,
    edges,
    (edge) => edge.from,
    (edge) => edge.to,
  );
  const way = [end];
  for (let at = from.get(end); at !== undefined && at !== start; at = from.get(at)) way.unshift(at);
  return [start, ...way];
}
