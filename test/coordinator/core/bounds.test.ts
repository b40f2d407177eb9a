/**
 * What a journal event and a message cannot hold is refused in a sentence, when it is asked for or when the job
 * would be granted, and what is within the bounds fits: a larger event could never be written, and a larger
 * message never be sent.
 */
import t from 'tap';
import { evolve } from '../../../coordinator/core/engine.ts';
import type { Event } from '../../../coordinator/core/events.ts';
import { grantMessage } from '../../../coordinator/ws/grant.ts';
import { limits } from '../../../shared/limits.ts';
import type { Pipeline } from '../../../shared/pipeline/model.ts';
import { pipelineOf } from '../../shared/pipeline/reading.ts';
import { World } from './world.ts';

const by = 'operator:ann';
const bytesOf = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));
const largestOf = (events: readonly Event[]): number => Math.max(...events.map(bytesOf));
const numbered = (count: number, line: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => line(index)).join('\n');

const named = (parts: string): Pipeline => pipelineOf(`kind: pipeline\nname: p\n${parts}`);
const setSecret = (world: World, name: string, value: unknown): string | undefined =>
  world.command({ type: 'SetParam', scope: { cluster: 'default' }, name, value, secret: true, by });

/** Fleets are too large to let every node connect by itself. */
function addNodes(world: World, count: number): void {
  for (let index = 0; index < count; index += 1) {
    const node = `n${index}`.padEnd(63, 'x');
    const stamp = () => ({ seq: world.state.seq + 1, at: world.at });
    const labels = {};
    evolve(world.state, {
      ...stamp(),
      type: 'NodeJoined',
      node,
      incarnation: 'incarnation',
      machineId: null,
      labels,
      token: 't',
    });
  }
}

/** The message that the first node of the world would get. */
const messageBytes = (world: World, node: string): number => {
  const jobs = (world.held.get(node) ?? []).map(({ job }) => job);
  return bytesOf(grantMessage(jobs, { lineage: 'test', epoch: 1 }, world.lookup.secret));
};

const withSecrets = (count: number): Pipeline =>
  named(`params:
${numbered(count, (index) => `  s${index}: { type: string, secret: true }`)}
roles: { all: {} }
steps:
  - id: a
    on: all
    with:
${numbered(count, (index) => `      v${index}: \${{ params.s${index} }}`)}
    run: echo
  - { id: b, on: all, run: echo }
`);

t.test('a job whose secrets fit in no message fails, and says why', (t) => {
  const half = Math.floor(limits.messageBytesMax / 2);
  for (const { each, fits } of [
    { each: half - 10_000, fits: true },
    { each: half, fits: false },
  ]) {
    const world = new World();
    world.connect('n1');
    for (const name of ['s0', 's1']) t.equal(setSecret(world, name, 'x'.repeat(each)), undefined);
    const stored = world.secrets.size;
    t.equal(world.run(withSecrets(2)), undefined);
    if (fits) {
      t.equal(world.attemptOn('n1'), 'r1/a/n1#1');
      t.ok(messageBytes(world, 'n1') <= limits.messageBytesMax);
      continue;
    }
    t.equal(world.attemptOn('n1'), undefined);
    const failed = world.events.find((event) => event.type === 'JobFailed');
    t.match(failed, { step: 'a', node: 'n1', reason: /have \d+ bytes.*one message of at most 1048576/ });
    t.match(world.events.at(-1), { type: 'RunEnded', state: 'failed' });
    t.equal(world.secrets.size, stored, 'and nothing is kept for it');
  }
  t.end();
});

t.test('characters of several bytes count in full, and so does every script and value', (t) => {
  const world = new World();
  world.connect('n1');
  t.equal(setSecret(world, 's0', '€'.repeat(340_000)), undefined);
  t.equal(world.run(withSecrets(1)), undefined);
  t.equal(world.attemptOn('n1'), 'r1/a/n1#1', 'a megabyte fits');
  t.ok(messageBytes(world, 'n1') <= limits.messageBytesMax);
  t.match(setSecret(world, 's0', '€'.repeat(360_000)), /param s0 is longer than 1048576 bytes/);

  const many = new World();
  many.connect('n1');
  const values = named(`roles: { all: {} }
steps:
  - id: a
    on: all
    with:
${numbered(1_000, (index) => `      v${index}: '${'€'.repeat(500)}'`)}
    run: echo
`);
  t.equal(many.run(values), undefined);
  t.match(
    many.events.find((event) => event.type === 'JobFailed'),
    { reason: /have 16\d{5} bytes/ },
  );
  t.end();
});

