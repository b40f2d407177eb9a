/** Ranges of bytes as headers have them. */
import { LockstepError } from '../../shared/errors.ts';

export type ByteRange = { readonly start: number; readonly end: number };

/**
 * One range out of a `Range` header (RFC 9110, 14.1); several at once are answered by the whole. `whole`: no
 * range, or one that may be ignored. `unsatisfiable`: nothing of it is there.
 */
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

/**
 * What a request brings of how much: all of it by its length, or the rest of it by `Content-Range`. Null when
 * neither says so. Throws `invalid` for a range that does not reach to the end, or does not fit the length.
 */
export function readRest(
  header: string | undefined,
  length: number | null,
): { readonly start: number; readonly size: number } | null {
  if (header === undefined) return length === null ? null : { start: 0, size: length };
  const [, first, last, whole] = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/.exec(header) ?? [];
  const [start, end, size] = [Number(first), Number(last) + 1, Number(whole)];
  if (start < size && end === size && length === size - start) return { start, size };
  throw new LockstepError(
    'invalid',
    `content-range "${header.slice(0, 100)}" cannot be used: give bytes START-LAST/SIZE up to the last byte, with the content-length of just these`,
  );
}
