/** Lists of the API's resources as tables. */
import type { Node, Run, RunListed } from '../resources.ts';
import { deferralText, describeDeferral } from './deferral-text.ts';
import { nodeStateSpan, runStateSpan } from './glyphs.ts';
import type { Line } from './line.ts';
import { formatAge, formatBytes, formatDate, formatDuration, inLocalTime } from './measures.ts';
import { byName } from './node-names.ts';
import { type Cell, type Column, formatTable } from './table.ts';

export const formatLabels = (labels: Readonly<Record<string, string>>): string =>
  Object.entries(labels)
    .sort(([a], [b]) => byName(a, b))
    .map(([key, value]) => `${key}=${value}`)
    .join(',');

/** Elapsed time of a run so far, or of its whole way. */
const runElapsed = ({ startedAt, finishedAt }: RunListed, now: number): string =>
  startedAt === null
    ? ''
    : formatDuration((finishedAt === null ? now : Date.parse(finishedAt)) - Date.parse(startedAt));

const finishedStates: ReadonlySet<string> = new Set([
  'succeeded',
  'failed',
  'skipped',
  'cancelled',
  'deferred',
]);

export function progressOf(counts: RunListed['counts']): string {
  let done = 0;
  let total = 0;
  for (const [state, count] of Object.entries(counts)) {
    total += count;
    if (finishedStates.has(state)) done += count;
  }
  return total === 0 ? '' : `${done}/${total}`;
}

export function listRuns(runs: readonly RunListed[], now: number): Line[] {
  const defers = runs.some(({ deferral }) => deferral !== undefined);
  return formatTable(
    [
      { head: 'RUN' },
      { head: 'PIPELINE' },
      { head: 'CLUSTER' },
      { head: 'STATE' },
      { head: 'JOBS', align: 'right' },
      ...(defers ? [{ head: 'NODES' }] : []),
      { head: 'CREATED' },
      { head: 'TOOK', align: 'right' },
      { head: 'BY' },
      { head: 'REASON' },
    ],
    runs.map((run): Cell[] => [
      run.id,
      run.pipeline,
      run.cluster,
      [runStateSpan(run.state)],
      progressOf(run.counts),
      ...(defers ? [run.deferral === undefined ? '' : deferralText(run.deferral)] : []),
      formatDate(Date.parse(run.createdAt)),
      runElapsed(run, now),
      run.by.replace(/^operator:/, ''),
      run.state === 'succeeded' ? '' : inLocalTime(run.reason ?? ''),
    ]),
  );
}

const contactText = ({ contact, contactSince, incarnation }: Node, now: number): string => {
  const how = contact === 'connected' ? 'connected' : incarnation === '' ? 'not yet,' : 'away';
  return `${how} ${formatAge(now - Date.parse(contactSince))}`;
};

/** A fact by its path, when the node has reported it and it is a word or number. */
function factOf(facts: unknown, path: readonly string[]): string | number | undefined {
  let value: unknown = facts;
  for (const key of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = Object.entries(value).find(([name]) => name === key)?.[1];
  }
  return typeof value === 'string' || typeof value === 'number' ? value : undefined;
}

function memoryOf(facts: unknown): string {
  const bytes = factOf(facts, ['memory', 'totalBytes']);
  return typeof bytes === 'number' ? formatBytes(bytes) : '';
}

/** Its version, and what becomes of another one that it is to take. */
function agentText({ version, upgrade }: Node): string {
  if (upgrade === null) return version;
  const how = {
    taking: 'takes',
    waits: 'waits for',
    away: 'waits for',
    failed: 'failed:',
    incapable: 'cannot take',
  };
  return `${version} (${how[upgrade.state]} ${upgrade.version})`;
}

const systemOf = (facts: unknown): string => String(factOf(facts, ['os', 'name']) ?? '');

export function listNodes(nodes: readonly Node[], now: number, isWide: boolean): Line[] {
  const columns: Column[] = [
    { head: 'NODE' },
    { head: 'STATE' },
    { head: 'PLATFORM' },
    { head: 'CONTACT' },
    { head: 'JOB' },
    { head: 'AGENT' },
    ...(isWide
      ? [
          { head: 'CLUSTER' },
          { head: 'ADDRESS' },
          { head: 'CPUS', align: 'right' } as const,
          { head: 'MEMORY', align: 'right' } as const,
          { head: 'SYSTEM' },
        ]
      : []),
    { head: 'LABELS' },
  ];
  const rows = [...nodes]
    .sort((a, b) => byName(a.name, b.name))
    .map((node): Cell[] => [
      node.name,
      [nodeStateSpan(node.state)],
      node.platform ?? '',
      contactText(node, now),
      node.job ?? '',
      agentText(node),
      ...(isWide
        ? [
            node.cluster,
            node.address ?? '',
            String(factOf(node.facts, ['cpu', 'threads']) ?? ''),
            memoryOf(node.facts),
            systemOf(node.facts),
          ]
        : []),
      formatLabels(node.labels),
    ]);
  return formatTable(columns, rows);
}

/** `name: value` rows, aligned; a value of several lines is indented under its name. */
export function describe(rows: readonly (readonly [string, Cell])[]): Line[] {
  return formatTable(
    [{ head: '' }, { head: '' }],
    rows.map(([name, value]) => [[{ text: name, style: 'dim' }], value]),
  ).slice(1);
}

/** The params that a run was given and its leaders, for `runs show`. */
export function describeRun(run: Run): Line[] {
  const rows: [string, Cell][] = [
    ['pipeline', run.title === null ? run.pipeline : `${run.pipeline}: ${run.title}`],
    ['cluster', run.cluster],
    [
      'created',
      `${formatDate(Date.parse(run.createdAt))} by ${run.by.replace(/^operator:/, '')}, seq ${run.seq}`,
    ],
  ];
  for (const [name, { nodes, leader }] of Object.entries(run.roles))
    rows.push([
      `role ${name}`,
      `${nodes.length} ${nodes.length === 1 ? 'node' : 'nodes'}${leader === null ? '' : `, led by ${leader}`}`,
    ]);
  for (const [name, value] of Object.entries(run.params))
    rows.push([`param ${name}`, typeof value === 'string' ? value : JSON.stringify(value)]);
  for (const [node, reason] of Object.entries(run.out)) rows.push([`out ${node}`, reason]);
  if (run.reason !== null) rows.push(['reason', inLocalTime(run.reason)]);
  if (run.deferral !== undefined) rows.push(['nodes', deferralText(run.deferral)]);
  for (const { node, step, deferral } of run.jobs ?? [])
    if (deferral !== undefined) rows.push([`${step} on ${node}`, describeDeferral(deferral)]);
  return describe(rows);
}
