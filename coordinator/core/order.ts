/**
 * How names are ordered wherever order is seen: `n2` before `n10`. Written out rather than taken from Intl,
 * so that a decision replayed on another machine with other locale tables is the same decision.
 */

const digitRun = /(\d+)/;

export function compareNames(left: string, right: string): number {
  if (left === right) return 0;
  const leftParts = left.split(digitRun);
  const rightParts = right.split(digitRun);
  const length = Math.min(leftParts.length, rightParts.length);
  for (let index = 0; index < length; index += 1) {
    const a = leftParts[index] ?? '';
    const b = rightParts[index] ?? '';
    if (a === b) continue;
    // Odd parts are digits, of any length: longer without leading zeros is larger.
    if (index % 2 === 1) {
      const x = a.replace(/^0+/, '');
      const y = b.replace(/^0+/, '');
      if (x.length !== y.length) return x.length - y.length;
      if (x !== y) return x < y ? -1 : 1;
      continue;
    }
    return a < b ? -1 : 1;
  }
  if (leftParts.length !== rightParts.length) return leftParts.length - rightParts.length;
  return left < right ? -1 : 1;
}
