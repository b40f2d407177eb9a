/**
 * A file that tells of machines which do not exist yet: what each line says, judged word by word with its place. How
 * the lines go together with what is known is judged by the core (expected-nodes.ts).
 */
import type { Diagnostic } from '../../shared/diagnostic.ts';
import { readMac, readSerial, readUuid } from '../../shared/hardware.ts';
import { nodeNamePattern } from '../../shared/ids.ts';
import { limits } from '../../shared/limits.ts';
import { faultOfLabel } from '../core/administration.ts';
import type { Expectation } from '../core/expectation.ts';
import type { ExpectationField } from '../core/expected-nodes.ts';
import { readCsv } from './csv.ts';
import { type Entry, labelPrefix, type Place, type Word } from './entry.ts';
import { readYaml } from './yaml.ts';

export type InventoryLine = {
  readonly expectation: Expectation;
  /** Where what is wrong with it is best shown. */
  readonly at: (field: ExpectationField) => Place;
};

export type Inventory =
  | { readonly ok: true; readonly lines: readonly InventoryLine[] }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

export function readInventory(file: string, text: string): Inventory {
  const read = (isYaml(file, text) ? readYaml : readCsv)(file, text);
  if (!read.ok) return read;
  const diagnostics: Diagnostic[] = [];
  const lines = read.entries.map((entry) => {
    const fault = (at: Place, message: string, expected?: string): void => {
      diagnostics.push({
        severity: 'error',
        ...at,
        file,
        message,
        ...(expected === undefined ? {} : { expected }),
      });
    };
    return { expectation: expectationOf(entry, fault), at: placeIn(entry) };
  });
  if (diagnostics.length > 0) return { ok: false, diagnostics: diagnostics.slice(0, limits.diagnosticsMax) };
  return { ok: true, lines };
}

/** By its name; what comes without one, by how it begins. */
function isYaml(file: string, text: string): boolean {
  if (/\.(ya?ml|json)$/i.test(file)) return true;
  if (/\.(csv|tsv|txt)$/i.test(file)) return false;
  return /^\s*(#[^\n]*\s*)*(nodes\s*:|\{|---)/.test(text);
}

type Fault = (at: Place, message: string, expected?: string) => void;

function placeIn({ at, words }: Entry): InventoryLine['at'] {
  return (field) => {
    if (field !== 'labels') return words.get(field)?.[0]?.at ?? at;
    for (const [name, [word]] of words)
      if (name.startsWith(labelPrefix) && word !== undefined) return word.at;
    return at;
  };
}

function expectationOf({ at, words }: Entry, fault: Fault): Expectation {
  const word = (field: string): Word | undefined => {
    const [first, second] = words.get(field) ?? [];
    if (second !== undefined) fault(second.at, `one node has one ${field}`);
    return first;
  };
  const name = word('name');
  if (name === undefined) fault(at, 'this line names no node', 'a name');
  else if (!nodeNamePattern.test(name.text))
    fault(
      name.at,
      `"${name.text}" cannot be the name of a node`,
      'at most 63 small letters, digits, "-" and ".", beginning and ending with a letter or digit',
    );
  const mark = (
    given: Word | undefined,
    read: (text: string) => string | undefined,
    what: string,
    expected: string,
  ): string | null => {
    if (given === undefined) return null;
    const known = read(given.text);
    if (known === undefined)
      fault(given.at, `"${given.text}" is no ${what} that only one machine has`, expected);
    return known ?? null;
  };
  const serial = mark(word('serial'), readSerial, 'serial number', 'what the board of this machine says');
  const uuid = mark(word('uuid'), readUuid, 'UUID', 'such as 7d1f0c2e-0a4b-4c1d-9e77-0b6f2a9d1c02');
  const macs = (words.get('mac') ?? []).flatMap((given) => {
    const known = mark(given, readMac, 'MAC address', 'such as 52:54:00:12:34:56');
    return known === null ? [] : [known];
  });
  const unnamed = ['serial', 'uuid', 'mac'].every((field) => !words.has(field));
  if (unnamed) fault(at, 'nothing says which machine this is', 'at least one of serial, uuid, mac');
  return {
    node: name?.text ?? '',
    serial,
    uuid,
    macs: [...new Set(macs)],
    labels: labelsOf(words, fault),
    address: placeText(word('address'), 'address', fault),
    bmc: placeText(word('bmc'), 'BMC', fault),
  };
}

function labelsOf(words: Entry['words'], fault: Fault): Readonly<Record<string, string>> {
  const labels: Record<string, string> = {};
  const keep = (key: string, word: Word | undefined): void => {
    if (word === undefined) return;
    const wrong = faultOfLabel(key, word.text);
    if (wrong !== undefined) fault(word.at, wrong);
    else if (Object.hasOwn(labels, key)) fault(word.at, `label ${key} stands there twice`);
    else labels[key] = word.text;
  };
  for (const key of ['site', 'rack', 'cluster']) keep(key, words.get(key)?.[0]);
  for (const [field, [word]] of words)
    if (field.startsWith(labelPrefix)) keep(field.slice(labelPrefix.length), word);
  const cluster = words.get('cluster')?.[0];
  if (cluster !== undefined && !nodeNamePattern.test(cluster.text))
    fault(cluster.at, `"${cluster.text}" cannot be the name of a cluster`, 'a name such as that of a node');
  return labels;
}

const placeLengthMax = 253;

function placeText(word: Word | undefined, what: string, fault: Fault): string | null {
  if (word === undefined) return null;
  if (/\s/.test(word.text) || word.text.length > placeLengthMax)
    fault(
      word.at,
      `"${word.text.slice(0, 80)}" is no ${what}`,
      `at most ${placeLengthMax} characters without spaces`,
    );
  return word.text;
}
