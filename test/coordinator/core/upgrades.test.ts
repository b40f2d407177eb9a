/** Who is told of another version of the agent, in which order, and what becomes of it. */
import t from 'tap';
import type { Command, Effect } from '../../../coordinator/core/commands.ts';
import { emptyState, execute, progress } from '../../../coordinator/core/engine.ts';
import { fromShards } from '../../../coordinator/core/snapshot-reading.ts';
import { toShards } from '../../../coordinator/core/snapshot-writing.ts';
import { explainPlace } from '../../../coordinator/core/upgrades.ts';
import { present } from '../../../shared/assert.ts';
import type { Hello } from '../../../shared/messages.ts';
import { helloOf } from '../small-agent.ts';

const digest = `sha256:${'1'.repeat(64)}`;

class Fleet {
  state = emptyState();
  readonly told: string[] = [];
  readonly events: string[] = [];
  readonly facts = new Map<string, object>();
  readonly #counters = new Map<string, number>();
  readonly lookup = {
    facts: (name: string) => this.facts.get(name),
    text: () => 'null',
    secret: () => 'null',
    secretRoom: () => ({ count: 0, bytes: 0 }),
    logTail: () => '',
    digestOf: () => digest,
  };

  constructor() {
    this.command({ type: 'BeginReign', lineage: 'l', epoch: 1, version: '0' });
  }

  command(command: Command): void {
    const decision = execute(this.state, command, 1_000, this.lookup);
    if (!decision.ok) throw decision.error;
    const more = progress(this.state, 1_000, this.lookup, 100);
    this.events.push(...[...decision.events, ...more.events].map(({ type }) => type));
    this.#take([...decision.effects, ...more.effects]);
  }

  connect(name: string, version = '0.2.0', more: Partial<Hello> = {}): void {
    const counter = (this.#counters.get(name) ?? 0) + 1;
    this.#counters.set(name, counter);
    const hello = helloOf(name, { version, counter, features: ['upgrade'], ...more });
    this.command({ type: 'ConnectAgent', hello, token: 't' });
  }

  offer(more: Partial<Extract<Command, { type: 'OfferAgent' }>['program']> = {}): void {
    const program = {
      version: '0.3.0',
      digest,
      sizeBytes: 1,
      architecture: null,
      where: null,
      atOnce: 2,
      healthyWithinMs: 1_000,
      ...more,
    };
    this.command({ type: 'OfferAgent', program, by: 'operator:test' });
  }

  fail(name: string, offer = 1): void {
    this.command({ type: 'ReportUpgradeFailed', node: name, offer, digest, reason: 'it is no good' });
  }

  why(name: string): string | undefined {
    return explainPlace(this.state, present(this.state.nodes.get(name), name), this.lookup)?.sentence;
  }

  /** Who was told since it was asked last. */
  get news(): string {
    return this.told.splice(0).join(' ');
  }

  restart(): void {
    const shards = new Map(toShards(this.state));
    this.state = fromShards((name) => JSON.parse(JSON.stringify(shards.get(name))));
    this.command({ type: 'BeginReign', lineage: 'l', epoch: this.state.epoch + 1, version: '0' });
  }

  #take(effects: readonly Effect[]): void {
    for (const effect of effects) if (effect.kind === 'upgrade') this.told.push(effect.node);
  }
}

t.test('one node first, then a bounded number, each once', (t) => {
  const fleet = new Fleet();
  for (const name of ['n2', 'n1', 'n3', 'n4', 'n5']) fleet.connect(name);
  fleet.offer();
  t.equal(fleet.news, 'n1');
  t.equal(
    fleet.why('n2'),
    'n2 runs agent 0.2.0 and waits for its turn to take 0.3.0: n1, which goes first, takes it now, and 1 at once may',
  );
  fleet.connect('n1', '0.3.0');
  t.equal(fleet.news, 'n2 n3');
  t.equal(fleet.why('n1'), undefined);
  t.match(fleet.why('n2'), /takes 0\.3\.0 now/);
  fleet.connect('n3', '0.3.0');
  t.equal(fleet.news, 'n4');
  fleet.connect('n9', '0.3.0');
  t.equal(fleet.news, '', 'one that has it already frees no place');
  fleet.connect('n2', '0.3.0');
  fleet.connect('n4', '0.3.0');
  fleet.connect('n5', '0.3.0');
  t.equal(fleet.news, 'n5');
  t.end();
});

