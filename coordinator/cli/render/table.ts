/** Aligned columns for people. What scripts read is `-o json`; still, no cell is empty, so that awk counts right. */
import { type Line, lineWidth, type Span, span } from './line.ts';

export type Column = { readonly head: string; readonly align?: 'left' | 'right' };
export type Cell = string | Line;

const gap = '  ';
const lineOf = (cell: Cell): Line => (typeof cell === 'string' ? [span(cell === '' ? '-' : cell)] : cell);

export function formatTable(columns: readonly Column[], rows: readonly (readonly Cell[])[]): Line[] {
  const cells = [columns.map(({ head }): Line => [span(head, 'dim')]), ...rows.map((row) => row.map(lineOf))];
  const widths = columns.map((_, index) => Math.max(...cells.map((row) => lineWidth(row[index] ?? []))));
  return cells.map((row) => {
    const spans: Span[] = [];
    row.forEach((cell, index) => {
      const padding = span(' '.repeat((widths[index] ?? 0) - lineWidth(cell)));
      const isLast = index === row.length - 1;
      if (index > 0) spans.push(span(gap));
      if (columns[index]?.align === 'right') spans.push(padding, ...cell);
      else spans.push(...cell, ...(isLast ? [] : [padding]));
    });
    return spans;
  });
}
