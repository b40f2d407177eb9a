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
  if (typeof scalar.value !== 'string') return start;
  switch (scalar.type) {
    case 'QUOTE_DOUBLE':
      return walk(text, start + 1, end, scalar.value, offset, doubleQuoted) ?? start;
    case 'QUOTE_SINGLE':
      return walk(text, start + 1, end, scalar.value, offset, singleQuoted) ?? start;
    case 'BLOCK_LITERAL':
    case 'BLOCK_FOLDED':
      return walk(text, text.indexOf('\n', start) + 1, end, scalar.value, offset, unescaped) ?? start;
    default:
      return walk(text, start, end, scalar.value, offset, unescaped) ?? start;
  }
}

/** How many source characters write the next value character; 0: they write none (white space that is folded). */
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

const isSpace = (character: string | undefined): boolean =>
  character === ' ' || character === '\n' || character === '\t' || character === '\r';

function walk(
  text: string,
  from: number,
  end: number,
  value: string,
  offset: number,
  width: Width,
): number | undefined {
  let at = from;
  for (let index = 0; at < end; ) {
    joinedLines.lastIndex = at;
    if (width === doubleQuoted && joinedLines.test(text)) {
      at = joinedLines.lastIndex;
      continue;
    }
    const wanted = value[index];
    const found = text[at];
    const escaped = width(text, at) > 1;
    if (!escaped && found !== wanted && isSpace(found)) {
      // Indentation, or a line end that folding turned into a space.
      if (isSpace(wanted) && !isSpace(text[at + 1])) index++;
      at++;
      continue;
    }
    if (!escaped && found !== wanted) {
      if (!isSpace(wanted)) return undefined;
      index++;
      continue;
    }
    if (index >= offset) return at;
    index++;
    at += width(text, at);
  }
  return offset >= value.length ? at : undefined;
}
