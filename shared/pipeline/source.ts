/**
 * A YAML text as plain JSON, with the line and column of everything in it. YAML can hide a lot: values that
 * grow when aliases are followed, maps with the same key twice, numbers that lose digits, several documents.
 * None of that is let through; what is inside the value is judged by others.
 */
import { isAlias, isMap, isScalar, isSeq, Lexer, type ParsedNode, parseDocument, type YAMLError } from 'yaml';
import type { Diagnostic } from '../diagnostic.ts';
import { limits } from '../limits.ts';
import { offsetInScalar } from './scalar.ts';

export type Path = readonly (string | number)[];
export type Position = { readonly file: string; readonly line: number; readonly column: number };

export type Source = {
  readonly value: unknown;
  /** The name of the file in which a value stands. */
  fileOf(path: Path): string;
  /** Where a value begins; where the nearest thing around it does when it is not there. */
  at(path: Path): Position;
  /** Where the key of a map begins. */
  atKey(path: Path): Position;
  /** Inside a text value: the place of its character number `offset`, as near as the way it is written allows. */
  within(path: Path, offset: number): Position;
};

export type SourceRead =
  | { readonly ok: true; readonly source: Source }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

type Finding = { readonly offset: number; readonly message: string; readonly expected?: string };

export function readSource(file: string, text: string): SourceRead {
  const place = (offset: number): Position => ({ file, ...positionOf(text, offset) });
  const refuse = (findings: readonly Finding[]): SourceRead => ({
    ok: false,
    diagnostics: findings.map(({ offset, message, expected }) => ({
      severity: 'error',
      ...place(offset),
      message,
      ...(expected === undefined ? {} : { expected }),
    })),
  });
  const unreadable = findUnreadable(text);
  if (unreadable !== undefined) return refuse([unreadable]);
  const document = parseDocument(text, { prettyErrors: false, uniqueKeys: false });
  const faults = [...document.errors, ...document.warnings];
  if (faults.length > 0) {
    return refuse(
      faults.slice(0, limits.yamlErrorsMax).map((fault) => ({ offset: fault.pos[0], ...explain(fault) })),
    );
  }
  if (document.contents === null) {
    return refuse([{ offset: 0, message: 'the file is empty', expected: 'a map that begins with "kind:"' }]);
  }
  const root: ParsedNode = document.contents;
  const findings: Finding[] = [];
  const value = new Reader(findings).read(root, 0);
  if (findings.length > 0) return refuse(findings.slice(0, limits.yamlErrorsMax));
  return {
    ok: true,
    source: {
      value,
      fileOf: () => file,
      at: (path) => place(nodeAt(root, path).range[0]),
      atKey: (path) => place(keyAt(root, path)),
      within: (path, offset) => {
        const node = nodeAt(root, path);
        return place(isScalar(node) ? offsetInScalar(text, node, offset) : node.range[0]);
      },
    },
  };
}

/** Line and column, both from 1, of a character of the text. */
export function positionOf(text: string, offset: number): Omit<Position, 'file'> {
  const lineStart = text.lastIndexOf('\n', offset - 1) + 1;
  let line = 1;
  for (let at = text.indexOf('\n'); at !== -1 && at < lineStart; at = text.indexOf('\n', at + 1)) line++;
  return { line, column: offset - lineStart + 1 };
}

/** What must not even reach the YAML parser: it would take seconds, or give nonsense. */
function findUnreadable(text: string): Finding | undefined {
  if (text.length > limits.pipelineFileBytesMax) {
    return { offset: 0, message: `the file is longer than ${limits.pipelineFileBytesMax} bytes` };
  }
  const odd = /[\0\uFFFD]/.exec(text);
  if (odd !== null) {
    return {
      offset: odd.index,
      message: 'the file is not text in UTF-8',
      expected: 'characters, not binary data',
    };
  }
  let tokens = 0;
  let depth = 0;
  let offset = 0;
  for (const token of new Lexer().lex(text)) {
    if (token === '[' || token === '{') depth++;
    if (token === ']' || token === '}') depth = Math.max(0, depth - 1);
    if (depth > limits.yamlDepthMax) return { offset, message: nestedTooDeeply };
    if (++tokens > limits.yamlTokensMax) {
      return { offset, message: `the file has more than ${limits.yamlTokensMax} YAML tokens` };
    }
    if (!lexerMarks.has(token)) offset += token.length;
  }
  return undefined;
}

/** Tokens that stand for no text: beginning of a document, end of flow by error, beginning of a scalar, BOM. */
const lexerMarks: ReadonlySet<string> = new Set(['\u0002', '\u0018', '\u001f', '\uFEFF']);

const nestedTooDeeply = `the file is nested more than ${limits.yamlDepthMax} levels deep`;

