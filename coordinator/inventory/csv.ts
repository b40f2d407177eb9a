/** An inventory as a table: the first row names the columns. Commas, semicolons or tabs; `#` begins a comment. */
import { CsvError, parse } from 'csv-parse/sync';
import * as z from 'zod';
import type { Diagnostic } from '../../shared/diagnostic.ts';
import { nearestWord } from '../../shared/nearest.ts';
import { positionOf } from '../../shared/pipeline/source.ts';
import { type Entry, expectedFields, fields, isField, labelPrefix, type Place, type Word } from './entry.ts';

type Row = { readonly cells: readonly Word[]; readonly at: Place };

type Read =
  | { readonly ok: true; readonly entries: readonly Entry[] }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

export function readCsv(file: string, source: string): Read {
  // The library leaves out half of such a line end in what it gives back of the text.
  const text = source.replaceAll('\r\n', '\n');
  let rows: readonly Row[];
  try {
    rows = readRows(text);
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    const line = typeof error.lines === 'number' ? error.lines : 1;
    const message = `this is not CSV: ${error.message.replace(/ at line \d+.*/, '').replace(/:.*/, '')}`;
    return { ok: false, diagnostics: [{ severity: 'error', file, line, column: 1, message }] };
  }
  const [head, ...body] = rows;
  const diagnostics: Diagnostic[] = [];
  const fault = (at: Place, message: string, more: Partial<Diagnostic> = {}): void => {
    diagnostics.push({ severity: 'error', ...at, file, message, ...more });
  };
  if (head === undefined) {
    fault({ line: 1, column: 1 }, 'the file is empty', { expected: 'a first row with the names of columns' });
    return { ok: false, diagnostics };
  }
  const columns = head.cells.map(({ text: word }) => columnOf(word));
  for (const [index, { text: word, at }] of head.cells.entries()) {
    const column = columns[index];
    if (column === undefined)
      fault(at, `there is no column "${word}"`, {
        expected: expectedFields,
        nearest: nearestWord(word, [...fields, `${labelPrefix}${word}`]),
      });
    else if (columns.indexOf(column) < index) fault(at, `the column ${column} stands there twice`);
  }
  if (!columns.includes('name')) fault(head.at, 'there is no column "name"', { expected: expectedFields });
  for (const { cells, at } of body) {
    if (cells.length === columns.length) continue;
    const surplus = cells[columns.length];
    fault(
      surplus?.at ?? at,
      `this row has ${cells.length} cells, and the first row names ${columns.length}`,
      {
        expected:
          surplus === undefined ? 'a separator for each empty cell' : 'quotes around a cell with separators',
      },
    );
  }
  if (diagnostics.length > 0) return { ok: false, diagnostics };
  return { ok: true, entries: body.map((row) => entryOf(row, columns)) };
}

/** Names of fields in any case; those of labels as they are. */
function columnOf(word: string): string | undefined {
  const field = word.toLowerCase();
  if (isField(field)) return field;
  return word.startsWith(labelPrefix) && word.length > labelPrefix.length ? word : undefined;
}

/** Several MAC addresses stand in one cell, with spaces between. */
function entryOf({ cells, at }: Row, columns: readonly (string | undefined)[]): Entry {
  const words = new Map<string, readonly Word[]>();
  for (const [index, column] of columns.entries()) {
    const cell = cells[index];
    if (column === undefined || cell === undefined || cell.text === '') continue;
    const texts = column === 'mac' ? cell.text.split(/\s+/) : [cell.text];
    words.set(
      column,
      texts.map((text) => ({ text, at: cell.at })),
    );
  }
  return { at, words };
}

const separators = [',', ';', '\t'];

const rowsSchema = z.array(z.object({ record: z.array(z.string()), raw: z.string() }));

/** The library reads; the places of cells are found in the text that it read for each row. */
function readRows(text: string): readonly Row[] {
  const parsed: unknown = parse(text, {
    bom: true,
    delimiter: separators,
    trim: true,
    comment: '#',
    comment_no_infix: true,
    skip_empty_lines: true,
    relax_column_count: true,
    raw: true,
  });
  const rows: Row[] = [];
  let offset = text.startsWith('\uFEFF') ? 1 : 0;
  for (const { record, raw } of rowsSchema.parse(parsed)) {
    const starts = startsOfCells(raw);
    const cells = record.map((word, index) => ({
      text: word,
      at: positionOf(text, offset + (starts[index] ?? 0)),
    }));
    rows.push({ cells, at: positionOf(text, offset + (starts[0] ?? 0)) });
    offset += raw.length;
  }
  return rows;
}

/** Where the cells of a row begin in its text, which may have empty lines and comments before it. */
function startsOfCells(raw: string): readonly number[] {
  const before = /^(?:[ \t]*(?:#[^\n]*)?\r?\n)*/.exec(raw)?.[0].length ?? 0;
  const starts: number[] = [];
  let quoted = false;
  let begins = true;
  for (let at = before; at < raw.length; at += 1) {
    const character = raw[at] ?? '';
    if (character === '"') quoted = !quoted;
    if (begins && (character === ' ' || (character === '\t' && !separators.includes(character)))) continue;
    if (begins) starts.push(at);
    begins = !quoted && separators.includes(character);
  }
  if (begins) starts.push(raw.length);
  return starts;
}
