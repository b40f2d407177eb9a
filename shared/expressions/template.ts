/**
 * Text with `${{ expression }}` in it. `$${{` stands for the characters themselves. An expression ends at the
 * first `}}` that is neither inside a string nor closes a brace of its own, so that maps may stand in it.
 */

export type Segment =
  | { readonly kind: 'text'; readonly text: string }
  /** `start` is where `text` begins in the whole template. */
  | { readonly kind: 'expression'; readonly text: string; readonly start: number };

export type Template =
  | { readonly ok: true; readonly segments: readonly Segment[] }
  | { readonly ok: false; readonly message: string; readonly start: number };

const open = '${{';

export function parseTemplate(template: string): Template {
  const segments: Segment[] = [];
  let text = '';
  let at = 0;
  while (at < template.length) {
    const next = template.indexOf(open, at);
    if (next === -1) break;
    if (next > 0 && template[next - 1] === '$' && next - 1 >= at) {
      text += `${template.slice(at, next - 1)}${open}`;
      at = next + open.length;
      continue;
    }
    text += template.slice(at, next);
    const start = next + open.length;
    const end = endOfExpression(template, start);
    if (end === undefined) return { ok: false, message: 'this "${{" has no "}}"', start: next };
    if (text !== '') segments.push({ kind: 'text', text });
    text = '';
    segments.push({ kind: 'expression', text: template.slice(start, end), start });
    at = end + 2;
  }
  text += template.slice(at);
  if (text !== '') segments.push({ kind: 'text', text });
  return { ok: true, segments };
}

function endOfExpression(template: string, from: number): number | undefined {
  let braces = 0;
  for (let at = from; at < template.length; at++) {
    const character = template[at];
    if (character === '"' || character === "'") {
      at = endOfString(template, at);
    } else if (character === '{') {
      braces++;
    } else if (character === '}') {
      if (braces > 0) braces--;
      else if (template[at + 1] === '}') return at;
    }
  }
  return undefined;
}

/**
 * Where the closing quote is (the last one of three); the end of the text when there is none. In raw strings too,
 * the library lets a backslash keep the quote after it from closing.
 */
function endOfString(template: string, from: number): number {
  const quote = template[from] ?? '';
  const closing = template.startsWith(quote.repeat(3), from) ? quote.repeat(3) : quote;
  for (let at = from + closing.length; at < template.length; at++) {
    if (template[at] === '\\') at++;
    else if (template.startsWith(closing, at)) return at + closing.length - 1;
  }
  return template.length;
}
