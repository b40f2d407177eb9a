/** At which address one node is reached from another, by what both told of their interfaces. */
import t from 'tap';
import { evaluateTemplate } from '../../../shared/expressions/evaluate.ts';

type Listed = readonly [address: string, prefixLength: number, up?: boolean];

const nodeOf = (name: string, address: string | undefined, ...listed: readonly Listed[]): object => ({
  name,
  labels: {},
  ...(address === undefined ? {} : { address }),
  facts: {
    interfaces: listed.map(([text, prefixLength, up = true], index) => ({
      name: `eth${index}`,
      up,
      addresses: [{ family: text.includes(':') ? 'ipv6' : 'ipv4', address: text, prefixLength }],
    })),
  },
});

const seenFrom = (node: object, from: object) =>
  evaluateTemplate('${{ addressOf(roles.a.leader, node) }}', { roles: { a: { leader: node } }, node: from });
const at = (value: string) => ({ ok: true, value });

t.test('an address in a subnet of the other is taken before the one of the connection', (t) => {
  const web = nodeOf('web', '203.0.113.7', ['203.0.113.7', 24], ['10.1.0.7', 16], ['fd00:1::7', 64]);
  const cases: readonly (readonly [string, object, string])[] = [
    ['the private network', nodeOf('db', '10.1.200.9', ['10.1.200.9', 16]), '10.1.0.7'],
    ['an IPv6 network', nodeOf('db', 'fd00:1::9', ['fd00:1::9', 64]), 'fd00:1::7'],
    ['written otherwise', nodeOf('db', undefined, ['FD00:1:0:0:0:0:0:9', 64]), 'fd00:1::7'],
    ['the same public network', nodeOf('db', '203.0.113.9', ['203.0.113.9', 24]), '203.0.113.7'],
    [
      'the network of its connection first',
      nodeOf('db', '10.1.0.9', ['203.0.113.9', 24], ['10.1.0.9', 16]),
      '10.1.0.7',
    ],
    ['another network of the same family', nodeOf('db', '192.0.2.9', ['192.0.2.9', 24]), '203.0.113.7'],
    ['another network, IPv6 only', nodeOf('db', '2001:db8::9', ['2001:db8::9', 64]), 'fd00:1::7'],
    ['nothing but an address', nodeOf('db', '198.51.100.1'), '203.0.113.7'],
    ['nothing at all', nodeOf('db', undefined), '203.0.113.7'],
    ['an address mapped into IPv6', nodeOf('db', '::ffff:198.51.100.1'), '203.0.113.7'],
    ['an interface that is down', nodeOf('db', '192.0.2.9', ['10.1.0.9', 16, false]), '203.0.113.7'],
  ];
  for (const [what, from, address] of cases) t.strictSame(seenFrom(web, from), at(address), what);
  t.strictSame(seenFrom(web, web), at('203.0.113.7'), 'itself');
  t.end();
});

t.test('what means something on one host or link alone is not taken', (t) => {
  const bridge = ['172.17.0.1', 16] as const;
  const one = nodeOf(
    'one',
    '10.0.0.1',
    bridge,
    ['169.254.9.1', 16],
    ['fe80::1', 64],
    ['127.0.1.1', 8],
    ['10.0.0.1', 24],
  );
  const two = nodeOf('two', '192.0.2.2', bridge, ['169.254.9.2', 16], ['fe80::2', 64], ['127.0.2.1', 8]);
  t.strictSame(seenFrom(one, two), at('10.0.0.1'));
  t.strictSame(seenFrom(two, one), at('192.0.2.2'));
  t.end();
});

t.test('no address of a family that the other has is a fault, and so is none at all', (t) => {
  const four = nodeOf('four', '192.0.2.4', ['192.0.2.4', 24]);
  const six = nodeOf('six', '2001:db8::6', ['2001:db8::6', 64]);
  t.strictSame(seenFrom(four, six), {
    ok: false,
    reason: 'node four has no ipv6 address that six could reach',
  });
  const both = nodeOf('both', '2001:db8:1::1', ['2001:db8:1::1', 64], ['198.51.100.9', 24]);
  t.strictSame(seenFrom(four, both), at('192.0.2.4'), 'the second family');
  t.strictSame(seenFrom(both, four), at('198.51.100.9'));
  t.match(seenFrom(nodeOf('none', undefined), four), { ok: false, reason: /none has no ipv4 address/ });
  t.match(seenFrom(nodeOf('odd', 'host.example'), four), { ok: false, reason: /odd has no ipv4 address/ });
  t.strictSame(
    evaluateTemplate('${{ addressOf(node) }}', { node: nodeOf('odd', 'host.example') }),
    at('host.example'),
  );
  for (const wrong of ['1.2.3', '1.2.3.256', '1::2::3', '1:2:3:4:5:6:7:8:9', 'g::1', '12345::1', '1.2.3.4.5'])
    t.match(seenFrom(nodeOf('odd', undefined, [wrong, 8]), nodeOf('x', '1::')), { ok: false }, wrong);
  t.match(
    seenFrom(nodeOf('odd', undefined, ['1.2.3.4', 33]), four),
    { ok: false },
    'a prefix that is too long',
  );
  t.end();
});

t.test('it pays for comparing, however many addresses there are', (t) => {
  const many = nodeOf(
    'many',
    '10.0.0.1',
    ...Array.from({ length: 300 }, (_, i): Listed => [`10.9.${i >> 8}.${i & 255}`, 24]),
  );
  const other = nodeOf(
    'other',
    '192.0.2.1',
    ...Array.from({ length: 300 }, (_, i): Listed => [`10.8.${i >> 8}.${i & 255}`, 24]),
  );
  t.strictSame(seenFrom(many, other), at('10.0.0.1'));
  const nodes = Array.from({ length: 300 }, () => many);
  t.match(
    evaluateTemplate('${{ roles.a.nodes.map(a, roles.a.nodes.map(b, addressOf(a, node))) }}', {
      roles: { a: { nodes } },
      node: other,
    }),
    {
      ok: false,
      reason: /needs more than \d+ operations/,
    },
  );
  t.end();
});
