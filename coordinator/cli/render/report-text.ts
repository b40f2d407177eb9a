/**
 * A report as Markdown, to be kept beside a change request: readable as it is, and in whatever renders it. Words
 * of others (titles, reasons, values) are made harmless for a terminal and for a table.
 */
import type { Report } from '../resources.ts';
import { deferralText } from './deferral-text.ts';
import { harmless } from './line.ts';
import { type Section, table } from './markdown.ts';
import { formatBytes, formatDuration, inLocalTime } from './measures.ts';
import { countedNames, foldNames } from './node-names.ts';
import { kindText, personOf, valueText, when } from './report-words.ts';

export function writeReport(report: Report): string {
  const sections = [
    head(report),
    nodes(report),
    steps(report),
    order(report),
    deviations(report),
    approvals(report),
    lastSteps(report),
    outputs(report),
    missing(report),
  ];
  return `${sections
    .filter(({ body }) => body.length > 0)
    .map(({ title, body }) => [title, '', ...body].join('\n'))
    .join('\n\n')}\n`;
}

function head(report: Report): Section {
  const title = report.title === null ? '' : `: ${harmless(report.title)}`;
  const ended = report.finishedAt === null ? 'not ended yet' : when(report.finishedAt);
  const took = report.tookMs === null ? '' : `, ${formatDuration(report.tookMs)}`;
  const rows: (readonly [string, string])[] = [
    ['outcome', `**${report.state}**${because(report.reason)}`],
    ['pipeline', `${report.pipeline}${title}`],
    ['revision', report.pipelineDigest ?? 'not known any more'],
    ...Object.entries(report.modules).map(([name, digest]) => [`module ${name}`, digest] as const),
    ['plan', report.digest === '' ? 'not planned' : report.digest],
    ['cluster', report.cluster],
    ['started by', personOf(report.by)],
    ['from', when(report.startedAt ?? report.createdAt)],
    ['until', `${ended}${took}`],
    ['times are of', Intl.DateTimeFormat().resolvedOptions().timeZone],
    ...(report.limit === null ? [] : [['limited to', report.limit] as const]),
    ...(report.checkOnly ? [['only checked', 'nothing was changed'] as const] : []),
    ...report.params.map(
      ({ name, from, value, secret }) =>
        [
          `param ${name}`,
          `${secret === null ? valueText(value) : `secret ${secret}`}${from === null ? '' : ` (${from})`}`,
        ] as const,
    ),
  ];
  return {
    title: `# Run ${report.run} of ${report.pipeline}: ${report.state}`,
    body: table(['', ''], rows),
  };
}

const because = (reason: string | null): string =>
  reason === null || reason === '' ? '' : `: ${inLocalTime(reason)}`;

/** Nodes of one kind and role in one row. */
function nodes(report: Report): Section {
  const rows = new Map<string, { readonly cells: readonly string[]; readonly names: string[] }>();
  for (const node of report.nodes) {
    const { kind } = node;
    const cells = [
      node.roles.join(', '),
      kind?.platform ?? '',
      [kind?.system, kind?.architecture].filter((word) => word != null).join(' '),
      kind?.kernel ?? '',
      kind?.agent ?? '',
      kind?.memoryBytes == null ? '' : `${kind.threads ?? '?'} CPUs, ${formatBytes(kind.memoryBytes)}`,
      kind === null || node.became === null ? '' : kindText(kind, node.became),
    ];
    const key = cells.join('\0');
    const row = rows.get(key) ?? { cells, names: [] };
    row.names.push(node.name);
    rows.set(key, row);
  }
  const leaders = report.nodes.flatMap(({ name, leads }) => leads.map((role) => `${name} leads ${role}.`));
  return {
    title: '## Nodes',
    body: [
      ...table(
        ['nodes', 'role', 'platform', 'system', 'kernel', 'agent', 'size', 'became'],
        [...rows.values()].map(({ cells, names }) => [countedNames(names), ...cells]),
      ),
      ...(leaders.length > 0 ? ['', leaders.join(' ')] : []),
    ],
  };
}

const countsText = ({ counts, unchanged }: Report['steps'][number]): string =>
  [
    ...Object.entries(counts).map(([state, count]) => `${count} ${state}`),
    ...(unchanged > 0 ? [`${unchanged} had nothing to do`] : []),
  ].join(', ');

const durationText = (ms: number | null): string => (ms === null ? '' : formatDuration(ms));

