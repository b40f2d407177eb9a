/** A plan for people: who takes part, in which order, what each step waits for, and how many go down at once. */
import type { Plan } from '../resources.ts';
import { type Line, line, type Span, span } from './line.ts';
import { foldNames } from './node-names.ts';
import { type Cell, formatTable } from './table.ts';

const excludedShownMax = 8;
const nodesText = (names: readonly string[]): string => (names.length === 0 ? '(none)' : foldNames(names));
const plural = (count: number, word: string): string => `${count} ${word}${count === 1 ? '' : 's'}`;

const waitsText = (expected: readonly string[]): string =>
  `waits for more nodes${expected.length === 0 ? '' : `; expected: ${foldNames(expected)}`}`;

function drawRoles({ roles }: Plan): Line[] {
  const anyWaits = roles.some(({ waits }) => waits);
  const table = formatTable(
    [
      { head: 'ROLE' },
      { head: 'NODES' },
      { head: 'COUNT', align: 'right' },
      { head: 'LEADER' },
      ...(anyWaits ? [{ head: 'REMARK' }] : []),
    ],
    roles.map(({ name, nodes, leader, waits, expected }): Cell[] => [
      [span(name, 'strong')],
      nodesText(nodes),
      String(nodes.length),
      leader ?? '',
      ...(anyWaits ? [waits ? [span(waitsText(expected), 'warn')] : ''] : []),
    ]),
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

type Row = { readonly cells: readonly Cell[]; readonly below: readonly Line[] };

/** A step, or the heading of a group with its steps; waves and the worst case stand below. */
function rowsOf(unit: PlannedUnit, ordinal: string): Row[] {
  const { id, kind, strategy, steps, waves } = unit;
  const nodes = [...new Set(steps.flatMap((step) => step.nodes))];
  const name: Line = [
    span(`${ordinal}  `, 'dim'),
    span(id, 'strong'),
    ...(strategy === 'rolling' ? [span(' rolling', 'busy')] : []),
  ];
  const indent = ' '.repeat(ordinal.length + 4);
  const below: Line[] = [];
  if (strategy === 'rolling' && waves.length > 1)
    waves.forEach((wave, index) => {
      below.push([span(`wave ${index + 1}: `, 'dim'), span(`${nodesText(wave)} (${wave.length})`)]);
    });
  below.push(...describeDown(unit));
  const last = below.map((content): Line => [span(indent), ...content]);
  const gatesText = (gates: readonly string[]): string => gates.join('; ');
  // Below a step stands what is done after it.
  const [first, ...after] = steps;
  const inside = kind === 'step' ? after : steps;
  return [
    {
      cells: [name, nodesText(nodes), kind === 'step' ? gatesText(first?.gates ?? []) : [span('')]],
      below: inside.length === 0 ? last : [],
    },
    ...inside.map(
      (step, index): Row => ({
        cells: [[span(`${indent}${step.id}`)], nodesText(step.nodes), gatesText(step.gates)],
        below: index === inside.length - 1 ? last : [],
      }),
    ),
  ];
}

function drawUnits({ units }: Plan): Line[] {
  const columns = String(units.length).length;
  const rows = units.flatMap((unit, index) => rowsOf(unit, String(index + 1).padStart(columns)));
  const head = `${' '.repeat(columns + 2)}STEP`;
  const [heads = [], ...table] = formatTable(
    [{ head }, { head: 'NODES' }, { head: 'WAITS FOR' }],
    rows.map(({ cells }) => cells),
  );
  return [heads, ...table.flatMap((content, index) => [content, ...(rows[index]?.below ?? [])])];
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
  const told = ` on cluster ${plan.cluster}: ${plural(steps, 'step')} on ${plural(nodes.size, 'node')}`;
  return [
    [span(plan.pipeline, 'strong'), span(told)],
    [],
    ...drawRoles(plan),
    [],
    ...drawUnits(plan),
    [],
    drawWorst(plan),
    ...(plan.faults.length === 0 ? [] : [[], line('It would not be accepted:', 'bad')]),
    ...plan.faults.map((fault) => line(`  ${fault}`)),
  ];
}
