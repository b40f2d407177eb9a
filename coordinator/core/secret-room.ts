/**
 * Whether secrets still fit in their store. The journal names a secret before anybody can read it, so what
 * does not fit must be refused before it is named.
 */
import { limits } from '../../shared/limits.ts';
import { utf8Length } from '../../shared/utf8.ts';
import type { Secret, SecretRoom } from './commands.ts';

/** Base64 of nonce, value and tag, the reference, and the JSON around them: near enough to decide by. */
export const bytesOfSecret = ({ reference, value }: Secret): number =>
  Math.ceil((utf8Length(value) + 28) * (4 / 3)) + utf8Length(reference) + 45;

/** Why secrets that would take so much do not fit, or undefined. */
export function faultOfRoom(taken: SecretRoom, room: SecretRoom): string | undefined {
  if (taken.count === 0) return undefined;
  if (taken.count > room.count) return storeFull(`secretsMax is ${limits.secretsMax}`);
  return taken.bytes > room.bytes ? storeFull(`secretsBytesMax is ${limits.secretsBytesMax}`) : undefined;
}

const storeFull = (bound: string): string =>
  `the secret store is full (${bound}): secrets of a run go when it has ended, those of params when they are unset`;