t.test('what is granted ahead fits in the same message, or comes later', (t) => {
  const world = new World();
  world.credit = 8;
  world.connect('n1');
  setSecret(world, 's0', 'x'.repeat(900_000));
  setSecret(world, 's1', '€'.repeat(40_000));
  const step = (id: string, secret: string): string =>
    `  - { id: ${id}, on: all, needs: [${id === 'a' ? '' : '{ step: a, same: node }'}], ` +
    `with: { v: '\${{ params.${secret} }}' }, run: echo }`;
  const pipeline = named(`params: { s0: { type: string, secret: true }, s1: { type: string, secret: true } }
roles: { all: {} }
steps:
${step('a', 's0')}
${step('b', 's1')}
${step('c', 's1')}
`);
  t.equal(world.run(pipeline), undefined);
  t.equal(world.held.get('n1')?.length, 2, 'one more fits');
  t.ok(messageBytes(world, 'n1') <= limits.messageBytesMax);
  for (const _ of 'abc') world.finish('n1', 'succeeded');
  t.match(world.events.at(-1), { type: 'RunEnded', state: 'succeeded' });
  t.end();
});

t.test('a secret that is handed on as it is is not copied for every node', (t) => {
  const world = new World();
  for (const node of ['n1', 'n2', 'n3']) world.connect(node);
  setSecret(world, 's0', 'hush-hush');
  const pipeline = named(`params: { s0: { type: string, secret: true } }
roles: { all: {} }
steps:
  - { id: make, on: all.leader, run: echo, rerun: idempotent, outputs: { word: { type: string, secret: true } } }
  - { id: a, on: all, run: echo, with: { p: '\${{ params.s0 }}', w: '\${{ steps.make.outputs.word }}', x: 'x\${{ params.s0 }}' } }
`);
  t.equal(world.run(pipeline), undefined);
  world.finish('n1', 'succeeded', { outputs: { word: 'made' } });
  for (const node of ['n1', 'n2', 'n3']) {
    const [held] = world.held.get(node) ?? [];
    if (held === undefined) throw new Error(`${node} has no job`);
    const [job] = grantMessage([held.job], { lineage: 'test', epoch: 1 }, world.lookup.secret).jobs;
    t.match(job?.inputs, { p: { value: 'hush-hush' }, w: { value: 'made' }, x: { value: 'xhush-hush' } });
    t.same(job?.secretInputs, ['p', 'w', 'x']);
  }
  t.equal(world.secrets.size, 2 + 3, 'the two, and what each node gets made of one');
  t.end();
});

t.test('a job as large as a message allows is not refused for what the bound leaves room for', (t) => {
  const world = new World();
  world.connect('n1');
  for (let index = 0; index < 1_000; index += 1) setSecret(world, `s${index}`, 'x'.repeat(800));
  t.equal(world.run(withSecrets(1_000)), undefined);
  t.equal(world.attemptOn('n1'), 'r1/a/n1#1');
  const bytes = messageBytes(world, 'n1');
  t.ok(bytes > 800_000 && bytes <= limits.messageBytesMax, `${bytes} bytes`);
  t.ok(largestOf(world.events) <= limits.journalEventBytesMax);
  t.end();
});

t.test('a param of a run is as long as one that is kept may be', (t) => {
  const world = new World();
  world.connect('n1');
  const long = 'x'.repeat(limits.jobInputsBytesMax);
  t.match(world.run(withSecrets(1), { s0: long }), /param s0 is longer than 1048576 bytes/);
  const open = named(
    'params: { s: {} }\nroles: { all: {} }\nsteps: [{ id: a, on: all, run: echo $PARAM_S }]\n',
  );
  t.match(world.run(open, { s: long }), /param s is longer than 1048576 bytes/);
  t.equal(world.secrets.size, 0);
  t.equal(world.run(open, { s: long.slice(2) }), undefined);
  t.end();
});

const inRoles = (count: number): Pipeline =>
  named(`roles:
${numbered(count, (index) => `  r${index}: {}`)}
steps: [{ id: a, on: r0, strategy: { rolling: { maxUnavailable: 100% } }, run: echo }]
`);

t.test('a run of the most nodes in the most places is planned; one more is refused', (t) => {
  const world = new World();
  addNodes(world, limits.runNodesMax);
  const roles = limits.runPlacesMax / limits.runNodesMax;
  t.match(
    world.run(inRoles(roles + 1)),
    /would have 120000 places for 20000 nodes, who are in several; at most 100000 are allowed/,
  );
  t.equal(world.run(inRoles(roles)), undefined);
  t.ok(world.events.some((event) => event.type === 'RunPlanned'));
  const largest = largestOf(world.events);
  t.ok(largest > limits.journalEventBytesMax / 2, 'it was worth a test');
  t.ok(largest <= limits.journalEventBytesMax, `${largest} bytes`);
  addNodes(world, limits.runNodesMax + 1);
  t.match(world.run(inRoles(1)), /would have 20001 nodes; at most 20000 are allowed/);
  t.end();
});

