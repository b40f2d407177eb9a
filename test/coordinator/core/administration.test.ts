/** Tokens, labels, params, modules and nodes: what is refused, with the words that the operator reads. */
import t from 'tap';
import { limits } from '../../../shared/limits.ts';
import { World } from './world.ts';

const by = 'operator:ann';

t.test('nodes are removed only when nothing needs them', (t) => {
  const world = new World();
  world.connect('n1');
  t.match(
    world.command({ type: 'RemoveNode', node: 'n9', by, reason: '' }),
    /no node is named n9: see lockstep nodes/,
  );
  t.match(
    world.command({ type: 'RemoveNode', node: 'n1', by, reason: '' }),
    /n1 is connected: stop its agent first/,
  );
  world.disconnect('n1');
  t.equal(world.command({ type: 'RemoveNode', node: 'n1', by, reason: '' }), undefined);
  t.notOk(world.state.nodes.has('n1'));
  t.end();
});

t.test('labels', (t) => {
  const world = new World();
  world.connect('n1', { rack: 'a' });
  const label = (set: Record<string, string>, unset: string[] = []): string | undefined =>
    world.command({ type: 'LabelNode', node: 'n1', set, unset, by });
  t.match(label({ 'bad key': 'x' }), /label key "bad key" is not letters/);
  t.match(label({ long: 'x'.repeat(300) }), /label long is longer than 253/);
  const seq = world.state.seq;
  t.equal(label({ rack: 'b', site: 'x' }), undefined);
  t.same(
    world.state.nodes.get('n1')?.labels,
    { rack: 'b', site: 'x' },
    "an operator's label wins over the agent's",
  );
  t.equal(label({ rack: 'b' }), undefined);
  t.equal(world.state.seq, seq + 1, 'what changes nothing is not journaled');
  label({}, ['rack']);
  t.same(world.state.nodes.get('n1')?.labels, { rack: 'a', site: 'x' }, "without it the agent's is back");
  t.end();
});

t.test('labels of agent and operators together have a bound', (t) => {
  const world = new World();
  const numbered = (from: number, count: number): Record<string, string> =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${from + index}`, 'x']));
  const label = (set: Record<string, string>, unset: string[] = []): string | undefined =>
    world.command({ type: 'LabelNode', node: 'n1', set, unset, by });
  const max = limits.labelsPerNodeMax;
  world.connect('n1', numbered(0, 10));
  t.equal(label(numbered(5, max - 5)), undefined, 'what both give counts once');
  t.equal(Object.keys(world.state.nodes.get('n1')?.labels ?? {}).length, max);
  t.match(label({ more: 'x' }), /cannot label n1: it would have 257 labels.*labelsPerNodeMax is 256/);
  t.match(label({ more: 'x' }, ['k5']), /257/, "the agent's comes back");
  t.equal(label({ more: 'x' }, [`k${max - 1}`]), undefined, 'one for another');
  t.equal(label({ more: 'y' }), undefined, 'other values');

  world.connect('n1', {}, { labels: numbered(0, 11) });
  t.equal(world.state.nodes.get('n1')?.contact, 'connected', 'it has that one already');
  world.connect('n1', {}, { labels: { ...numbered(0, 10), fresh: 'x' } });
  t.match(world.rejections, [/node n1 cannot join: it would have 257 labels/]);
  t.notOk('fresh' in (world.state.nodes.get('n1')?.labels ?? {}));
  world.connect('n2', {}, { labels: numbered(0, max + 1) });
  t.notOk(world.state.nodes.has('n2'));
  t.end();
});

t.test('params', (t) => {
  const world = new World();
  world.connect('n1');
  const scope = { cluster: 'default' } as const;
  t.match(
    world.command({ type: 'SetParam', scope, name: '9lives', value: 1, secret: false, by }),
    /"9lives" is not a param name/,
  );
  t.match(
    world.command({ type: 'SetParam', scope: { node: 'n9' }, name: 'x', value: 1, secret: false, by }),
    /no node is named n9/,
  );
  t.match(
    world.command({ type: 'SetParam', scope, name: 'x', value: 'x'.repeat(2 ** 20), secret: false, by }),
    /param x is longer than/,
  );
  t.match(world.command({ type: 'UnsetParam', scope, name: 'x', by }), /cluster\/default has no param x/);
  t.equal(
    world.command({ type: 'SetParam', scope, name: 'word', value: 'hush-hush', secret: true, by }),
    undefined,
  );
  t.notMatch(JSON.stringify(world.events), /hush-hush/, 'a secret is nowhere in the journal');
  t.match([...world.secrets.values()], ['"hush-hush"']);
  world.command({ type: 'SetParam', scope, name: 'long', value: 'y'.repeat(2_000), secret: false, by });
  t.notMatch(JSON.stringify(world.events), /yyyy/, 'a long value is named by its digest');
  t.end();
});

t.test('a version of a module means one content', (t) => {
  const world = new World();
  const pin = (digest: string): string | undefined =>
    world.command({ type: 'PinModule', module: 'etcd@1.0.0', digest, by });
  t.equal(pin('sha256:a'), undefined);
  const seq = world.state.seq;
  t.equal(pin('sha256:a'), undefined);
  t.equal(world.state.seq, seq);
  t.match(
    pin('sha256:b'),
    /module etcd@1.0.0 is known with other content .* give the changed module a new version/,
  );
  t.end();
});

t.test('tokens', (t) => {
  const world = new World();
  world.command({ type: 'CreateToken', token: 't1', hash: 'h', kind: 'join', by, expiresAt: null });
  t.match(
    world.command({ type: 'RevokeToken', token: 't2', by }),
    /no token has the id t2: see lockstep token list/,
  );
  t.equal(world.command({ type: 'RevokeToken', token: 't1', by }), undefined);
  t.equal(world.state.tokens.get('t1')?.revoked, true);
  t.end();
});

t.test('a retired node gets no work and cannot come back by itself', (t) => {
  const world = new World();
  world.connect('n1');
  world.command({ type: 'AdministerNode', node: 'n1', administration: 'retired', by, reason: 'sold' });
  world.disconnect('n1');
  world.connect('n1');
  t.match(world.rejections, [/n1 was retired: bring it back with lockstep node in-service n1/]);
  t.end();
});
