/**
 * From a character of a text value to the place where it is written. YAML folds lines, strips indentation
 * and resolves escapes, so value and source are walked side by side.
 */

type WrittenScalar = {
  readonly value: unknown;
  readonly type?: string | undefined;
  readonly range?: readonly [number, number, number] | null | undefined;
};

/** The offset in `text` of character `offset` of the scalar's value; the beginning when they cannot be matched. */
export function offsetInScalar(text: string, scalar: WrittenScalar, offset: number): number {
  const [start, end] = scalar.range ?? [0, 0];
  const { value } = scalar;
  if (typeof value !== 'string') return start;
  switch (scalar.type) {
    case 'QUOTE_DOUBLE':
      return inFlow(text, start + 1, end, offset, doubleQuoted);
    case 'QUOTE_SINGLE':
      return inFlow(text, start + 1, end, offset, singleQuoted);
    case 'BLOCK_LITERAL':
    case 'BLOCK_FOLDED':
      return inBlock(text, text.indexOf('\n', start) + 1, end, value, offset) ?? start;
    default:
      return inFlow(text, start, end, offset, unescaped);
  }
}

/** How many source characters write the next value character. */
type Width = (text: string, at: number) => number;

const unescaped: Width = () => 1;
const singleQuoted: Width = (text, at) => (text.startsWith("''", at) ? 2 : 1);
const escapeWidths: Readonly<Record<string, number>> = { x: 4, u: 6, U: 10 };
const doubleQuoted: Width = (text, at) => {
  if (text[at] !== '\\') return 1;
  return escapeWidths[text[at + 1] ?? ''] ?? 2;
};

/** A backslash at a line end, which joins the lines: it and the indentation that follows write nothing. */
const joinedLines = /\\\r?\n[ \t]*/y;
/** Lines that are folded: one line end is a space, each further one is itself. */
const foldedLines = /[ \t]*\r?\n[ \t\r\n]*/y;

function inFlow(text: string, from: number, end: number, offset: number, width: Width): number {
  let index = 0;
  for (let at = from; at < end; ) {
    joinedLines.lastIndex = at;
    foldedLines.lastIndex = at;
    if (width === doubleQuoted && joinedLines.test(text)) {
      at = joinedLines.lastIndex;
      continue;
    }
    const [folded] = foldedLines.exec(text) ?? [];
    const written = folded === undefined ? 1 : Math.max(1, folded.split('\n').length - 2);
    if (offset < index + written) return at;
    index += written;
    at += folded === undefined ? width(text, at) : folded.length;
  }
  return end;
}

const isSpace = (character: string | undefined): boolean =>
  character === ' ' || character === '\n' || character === '\t' || character === '\r';

/** Blocks have no escapes: only indentation and folded line ends differ. */
function inBlock(text: string, from: number, end: number, value: string, offset: number): number | undefined {
  let at = from;
  for (let index = 0; at < end; ) {
    const wanted = value[index];
    if (text[at] === wanted) {
      if (index >= offset) return at;
      index++;
      at++;
    } else if (isSpace(text[at])) {
      if (isSpace(wanted) && !isSpace(text[at + 1])) index++;
      at++;
    } else if (isSpace(wanted)) {
      index++;
    } else {
      return undefined;
    }
  }
  return offset >= value.length ? at : undefined;
}
