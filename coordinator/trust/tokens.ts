/**
 * Random secrets that let agents join and operators ask. A token reads `<id>.<secret>`: the id finds the
 * entry, so that a comparison needs no search, and only a hash of the whole is kept. What a token's kind
 * allows is decided by the edge that asks for it.
 */
import { hash, randomBytes, timingSafeEqual } from 'node:crypto';

export type NewToken = {
  readonly id: string;
  /** Shown once, stored nowhere. */
  readonly token: string;
  readonly hash: string;
};

/** What is kept of a token; see core/state.ts. */
export type KnownToken = {
  readonly id: string;
  readonly hash: string;
  readonly kind: 'join' | 'operator';
  readonly expiresAt: number | null;
  readonly revoked: boolean;
};

const tokenPattern = /^([a-z0-9-]{1,64})\.([A-Za-z0-9_-]{43})$/;

export function createToken(kind: 'join' | 'operator'): NewToken {
  const id = `${kind}-${randomBytes(5).toString('hex')}`;
  const token = `${id}.${randomBytes(32).toString('base64url')}`;
  return { id, token, hash: hashOf(token) };
}

/** The entry that a presented token belongs to, if it is valid at this time. */
export function verifyToken<T extends KnownToken>(
  known: ReadonlyMap<string, T>,
  presented: string,
  at: number,
): T | undefined {
  const [, id] = tokenPattern.exec(presented) ?? [];
  const entry = id === undefined ? undefined : known.get(id);
  if (entry === undefined || entry.revoked) return undefined;
  if (entry.expiresAt !== null && entry.expiresAt <= at) return undefined;
  return timingSafeEqual(Buffer.from(hashOf(presented)), Buffer.from(entry.hash)) ? entry : undefined;
}

/** The token of an `Authorization: Bearer …` header. */
export function bearerOf(header: string | undefined): string | undefined {
  const [, token] = /^Bearer ([^\s]{1,256})$/i.exec(header ?? '') ?? [];
  return token;
}

const hashOf = (token: string): string => hash('sha256', token, 'hex');
