/** An inventory as YAML or JSON: `nodes:` and a list, with the fields of a table's columns and `labels` as a map. */
import type { Diagnostic } from '../../shared/diagnostic.ts';
import { nearestWord } from '../../shared/nearest.ts';
import { type Path, readSource, type Source } from '../../shared/pipeline/source.ts';
import { type Entry, fields, isField, labelPrefix, type Word } from './entry.ts';

type Read =
  | { readonly ok: true; readonly entries: readonly Entry[] }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

type Fault = (path: Path, message: string, more?: Partial<Diagnostic>) => void;

const keys = [...fields, 'labels'];
const expectedKeys = `one of ${keys.join(', ')}`;

export function readYaml(file: string, text: string): Read {
  const read = readSource(file, text);
  if (!read.ok) return read;
  const { source } = read;
  const diagnostics: Diagnostic[] = [];
  const fault: Fault = (path, message, more = {}) => {
    diagnostics.push({ severity: 'error', ...source.at(path), file, message, ...more });
  };
  const entries = [...entriesOf(source, fault)];
  return diagnostics.length > 0 ? { ok: false, diagnostics } : { ok: true, entries };
}

const isMap = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function* entriesOf(source: Source, fault: Fault): Iterable<Entry> {
  const { value } = source;
  const whole = isMap(value) ? value : {};
  for (const key of Object.keys(whole)) {
    if (key !== 'nodes')
      fault([key], `there is no "${key}"`, { ...source.atKey([key]), nearest: nearestWord(key, ['nodes']) });
  }
  const list: unknown = whole.nodes;
  if (!Array.isArray(list)) {
    fault(['nodes'], 'the file tells of no nodes', { expected: 'nodes: and a list of maps' });
    return;
  }
  for (const [index, node] of list.entries()) {
    const path = ['nodes', index];
    if (isMap(node)) yield { at: source.at(path), words: wordsOf(node, path, source, fault) };
    else fault(path, 'this is no node', { expected: 'a map with its name' });
  }
}

function wordsOf(
  node: Readonly<Record<string, unknown>>,
  path: Path,
  source: Source,
  fault: Fault,
): ReadonlyMap<string, readonly Word[]> {
  const words = new Map<string, readonly Word[]>();
  const keep = (field: string, value: unknown, place: Path): void => {
    if (value === null) return;
    const text = textOf(value);
    if (text === undefined) fault(place, `${field} is no text`, { expected: 'text, a number or a bool' });
    else if (text !== '') words.set(field, [...(words.get(field) ?? []), { text, at: source.at(place) }]);
  };
  for (const [key, value] of Object.entries(node)) {
    const place = [...path, key];
    if (key === 'labels') {
      if (!isMap(value)) fault(place, 'labels is no map', { expected: 'KEY: VALUE for each label' });
      else
        for (const [label, own] of Object.entries(value))
          keep(`${labelPrefix}${label}`, own, [...place, label]);
    } else if (!isField(key)) {
      fault(place, `a node has no "${key}"`, {
        ...source.atKey(place),
        expected: expectedKeys,
        nearest: nearestWord(key, keys),
      });
    } else if (key === 'mac' && Array.isArray(value)) {
      for (const [index, mac] of value.entries()) keep(key, mac, [...place, index]);
    } else keep(key, value, place);
  }
  return words;
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value.trim();
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined;
}
