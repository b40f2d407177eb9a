/** A plan for people: who takes part, in which order, what each step waits for, and how many go down at once. */
import type { Plan } from '../resources.ts';
import { type Line, line, type Span, span } from './line.ts';
import { foldNames } from './node-names.ts';
import { type Cell, formatTable } from './table.ts';

const excludedShownMax = 8;
const nodesText = (names: readonly string[]): string => (names.length === 0 ? '(none)' : foldNames(names));
const plural = (count: number, word: string): string => `${count} ${word}${count === 1 ? '' : 's'}`;

function drawRoles({ roles }: Plan): Line[] {
  const rows = roles.map(({ name, nodes, leader, waits }): Cell[] => [
    [span('  '), span(name, 'strong')],
    nodesText(nodes),
    String(nodes.length),
    leader ?? '',
    waits ? [span('waits for more nodes', 'warn')] : '',
  ]);
  const table = formatTable(
    [
      { head: '  ROLE' },
      { head: 'NODES' },
      { head: 'COUNT', align: 'right' },
      { head: 'LEADER' },
      { head: 'REMARK' },
    ],
    rows,
  );
  const excluded = roles.flatMap(({ name, excluded: out }) => {
    // Nodes that are out for the same reason share a line.
    const byReason = new Map<string, string[]>();
    for (const { node, reason } of out) byReason.set(reason, [...(byReason.get(reason) ?? []), node]);
    const lines = [...byReason].map(([reason, nodes]) =>
      line(`  not in ${name}: ${foldNames(nodes)}: ${reason}`, 'dim'),
    );
    const more = lines.length - excludedShownMax;
    return more > 0
      ? [
          ...lines.slice(0, excludedShownMax),
          line(`  not in ${name}: ${more} more reasons (-o json shows all)`, 'dim'),
        ]
      : lines;
  });
  return [...table, ...excluded];
}

type PlannedUnit = Plan['units'][number];

/** The worst case of one rolling unit, in total and per failure domain. */
function describeDown({ strategy, downMax, domains }: PlannedUnit): Line[] {
  if (strategy !== 'rolling') return [];
  const parts = domains.map(
    ({ domain, nodes, downMax: most }) => `${domain} ${most} of ${nodes.length} (${nodesText(nodes)})`,
  );
  const byDomain = parts.length === 0 ? '' : `; at most per failure domain: ${parts.join(', ')}`;
  return [[span('down at once: ', 'dim'), span(plural(downMax, 'node'), 'strong'), span(byDomain)]];
}

function drawUnit(unit: PlannedUnit, ordinal: string): Line[] {
  const { id, kind, title, strategy, approve, steps, waves } = unit;
  const indent = ' '.repeat(ordinal.length + 2);
  const nodes = [...new Set(steps.flatMap((step) => step.nodes))];
  const head: Span[] = [
    span(`${ordinal}  `, 'dim'),
    span(id, 'strong'),
    ...(kind === 'group' ? [span(` (group of ${steps.length})`)] : []),
    ...(strategy === 'rolling' ? [span(', rolling', 'busy')] : []),
    ...(title === null ? [] : [span(`  ${title}`, 'dim')]),
    span(`  ${nodesText(nodes)}`),
  ];
  const details: Line[] = [];
  if (approve !== null) details.push([span('waits for approval: ', 'warn'), span(approve)]);
  const [first] = steps;
  if (kind === 'step' && first !== undefined)
    for (const gate of first.gates) details.push([span('after ', 'dim'), span(gate)]);
  if (kind === 'group')
    for (const step of steps) {
      const where = step.nodes.length === nodes.length ? '' : `  ${nodesText(step.nodes)}`;
      details.push([
        span(`· ${step.id}`),
        span(where),
        ...(step.gates.length === 0 ? [] : [span(`  after ${step.gates.join('; ')}`, 'dim')]),
      ]);
    }
  if (strategy === 'rolling' && waves.length > 1)
    waves.forEach((wave, index) => {
      details.push([span(`wave ${index + 1}: `, 'dim'), span(`${nodesText(wave)} (${wave.length})`)]);
    });
  details.push(...describeDown(unit));
  return [head, ...details.map((detail): Line => [span(indent), ...detail])];
}

/** Rolling units promise how much goes down; what the others do to their nodes only their scripts know. */
function drawWorst({ units }: Plan): Line {
  const rolling = units.filter(({ strategy }) => strategy === 'rolling');
  const parallel = units.filter(({ strategy }) => strategy === 'parallel');
  const most = (list: readonly PlannedUnit[]): number => Math.max(0, ...list.map(({ downMax }) => downMax));
  const parts: Span[] = [];
  if (rolling.length > 0)
    parts.push(
      span(`at most ${plural(most(rolling), 'node')} down at once`, 'strong'),
      span(' in rolling steps'),
    );
  if (parallel.length > 0)
    parts.push(
      span(
        `${rolling.length > 0 ? '; the others work' : 'no rolling steps: they work'} on up to ${plural(most(parallel), 'node')} at once`,
      ),
    );
  return [span('Worst case: '), ...parts];
}

/** Everything but the warnings, which go where diagnostics go. */
export function drawPlan(plan: Plan): Line[] {
  const nodes = new Set(plan.roles.flatMap((role) => role.nodes));
  const steps = plan.units.reduce((sum, unit) => sum + unit.steps.length, 0);
  const ordinalColumns = String(plan.units.length).length;
  const told = ` on cluster ${plan.cluster}: ${plural(steps, 'step')} on ${plural(nodes.size, 'node')}`;
  return [
    [span(plan.pipeline, 'strong'), span(told)],
    [],
    ...drawRoles(plan),
    [],
    ...plan.units.flatMap((unit, index) => drawUnit(unit, String(index + 1).padStart(ordinalColumns + 2))),
    [],
    drawWorst(plan),
    ...(plan.faults.length === 0 ? [] : [[], line('It would not be accepted:', 'bad')]),
    ...plan.faults.map((fault) => line(`  ${fault}`)),
  ];
}
