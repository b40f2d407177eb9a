/**
 * The picture of a run that `watch` keeps drawing: a header, steps by nodes, the log tail of what failed and
 * what is being waited for, fitted to the terminal. Pure: the time, the sizes and the logs come in.
 */
import { attemptIdOf } from '../../../shared/ids.ts';
import type { Explanation, JobState, Run } from '../resources.ts';
import { jobGlyph, jobStyle, runStateSpan } from './glyphs.ts';
import { cut, type Line, line, lineWidth, padEnd, padStart, type Span, span, widthOf, wrap } from './line.ts';
import { formatDuration } from './measures.ts';
import { isFinished, nodesOf, type Row, rowsOf, troublesOf, waitingLines } from './run-rows.ts';

export type PictureSize = { readonly columns: number; readonly rows: number };

export type RunView = {
  readonly run: Run;
  /** The coordinator's clock, ms since 1970. */
  readonly now: number;
  readonly explanations: readonly Explanation[];
  /** The last lines of logs, by attempt id. */
  readonly tails: ReadonlyMap<string, readonly string[]>;
  /** Since when the coordinator cannot be reached, with what is being done about it. */
  readonly lost: string | null;
};

/** How much is told, from everything down to what matters most; the first that fits is drawn. */
type Detail = {
  readonly tailLines: number;
  readonly troubles: number;
  readonly waiting: number;
  readonly fold: boolean;
};
const details: readonly Detail[] = [
  { tailLines: 12, troubles: 4, waiting: 6, fold: false },
  { tailLines: 6, troubles: 3, waiting: 4, fold: false },
  { tailLines: 6, troubles: 3, waiting: 3, fold: true },
  { tailLines: 3, troubles: 2, waiting: 2, fold: true },
  { tailLines: 0, troubles: 2, waiting: 1, fold: true },
  { tailLines: 0, troubles: 1, waiting: 0, fold: true },
];

/** The order in which counts are told. */
const countOrder: readonly JobState[] = [
  'succeeded',
  'running',
  'granted',
  'failed',
  'held',
  'unknown',
  'deferred',
  'skipped',
  'cancelled',
  'ready',
  'waiting',
];

const stepLabelColumnsMax = 28;
const elapsedColumns = 7;
/** What a name to each column must leave for remarks; without names the remarks may have to be cut. */
const noteColumns = 18;
/** Beyond so many nodes a strip says less than numbers do. */
const stripNodesMax = 64;

/** The run in one line: id, pipeline, state, elapsed, how much is done. */
function header({ run, now }: RunView): Line {
  const startedAt = run.startedAt ?? run.createdAt;
  const end = run.finishedAt === null ? now : Date.parse(run.finishedAt);
  const counts = Object.values(run.counts);
  const total = counts.reduce((sum, count) => sum + count, 0);
  const done = Object.entries(run.counts).reduce(
    (sum, [state, count]) => sum + (finished.has(state) ? count : 0),
    0,
  );
  return [
    span(run.id, 'strong'),
    span(` ${run.title ?? run.pipeline}`),
    ...(run.cluster === 'default' ? [] : [span(` on ${run.cluster}`)]),
    span('  '),
    runStateSpan(run.state),
    ...(run.checkOnly ? [span(' (checks only)', 'warn')] : []),
    ...(run.from === null ? [] : [span(` (from ${run.from})`, 'warn')]),
    span(`  ${formatDuration(end - Date.parse(startedAt))}`),
    ...(total > 0 ? [span(`  ${done} of ${total} jobs`, 'dim')] : []),
  ];
}
const finished: ReadonlySet<string> = new Set(countOrder.filter(isFinished));

/** How the nodes are drawn: a column each under its name, a character each, or as numbers. */
type Matrix =
  | {
      readonly kind: 'names';
      readonly nodes: readonly string[];
      readonly names: readonly string[];
      readonly width: number;
    }
  | { readonly kind: 'strip'; readonly nodes: readonly string[] }
  | { readonly kind: 'counts'; readonly width: number };

/** The part that all names begin with, up to where they differ; worth leaving out of column heads when long. */
function commonStart(names: readonly string[]): string {
  const [first = ''] = names;
  let length = first.length - 1;
  while (
    length > 0 &&
    !names.every((name) => name.length > length && name.startsWith(first.slice(0, length)))
  )
    length -= 1;
  return first.slice(0, Math.max(0, length)).replace(/[0-9]+$/, '');
}