const stepTable = (steps: Report['steps']): string[] =>
  table(
    ['step', 'on', 'jobs', 'from', 'took', 'median', 'slowest nodes'],
    steps.map((step) => [
      step.title === null ? step.id : `${step.id}: ${step.title}`,
      step.on.join(', '),
      countsText(step),
      step.startedAt === null ? '' : when(step.startedAt),
      durationText(step.tookMs),
      durationText(step.medianMs),
      step.slowest.map(({ node, durationMs }) => `${node} ${formatDuration(durationMs)}`).join(', '),
    ]),
  );

const steps = (report: Report): Section => ({
  title: '## Steps, in order',
  body: stepTable(report.steps.filter(({ last }) => !last)),
});

const lastSteps = (report: Report): Section => ({
  title: '## Last steps',
  body: stepTable(report.steps.filter(({ last }) => last)),
});

/** Waves and slots of rolling steps. */
function order(report: Report): Section {
  const waves = report.waves.map(({ at, unit, wave, nodes: members }) => ({
    at,
    row: [when(at), unit, `wave ${wave}`, countedNames(members), ''],
  }));
  const slots = report.slots.map(({ at, until, unit, node }) => ({
    at,
    row: [
      when(at),
      unit,
      'slot',
      node,
      until === null ? 'still held' : formatDuration(Date.parse(until) - Date.parse(at)),
    ],
  }));
  const rows = [...waves, ...slots].sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
  const { slots: more } = report.leftOut;
  return {
    title: '## Waves and slots',
    body: [
      ...table(
        ['at', 'step', '', 'nodes', 'held for'],
        rows.map(({ row }) => row),
      ),
      ...(more > 0 ? ['', `And ${more} slots more.`] : []),
    ],
  };
}

function deviations(report: Report): Section {
  const rows = report.deviations.map(({ at, until, step, node, sentence, by }) => [
    when(at),
    step ?? '',
    node ?? '',
    `${inLocalTime(sentence)}${until === null ? '' : ` (for ${formatDuration(Date.parse(until) - Date.parse(at))})`}`,
    by === null ? '' : personOf(by),
  ]);
  const out = report.nodes.filter((node) => node.out !== null).map(({ name }) => name);
  const deferred = (wanted: (one: Report['deferred'][number]) => boolean): string[] =>
    report.deferred.filter(wanted).map(({ step, node }) => `${step} on ${node}`);
  const due = deferred((one) => !one.overdue && one.late !== true && one.supersededBy === undefined);
  const late = deferred((one) => one.late === true);
  const overdue = deferred((one) => one.overdue);
  const successors = [...new Set(report.deferred.flatMap(({ supersededBy }) => supersededBy ?? []))];
  const notes = [
    ...(out.length > 0 ? [`Without a further part in the run: ${foldNames(out)}.`] : []),
    ...(report.deferral === undefined ? [] : [`${deferralText(report.deferral)}.`]),
    ...(late.length > 0 ? [`Deferred, and done later: ${late.join(', ')}.`] : []),
    ...(due.length > 0 ? [`Deferred, still to be done: ${due.join(', ')}.`] : []),
    ...(overdue.length > 0 ? [`Overdue, not done in time: ${overdue.join(', ')}.`] : []),
    ...successors.map(
      (by) => `Superseded by run ${by}: ${deferred(({ supersededBy }) => supersededBy === by).join(', ')}.`,
    ),
    ...(report.leftOut.deviations > 0 ? [`And ${report.leftOut.deviations} deviations more.`] : []),
  ];
  const told = table(['at', 'step', 'node', 'what', 'by'], rows);
  return {
    title: '## Deviations',
    body: told.length + notes.length === 0 ? ['None.'] : [...told, ...notes.flatMap((note) => ['', note])],
  };
}

const approvals = (report: Report): Section => ({
  title: '## Approvals',
  body: table(
    ['step', 'question', 'answer', 'by', 'at', 'reason'],
    report.approvals.map(({ unit, text, state, by, at, reason }) => [
      unit,
      text ?? '',
      state === 'requested' ? 'not answered' : state === 'given' ? 'approved' : 'rejected',
      by === null ? '' : personOf(by),
      at === null ? '' : when(at),
      reason,
    ]),
  ),
});

const outputs = (report: Report): Section => ({
  title: '## Outputs',
  body: table(
    ['step', 'output', 'value', 'nodes'],
    report.steps.flatMap(({ id, outputs: named }) =>
      named.flatMap(({ name, values, leftOut }) => [
        ...values.map(({ value, nodes: givers }) => [id, name, valueText(value), foldNames(givers)]),
        ...(leftOut > 0 ? [[id, name, `and ${leftOut} other values`, '']] : []),
      ]),
    ),
  ),
});

const missing = (report: Report): Section => ({
  title: '## What this note cannot tell',
  body: report.missing.map((sentence) => `- ${sentence}`),
});