/** The YAML library's findings in words for somebody who writes pipelines, not parsers. */
function explain({ code, message }: YAMLError): { readonly message: string; readonly expected?: string } {
  switch (code) {
    case 'TAB_AS_INDENT':
      return { message: 'a tab cannot indent YAML', expected: 'spaces' };
    case 'MULTIPLE_DOCS':
      return { message: 'a second document begins here', expected: 'one document in one file' };
    case 'BLOCK_AS_IMPLICIT_KEY':
      return {
        message: 'a ": " inside a text without quotes begins another map',
        expected: 'the text in quotes, or on its own lines after "|"',
      };
    case 'MISSING_CHAR':
      return message.includes('without - indicator')
        ? {
            message: 'this line is indented like neither an entry of the list nor what is in one',
            expected: 'the indentation of the keys before it, or "- "',
          }
        : { message: 'something before this is not closed', expected: 'a closing quote, bracket or ":"' };
    case 'BAD_INDENT': {
      const [, bracket] = /end with a ([\]}])/.exec(message) ?? [];
      return bracket === undefined
        ? { message: 'this line is not indented like its neighbours' }
        : { message: 'a bracket before this is not closed', expected: `"${bracket}"` };
    }
    case 'BAD_SCALAR_START':
      return { message: 'a text cannot begin with this character', expected: 'the text in quotes' };
    case 'BAD_ALIAS':
      return { message: 'this alias names nothing before it', expected: 'an anchor, or the text in quotes' };
    case 'RESOURCE_EXHAUSTION':
      return { message: nestedTooDeeply };
    case 'TAG_RESOLVE_FAILED':
      return { message: 'YAML tags are not used here', expected: 'the text in quotes' };
    default:
      return { message: `this is not YAML: ${message.split('\n')[0] ?? code}` };
  }
}

/** From YAML nodes to JSON, following aliases within a budget. */
class Reader {
  readonly #findings: Finding[];
  readonly #anchors = new Map<string, ParsedNode>();
  readonly #open = new Set<ParsedNode>();
  #aliases = 0;

  constructor(findings: Finding[]) {
    this.#findings = findings;
  }

  read(node: ParsedNode | null, depth: number): unknown {
    if (node === null) return null;
    const fault = (message: string, expected?: string): null => {
      this.#findings.push({
        offset: node.range[0],
        message,
        ...(expected === undefined ? {} : { expected }),
      });
      return null;
    };
    if (this.#findings.length >= limits.yamlErrorsMax) return null;
    if (depth > limits.yamlDepthMax) return fault(nestedTooDeeply);
    if (isAlias(node)) {
      const target = this.#anchors.get(node.source);
      if (++this.#aliases > limits.yamlAliasesMax) {
        return fault(`the file follows more than ${limits.yamlAliasesMax} aliases`);
      }
      if (target === undefined)
        return fault(`the alias *${node.source} names nothing before it`, `an anchor &${node.source}`);
      if (this.#open.has(target)) return fault(`the alias *${node.source} stands inside what it names`);
      return this.read(target, depth);
    }
    if (node.anchor !== undefined) this.#anchors.set(node.anchor, node);
    if (isScalar(node)) {
      const { value } = node;
      if (typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value)) {
        return fault('this number is too large to be kept exactly', 'a smaller number, or text in quotes');
      }
      if (typeof value === 'number' && !Number.isFinite(value))
        return fault('this is not a number', 'a finite number');
      return value;
    }
    this.#open.add(node);
    const value = isSeq(node)
      ? node.items.map((item) => this.read(item, depth + 1))
      : this.#readMap(node, depth);
    this.#open.delete(node);
    return value;
  }

  #readMap(node: ParsedNode, depth: number): unknown {
    const entries = new Map<string, unknown>();
    if (!isMap(node)) return null;
    for (const { key, value } of node.items) {
      const offset = key.range[0];
      const name: unknown = isScalar(key) ? key.value : undefined;
      if (typeof name !== 'string') {
        this.#findings.push({
          offset,
          message: 'a key must be text',
          expected: 'a word, or the key in quotes',
        });
      } else if (name === '<<' || name === '__proto__') {
        this.#findings.push({
          offset,
          message: `"${name}" cannot be a key here`,
          expected: 'the keys written out',
        });
      } else if (entries.has(name)) {
        this.#findings.push({ offset, message: `the key "${name}" stands in this map twice` });
      } else {
        entries.set(name, this.read(value, depth + 1));
      }
    }
    return Object.fromEntries(entries);
  }
}

/** The node of a path, or the last one on the way to it; an alias is where it is used. */
function nodeAt(root: ParsedNode, path: Path): ParsedNode {
  let node = root;
  for (const key of path) {
    let next: ParsedNode | null | undefined;
    if (isMap(node)) next = node.items.find((pair) => isScalar(pair.key) && pair.key.value === key)?.value;
    else if (isSeq(node) && typeof key === 'number') next = node.items[key];
    if (next === undefined || next === null) return node;
    node = next;
  }
  return node;
}

function keyAt(root: ParsedNode, path: Path): number {
  const owner = nodeAt(root, path.slice(0, -1));
  const key = path.at(-1);
  if (!isMap(owner)) return owner.range[0];
  return (
    owner.items.find((pair) => isScalar(pair.key) && pair.key.value === key)?.key.range[0] ?? owner.range[0]
  );
}