function chooseMatrix(rows: readonly Row[], nodes: readonly string[], room: number): Matrix {
  const counts: Matrix = {
    kind: 'counts',
    width: Math.max(0, ...rows.map((row) => lineWidth(drawCounts(row)))),
  };
  if (nodes.length === 0) return counts;
  const fits = (names: readonly string[]): Matrix | undefined => {
    const width = Math.max(...names.map((name) => name.length)) + 1;
    return names.length * width <= room - noteColumns ? { kind: 'names', nodes, names, width } : undefined;
  };
  const start = nodes.length > 1 ? commonStart(nodes) : '';
  const named =
    fits(nodes) ?? (start.length > 2 ? fits(nodes.map((name) => name.slice(start.length))) : undefined);
  if (named !== undefined) return named;
  return nodes.length <= Math.min(room, stripNodesMax) ? { kind: 'strip', nodes } : counts;
}

/** How many jobs of a step are in each state. */
const drawCounts = (row: Row): Span[] =>
  countOrder.flatMap((state) => {
    const count = row.counts.get(state);
    if (count === undefined || row.cells === null) return [];
    return [jobGlyph(state), span(` ${count}  `, jobStyle(state))];
  });

function drawCells(row: Row, matrix: Matrix): Span[] {
  if (matrix.kind === 'counts') {
    const counts = drawCounts(row);
    return [...counts, span(' '.repeat(matrix.width - lineWidth(counts)))];
  }
  const nodeColumns = matrix.kind === 'names' ? matrix.width : 1;
  if (row.cells === null) return [span(' '.repeat(matrix.nodes.length * nodeColumns))];
  const { cells } = row;
  return matrix.nodes.flatMap((node) => {
    const state = cells.get(node);
    const glyph = state === undefined ? span(' ') : jobGlyph(state);
    return [glyph, span(' '.repeat(nodeColumns - 1))];
  });
}

type Layout = { readonly label: number; readonly progress: number; readonly matrix: Matrix };

function layOut(rows: readonly Row[], nodes: readonly string[], columns: number): Layout {
  const label = Math.min(
    stepLabelColumnsMax,
    Math.max(...rows.map((row) => widthOf(row.label) + 2 * row.depth), 4),
  );
  const progress = Math.max(...rows.map((row) => `${row.done}/${row.total}`.length), 3);
  return {
    label,
    progress,
    matrix: chooseMatrix(rows, nodes, columns - (2 + label + 2 + progress + 2 + elapsedColumns + 1)),
  };
}

function drawRow(row: Row, { label, progress, matrix }: Layout): Line {
  const indent = 2 * row.depth;
  const name = padEnd(cut(row.label, label - indent), label - indent);
  const time = row.elapsedMs === null ? '' : formatDuration(row.elapsedMs);
  const cells = drawCells(row, matrix);
  const note: Span[] = row.note.length === 0 ? [] : [span('  '), ...row.note];
  return [
    span(' '.repeat(indent)),
    jobGlyph(row.state),
    span(` ${name}  `, row.state === 'waiting' ? 'dim' : 'plain'),
    span(padStart(row.total === 0 ? '-' : `${row.done}/${row.total}`, progress), 'dim'),
    span('  '),
    ...cells,
    span(padStart(time, elapsedColumns), 'dim'),
    ...note,
  ];
}

function heads({ label, progress, matrix }: Layout): Line[] {
  if (matrix.kind !== 'names') return [];
  const names = matrix.names.map((name) => padEnd(name, matrix.width)).join('');
  return [line(' '.repeat(2 + label + 2 + progress + 2) + names, 'dim')];
}

