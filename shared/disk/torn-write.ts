/**
 * What a crash leaves of one write at the end of a file: a shorter file, or NUL bytes where blocks had not
 * reached the disk. Tells such holes from NUL bytes that have another cause and must not be cut away.
 */

/** Devices write whole sectors of at least this many bytes: a hole that a crash left cannot be finer. */
export const sectorBytes = 512;

export type Hole = { readonly start: number; readonly end: number };

/** Every run of NUL bytes from `offset` on. */
export function* holesIn(bytes: Buffer, offset: number): Generator<Hole> {
  for (let start = bytes.indexOf(0, offset); start !== -1; ) {
    let end = start;
    while (end < bytes.length && bytes[end] === 0) end += 1;
    yield { start, end };
    start = bytes.indexOf(0, end);
  }
}

/**
 * Whether a hole can be unwritten sectors of a write that began at `writeStart` and ended with the file. The
 * sector in which it began was durable up to there.
 */
export function isUnwritten(hole: Hole, writeStart: number, fileEnd: number): boolean {
  const startsWhole = hole.start % sectorBytes === 0 || hole.start === writeStart;
  const endsWhole = hole.end % sectorBytes === 0 || hole.end === fileEnd;
  return startsWhole && endsWhole;
}
