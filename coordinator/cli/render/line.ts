/**
 * One line on a terminal as styled spans: its width in columns, cut and paint. Renderers return these, so
 * that what they show can be tested as plain text and cut without breaking an escape sequence.
 */

/** Named for what they say; `ansi` below says how they look. */
export type Style = 'plain' | 'strong' | 'dim' | 'good' | 'busy' | 'bad' | 'warn';

export type Span = { readonly text: string; readonly style: Style };
export type Line = readonly Span[];

export const span = (text: string, style: Style = 'plain'): Span => ({ text, style });
export const line = (text: string, style: Style = 'plain'): Line => [span(text, style)];

const ansi: Readonly<Record<Style, string>> = {
  plain: '',
  strong: '\u001b[1m',
  dim: '\u001b[2m',
  good: '\u001b[32m',
  busy: '\u001b[36m',
  bad: '\u001b[31m',
  warn: '\u001b[33m',
};
const reset = '\u001b[0m';

/** Code points that take two columns: East Asian wide forms and pictures. [first, last], ascending. */
const wide: readonly (readonly [number, number])[] = [
  [0x1100, 0x115f],
  [0x2e80, 0xa4cf],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe30, 0xfe6f],
  [0xff00, 0xff60],
  [0xffe0, 0xffe6],
  [0x1f300, 0x1faff],
  [0x20000, 0x3fffd],
];
const printableAscii = /^[\x20-\x7e]*$/;
const zeroWidth = /^[\p{M}\p{Cf}]$/u;

const columnsOfCharacter = (character: string): number => {
  if (zeroWidth.test(character)) return 0;
  const code = character.codePointAt(0) ?? 0;
  return wide.some(([first, last]) => code >= first && code <= last) ? 2 : 1;
};

/** How many columns a text without control characters takes. */
export function widthOf(text: string): number {
  if (printableAscii.test(text)) return text.length;
  let columns = 0;
  for (const character of text) columns += columnsOfCharacter(character);
  return columns;
}

export const lineWidth = (content: Line): number =>
  content.reduce((columns, { text }) => columns + widthOf(text), 0);

/** As many characters from the start as fit. */
function startOf(text: string, columns: number): string {
  let kept = '';
  let width = 0;
  for (const character of text) {
    width += columnsOfCharacter(character);
    if (width > columns) break;
    kept += character;
  }
  return kept;
}

/** The text, or as much of it as fits before an ellipsis. */
export function cut(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text;
  return columns <= 0 ? '' : `${startOf(text, columns - 1)}…`;
}

/** The line, or as much of it as fits before an ellipsis, each span in its style. */
export function cutLine(content: Line, columns: number): Line {
  if (lineWidth(content) <= columns) return content;
  const kept: Span[] = [];
  let room = columns - 1;
  for (const { text, style } of content) {
    const width = widthOf(text);
    if (width > room) return [...kept, { text: `${startOf(text, room)}…`, style }];
    kept.push({ text, style });
    room -= width;
  }
  return kept;
}

/** The text in lines that fit, broken between words where it can be; further lines have two columns less. */
export function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  let current = '';
  for (const word of text.split(' ')) {
    const room = Math.max(1, lines.length === 0 ? columns : columns - 2);
    const joined = current === '' ? word : `${current} ${word}`;
    if (current !== '' && widthOf(joined) > room) {
      lines.push(current);
      current = word;
    } else current = joined;
  }
  return [...lines, current];
}

export const padEnd = (text: string, columns: number): string =>
  text + ' '.repeat(Math.max(0, columns - widthOf(text)));

export const padStart = (text: string, columns: number): string =>
  ' '.repeat(Math.max(0, columns - widthOf(text))) + text;

/** What the other end can show. */
export type Paint = {
  readonly colour: boolean;
  readonly asciiOnly: boolean;
  /** It obeys control characters, so that those in somebody else's words (titles, reasons) must not reach it. */
  readonly obeys: boolean;
};
export const plainPaint: Paint = { colour: false, asciiOnly: false, obeys: false };

/** What stands for the characters that pictures are made of where only ASCII can be shown; as wide as they are. */
const asciiForms: Readonly<Record<string, string>> = {
  '…': '~',
  '│': '|',
  '·': '.',
  '–': '-',
  '✓': '+',
  '✗': 'x',
  '●': '*',
  '○': 'o',
  '◌': 'o',
  '⊘': '/',
  '»': '>',
};

export function formatLine(content: Line, { colour, asciiOnly, obeys }: Paint): string {
  const painted = content
    .map(({ text: said, style }) => {
      const text = obeys ? said.replace(controls, '·') : said;
      return !colour || style === 'plain' || text === '' ? text : `${ansi[style]}${text}${reset}`;
    })
    .join('');
  return asciiOnly ? painted.replace(/[…│·–✓✗●○◌⊘»]/g, (character) => asciiForms[character] ?? '?') : painted;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: finding control characters is the purpose
const escapeSequences = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-Z\\-_])/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: finding control characters is the purpose
const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/**
 * A line of somebody else's text made harmless: no escape sequences, what a carriage return overwrote is
 * gone, tabs are spaces. A node's log must not be able to move the cursor of the operator's terminal.
 */
export function harmless(text: string): string {
  const overwritten = text.replace(/\r+$/, '').split('\r');
  return (overwritten.at(-1) ?? '')
    .replace(escapeSequences, '')
    .replace(/\t/g, '    ')
    .replace(controls, '·');
}