/** Steps that are over at the start and those not begun at the end, each as one line. */
function foldRows(rows: readonly Row[]): { before: Line[]; shown: readonly Row[]; after: Line[] } {
  const isBehind = (row: Row): boolean => isFinished(row.state) && row.state !== 'failed';
  const isAhead = (row: Row): boolean => row.state === 'waiting';
  const start = rows.findIndex((row) => !isBehind(row));
  const first = start === -1 ? rows.length : start;
  // The next step to come is worth its line.
  const last = Math.min(rows.length, Math.max(first, rows.findLastIndex((row) => !isAhead(row)) + 1) + 1);
  const told = (count: number, state: JobState, words: string): Line[] =>
    count === 0
      ? []
      : [[jobGlyph(state), span(` ${count} ${count === 1 ? 'step' : 'steps'} ${words}`, 'dim')]];
  return {
    before: told(first, 'succeeded', 'done'),
    shown: rows.slice(first, last),
    after: told(rows.length - last, 'waiting', 'to come'),
  };
}

function drawTroubles({ run, tails }: RunView, detail: Detail): Line[] {
  const troubles = troublesOf(run);
  const lines: Line[] = [];
  for (const { state, sentence, job } of troubles.slice(0, detail.troubles)) {
    lines.push([jobGlyph(state), span(` ${sentence}`, jobStyle(state))]);
    const tail = tails.get(attemptIdOf(job.id, job.attempt)) ?? [];
    for (const text of detail.tailLines === 0 ? [] : tail.slice(-detail.tailLines))
      lines.push([span(`  │ `, 'dim'), span(text)]);
  }
  const more = troubles.length - detail.troubles;
  if (more > 0) lines.push(line(`  and ${more} more: lockstep runs show ${run.id}`, 'dim'));
  return lines;
}

function drawWaiting({ run, explanations }: RunView, detail: Detail, columns: number): Line[] {
  if (run.finishedAt !== null) return [];
  // The header, the hint below and the summary at the end say these already.
  const said = run.state === 'held' ? 'hold' : run.state === 'waiting-for-approval' ? 'approval' : undefined;
  const all = waitingLines(explanations.filter(({ gate, state }) => gate !== said && state !== 'failed'));
  const shown = all.slice(0, detail.waiting);
  const lines = shown.flatMap((text, index) =>
    wrap(text, columns - waitsColumns).map(
      (part, row): Line => [
        span(padEnd(index === 0 && row === 0 ? 'waits' : '', waitsColumns), 'dim'),
        span(row === 0 ? part : `  ${part}`),
      ],
    ),
  );
  if (shown.length > 0 && all.length > shown.length)
    lines.push(
      line(`${' '.repeat(waitsColumns)}and ${all.length - shown.length} more: lockstep why ${run.id}`, 'dim'),
    );
  return lines;
}
const waitsColumns = 7;

/** The command that a run which needs somebody waits for. */
function drawHint({ run }: RunView): Line[] {
  const asked = run.units.find(({ approval }) => approval.state === 'requested');
  if (run.state !== 'waiting-for-approval' || asked === undefined) return [];
  return [
    line(
      `       lockstep approve ${run.id} ${asked.id}   or   lockstep reject ${run.id} ${asked.id}`,
      'strong',
    ),
  ];
}

const section = (lines: readonly Line[]): Line[] => (lines.length === 0 ? [] : [[], ...lines]);

/** Never more lines than `size.rows`; cutting each to `size.columns` is the printer's. */
export function drawRun(view: RunView, size: PictureSize): Line[] {
  const rows = rowsOf(view.run, view.now);
  const layout = layOut(rows, nodesOf(view.run), size.columns);
  const lost: Line[] = view.lost === null ? [] : [line(view.lost, 'warn')];
  let picture: Line[] = [];
  for (const detail of details) {
    const { before, shown, after } = detail.fold ? foldRows(rows) : { before: [], shown: rows, after: [] };
    picture = [
      header(view),
      ...lost,
      [],
      ...(rows.length > 0 ? heads(layout) : []),
      ...before,
      ...shown.map((row) => drawRow(row, layout)),
      ...after,
      ...section(drawTroubles(view, detail)),
      ...section([...drawWaiting(view, detail, size.columns), ...drawHint(view)]),
    ];
    if (picture.length <= size.rows) return picture;
  }
  // Even the steps at work are too many: the header, the first of them, and the end with what is wrong.
  const keptAtEnd = Math.floor((size.rows - 3) / 2);
  return [
    ...picture.slice(0, size.rows - 1 - keptAtEnd),
    line('…', 'dim'),
    ...picture.slice(picture.length - keptAtEnd),
  ];
}