t.test('a failure stops the offer, and another offer begins anew', (t) => {
  const fleet = new Fleet();
  for (const name of ['n1', 'n2', 'n3']) fleet.connect(name);
  fleet.offer();
  fleet.fail('n1');
  fleet.fail('n1');
  t.equal(fleet.events.filter((type) => type === 'AgentUpgradeFailed').length, 1);
  t.equal(fleet.news, 'n1');
  t.match(fleet.why('n1'), /stays with it: 0\.3\.0 failed there \(it is no good\)/);
  t.match(fleet.why('n2'), /nobody else is asked since it failed on n1 \(it is no good\)/);
  fleet.connect('n1', '0.2.0', { upgradesFailed: [{ offer: 1, digest, reason: 'it is no good' }] });
  t.equal(fleet.news, '');
  fleet.offer();
  t.equal(fleet.news, 'n1');
  fleet.fail('n1', 1);
  t.equal(fleet.news, 'n1', 'it was still at the old offer, and is told again of the new one');
  t.match(fleet.why('n1'), /takes 0\.3\.0 now/);
  t.end();
});

t.test('a failure that could not be told comes with the next connection', (t) => {
  const fleet = new Fleet();
  fleet.connect('n1');
  fleet.offer();
  t.equal(fleet.news, 'n1');
  fleet.connect('n1');
  t.equal(fleet.news, 'n1', 'told again, for it may not have heard');
  fleet.connect('n1', '0.2.0', { upgradesFailed: [{ offer: 1, digest, reason: 'it hangs' }] });
  t.equal(fleet.news, '');
  t.match(fleet.why('n1'), /\(it hangs\)/);
  t.end();
});

t.test('only those whom it is meant for, who can take it, and who are there', (t) => {
  const fleet = new Fleet();
  fleet.connect('n1', '0.2.0', { labels: { site: 'b' } });
  fleet.connect('n2', '0.1.0', { labels: { site: 'a' }, features: [] });
  fleet.connect('n3', '0.2.0', { labels: { site: 'a' } });
  fleet.connect('n4', '0.2.0', { labels: { site: 'a' } });
  fleet.facts.set('arm', { cpu: { architecture: 'aarch64' } });
  fleet.facts.set('intel', { cpu: { architecture: 'x86_64' } });
  fleet.command({ type: 'ReportFacts', node: 'n3', digest: 'arm' });
  fleet.offer({ where: 'labels.site == "a"', architecture: 'x86_64' });
  t.equal(fleet.news, '');
  t.equal(fleet.why('n1'), undefined);
  t.equal(fleet.why('n3'), undefined);
  fleet.command({
    type: 'DisconnectAgent',
    node: 'n4',
    incarnation: 'incarnation-of-n4',
    counter: 1,
    reason: '',
  });
  for (const node of ['n2', 'n4']) fleet.command({ type: 'ReportFacts', node, digest: 'intel' });
  t.equal(fleet.news, '');
  t.equal(fleet.why('n2'), 'n2 runs agent 0.1.0 and cannot take 0.3.0 by itself: install it there');
  t.match(fleet.why('n4'), /is offered 0\.3\.0 when it is back/);
  fleet.connect('n4', '0.2.0', { labels: { site: 'a' } });
  t.equal(fleet.news, 'n4');
  t.end();
});

t.test('what is under way is known after a restart', (t) => {
  const fleet = new Fleet();
  for (const name of ['n1', 'n2', 'n3']) fleet.connect(name);
  fleet.offer();
  fleet.connect('n1', '0.3.0');
  t.equal(fleet.news, 'n1 n2 n3');
  fleet.restart();
  t.equal(fleet.news, '');
  fleet.connect('n1', '0.3.0');
  fleet.connect('n2');
  t.equal(fleet.news, 'n2');
  fleet.fail('n2');
  fleet.restart();
  t.match(fleet.why('n2'), /\(it is no good\)/);
  t.match(fleet.why('n3'), /takes 0\.3\.0 now/);
  t.end();
});

t.test('the turn of a node ends when an agent is put there that takes nothing', async (t) => {
  const fleet = new Fleet();
  fleet.connect('n1');
  fleet.connect('n2');
  fleet.offer();
  t.same([...(fleet.state.offer?.taking.keys() ?? [])], ['n1']);
  fleet.connect('n1', '0.1.0', { features: [] });
  t.same([...(fleet.state.offer?.taking.keys() ?? [])], ['n2'], 'the next one goes first');
  t.match(fleet.told.at(-1), 'n2');
});