t.test('a run that waits for nodes and gets too many ends, and says so', (t) => {
  const world = new World();
  const waiting = named(`roles: { all: { waitFor: 5m }, more: {optional: true} }
steps: [{ id: a, on: all, run: echo }]
`);
  t.equal(world.run(waiting), undefined);
  addNodes(world, limits.runNodesMax + 1);
  world.connect('late');
  t.match(world.events.at(-1), {
    type: 'RunEnded',
    state: 'failed',
    reason: /would have 20002 nodes; at most 20000 are allowed/,
  });
  t.end();
});

t.test('a run that waits for nodes which no selector can judge does not wait for ever', (t) => {
  const world = new World();
  const waiting = named(`roles: { all: { select: 'int(labels.size) > 1', waitFor: 5m } }
steps: [{ id: a, on: all, run: echo }]
`);
  t.equal(world.run(waiting), undefined);
  world.connect('n1', { size: 'large' });
  world.connect('n2', { size: '2' });
  t.equal(world.state.runs.get('r1')?.end, null, 'n1 may go, or be labelled anew');
  world.wait(5 * 60_000);
  t.match(world.events.at(-1), { type: 'RunEnded', state: 'failed', reason: /role all: select: / });
  t.end();
});

/** The largest of the decisions that this makes, in bytes of events. */
function largestDecision(world: World, act: () => void): number {
  let largest = 0;
  const take = world.take.bind(world);
  world.take = (decision) => {
    if (decision.ok)
      largest = Math.max(largest, ...[decision.events.reduce((sum, event) => sum + bytesOf(event), 0)]);
    take(decision);
  };
  act();
  return largest;
}

t.test('no turn decides more than one append can hold', (t) => {
  const skipping = new World();
  addNodes(skipping, 300);
  const never = `node.name == "${'€'.repeat(2_000)}"`;
  const steps = numbered(
    60,
    (index) => `  - { id: s${index}, on: all, needs: [], if: '${never}', run: echo, rerun: idempotent }`,
  );
  const skipped = largestDecision(skipping, () => {
    t.equal(skipping.run(named(`roles: { all: {} }\nsteps:\n${steps}`)), undefined);
  });
  t.match(skipping.events.at(-1), { type: 'RunEnded', state: 'succeeded' });
  t.ok(skipped > limits.turnBytesAim / 2 && skipped < limits.journalBatchBytesMax / 2, `${skipped} bytes`);

  const planning = new World();
  const late =
    named(`roles: { first: { waitFor: 5m }, ${Array.from({ length: 40 }, (_, index) => `r${index}: {optional: true}`)} }
steps: [{ id: a, on: first, run: echo }]
`);
  for (let index = 0; index < 50; index += 1) t.equal(planning.run(late), undefined);
  addNodes(planning, 300);
  const planned = largestDecision(planning, () => planning.connect('late'));
  t.equal(planning.events.filter(({ type }) => type === 'RunPlanned').length, 50);
  t.ok(planned > limits.turnBytesAim / 2 && planned < limits.journalBatchBytesMax / 2, `${planned} bytes`);

  const granting = new World();
  granting.grantsPerTurn = limits.grantsPerTurnMax;
  for (let index = 0; index < 64; index += 1) granting.connect(`n${index}`);
  const values = named(`roles: { all: {} }
steps:
  - id: a
    on: all
    with:
${numbered(1_000, (index) => `      v${index}: '${'€'.repeat(280)}'`)}
    run: echo
`);
  const granted = largestDecision(granting, () => t.equal(granting.run(values), undefined));
  t.equal(granting.held.size, 64);
  t.ok(granted > limits.turnBytesAim / 2 && granted < limits.journalBatchBytesMax / 2, `${granted} bytes`);
  t.end();
});

t.test('reasons are cut, and lists of nodes in them are short', (t) => {
  const world = new World();
  addNodes(world, 1_000);
  const all = named('roles: { all: { count: 1001 } }\nsteps: [{ id: a, on: all, run: echo }]\n');
  const refused = world.run(all) ?? '';
  t.match(refused, /1000 matched \(n0x+, .* and 990 more\)/);
  t.ok(refused.length < 1_000);
  const node = 'n1'.padEnd(63, 'x');
  const reason = '€'.repeat(100_000);
  t.equal(
    world.command({ type: 'AdministerNode', node, administration: 'maintenance', by, reason }),
    undefined,
  );
  t.equal(world.state.nodes.get(node)?.administrationReason.length, limits.reasonLengthMax);
  t.match(world.events.at(-1), { reason: `${'€'.repeat(limits.reasonLengthMax - 1)}…` });
  t.end();
});
