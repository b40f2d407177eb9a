/** One range of bytes out of a `Range` header (RFC 9110, 14.1); several at once are answered by the whole. */

export type ByteRange = { readonly start: number; readonly end: number };

/** `whole`: no range, or one that may be ignored. `unsatisfiable`: nothing of it is there. */
export function readRange(header: string | undefined, size: number): ByteRange | 'whole' | 'unsatisfiable' {
  const [, first = '', last = ''] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '') ?? [];
  if (first === '' && last === '') return 'whole';
  if (first === '') {
    const length = Math.min(Number(last), size);
    return length === 0 ? 'unsatisfiable' : { start: size - length, end: size };
  }
  const start = Number(first);
  const end = last === '' ? size : Math.min(Number(last) + 1, size);
  if (start >= size) return 'unsatisfiable';
  return start < end ? { start, end } : 'whole';
}
