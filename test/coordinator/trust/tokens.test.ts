/** Who presents a token is believed only with the whole of a known, valid one. */
import { createHash } from 'node:crypto';
import t from 'tap';
import { bearerOf, createToken, type KnownToken, verifyToken } from '../../../coordinator/trust/tokens.ts';

const known = (entry: Partial<KnownToken> & { id: string; hash: string }): Map<string, KnownToken> =>
  new Map([[entry.id, { kind: 'join', expiresAt: null, revoked: false, ...entry }]]);

t.test('tokens', (t) => {
  const { id, token, hash } = createToken('join');
  t.match(token, /^join-[0-9a-f]{10}\.[\w-]{43}$/);
  t.equal(hash, createHash('sha256').update(token).digest('hex'), 'only a hash is kept');
  t.not(createToken('join').token, token);
  t.equal(verifyToken(known({ id, hash }), token, 5)?.id, id);
  const other = createToken('join');
  t.equal(
    verifyToken(known({ id, hash }), `${id}.${other.token.split('.')[1]}`, 5),
    undefined,
    'another secret',
  );
  t.equal(verifyToken(known({ id, hash }), other.token, 5), undefined, 'another id');
  for (const wrong of ['', id, `${id}.`, token.slice(0, -1), `${token}x`, ` ${token}`])
    t.equal(verifyToken(known({ id, hash }), wrong, 5), undefined, JSON.stringify(wrong));
  t.equal(verifyToken(known({ id, hash, revoked: true }), token, 5), undefined, 'revoked');
  t.equal(verifyToken(known({ id, hash, expiresAt: 5 }), token, 5), undefined, 'expired');
  t.equal(verifyToken(known({ id, hash, expiresAt: 6 }), token, 5)?.id, id, 'not expired yet');
  t.end();
});

t.test('the header', (t) => {
  t.equal(bearerOf('Bearer abc.def'), 'abc.def');
  t.equal(bearerOf('bearer abc'), 'abc');
  for (const wrong of [undefined, '', 'Basic abc', 'Bearer', 'Bearer a b', `Bearer ${'x'.repeat(300)}`])
    t.equal(bearerOf(wrong), undefined);
  t.end();
});
