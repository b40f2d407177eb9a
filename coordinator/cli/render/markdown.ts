/** Markdown of which our documents are made: a heading with lines under it, and tables. */
import { harmless } from './line.ts';

export type Section = { readonly title: string; readonly body: readonly string[] };

/** A cell stays in its row and column whatever it holds. */
const cellOf = (text: string): string =>
  harmless(text.replace(/\s*\n\s*/g, ' '))
    .replaceAll('\\', '\\\\')
    .replaceAll('|', '\\|');

/** Columns in which every row is empty are left out; nothing for no rows. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string[] {
  if (rows.length === 0) return [];
  const kept = heads.map((_, index) => rows.some((row) => (row[index] ?? '') !== ''));
  const line = (cells: readonly string[]): string =>
    `| ${cells
      .filter((_, index) => kept[index])
      .map(cellOf)
      .join(' | ')} |`;
  return [line(heads), line(heads.map(() => '---')), ...rows.map(line)];
}
