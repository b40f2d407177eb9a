/**
 * Turns a new picture over an old one into the fewest terminal movements: unchanged lines are passed over,
 * so nothing flickers, and nothing above the picture is touched, so scrolled-back history stays whole.
 */

const up = (lines: number): string => (lines > 0 ? `\u001b[${lines}A` : '');
const eraseToLineEnd = '\u001b[K';
const eraseBelow = '\u001b[J';
/** Terminals that know it show what is between at once; others ignore it. */
const beginFrame = '\u001b[?2026h';
const endFrame = '\u001b[?2026l';
export const hideCursor = '\u001b[?25l';
export const showCursor = '\u001b[?25h';

/**
 * Both pictures are painted lines, none wider than the terminal. The cursor is at the start of the line
 * below the old picture before, and of the line below the new one after.
 */
export function redraw(before: readonly string[], after: readonly string[]): string {
  if (before.length === after.length && before.every((text, index) => text === after[index])) return '';
  const moved = up(before.length);
  const lines = after
    .map((text, index) => (text === before[index] ? '\n' : `${text}${eraseToLineEnd}\n`))
    .join('');
  return `${beginFrame}${moved}\r${lines}${after.length < before.length ? eraseBelow : ''}${endFrame}`;
}

/**
 * Wipes a picture after the terminal's width changed and it may have wrapped the lines anew. `widths` are the
 * columns that each line takes.
 */
export function wipe(widths: readonly number[], columns: number): string {
  const rows = widths.reduce((sum, width) => sum + Math.max(1, Math.ceil(width / columns)), 0);
  return `${up(rows)}\r${eraseBelow}`;
}
