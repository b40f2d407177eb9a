/** The nearest valid word for one that is not: what "did you mean" says. */
import { limits } from './limits.ts';

/** Edit distance with swaps of neighbours, or undefined when it is over `bound`. */
function editDistance(a: string, b: string, bound: number): number | undefined {
  if (Math.abs(a.length - b.length) > bound) return undefined;
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      const steps = [(last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + (same ? 0 : 1)];
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        steps.push((beforeLast[j - 2] ?? 0) + 1);
      row.push(Math.min(...steps));
    }
    if (Math.min(...row) > bound) return undefined;
    beforeLast = last;
    last = row;
  }
  const distance = last[b.length] ?? 0;
  return distance <= bound ? distance : undefined;
}

/** The valid word that is nearest, if one is near enough to be what was meant: a third of its letters may differ. */
export function nearestWord(word: string, valid: Iterable<string>): string | undefined {
  if (word.length > limits.wordLengthMax) return undefined;
  let best: { readonly word: string; readonly distance: number } | undefined;
  for (const candidate of valid) {
    const bound = Math.min(3, Math.floor(Math.max(word.length, candidate.length) / 3));
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase(), bound);
    if (distance !== undefined && (best === undefined || distance < best.distance))
      best = { word: candidate, distance };
  }
  return best?.word;
}
