/** What is done from time to time: archives, snapshots by a process of their own, and a start that uses them. */
import { cpSync, mkdtempSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pino } from 'pino';
import t from 'tap';
import { readConfig } from '../../../coordinator/config.ts';
import type { Command } from '../../../coordinator/core/commands.ts';
import { emptyState, evolve } from '../../../coordinator/core/engine.ts';
import type { ParamScope } from '../../../coordinator/core/event-values.ts';
import { toShards } from '../../../coordinator/core/snapshot-writing.ts';
import type { State } from '../../../coordinator/core/state.ts';
import { Contents, digestOf } from '../../../coordinator/sequence/contents.ts';
import { type Disk, openDisk, storeOf } from '../../../coordinator/sequence/disk.ts';
import { RecentNames } from '../../../coordinator/sequence/recent-names.ts';
import { recoverState } from '../../../coordinator/sequence/recovery.ts';
import { staleSecrets } from '../../../coordinator/sequence/stale-secrets.ts';
import { Upkeep } from '../../../coordinator/sequence/upkeep.ts';
import { Sequencer } from '../../../coordinator/sequencer.ts';
import { parsePipeline } from '../../../shared/pipeline/pipeline.ts';
import { helloOf, resultOf } from '../small-agent.ts';

// The process that makes snapshots is started from the program that runs, which here is the test.
process.argv[1] = resolve(import.meta.dirname, '../../../coordinator/main.ts');

const text = (state: State): string => JSON.stringify([...toShards(state)]);

type House = {
  readonly disk: Disk;
  readonly state: State;
  readonly sequencer: Sequencer;
  readonly upkeep: Upkeep;
  readonly logged: string[];
  /** The coordinator's clock, which the test sets. */
  readonly clock: { nowMs: number };
  close(): Promise<void>;
};

/** The disk, the loop and the upkeep of a coordinator, without sockets and with small segments. */
async function openHouse(folder: string): Promise<House> {
  const config = readConfig({ data: join(folder, 'data'), keepRuns: '1' }, {});
  const logged: string[] = [];
  const log = pino({}, { write: (line: string) => void logged.push(line) });
  const disk = await openDisk(config, log, 4_096);
  const { state } = await recoverState(disk.journal, disk.places.snapshots);
  const contents = new Contents({
    text: (digest) => disk.blobs.textSync(digest),
    secret: (reference) => disk.secrets.get(reference),
    secretRoom: () => disk.secrets.room(),
    logTail: () => '',
  });
  const clock = { nowMs: Date.now(), now: () => clock.nowMs };
  const sequencer = new Sequencer({
    state,
    contents,
    clock,
    store: storeOf(disk, contents),
    edge: { deliver: () => {}, flush: () => {}, roomAgain: () => {} },
    recoverTo: async () => state,
    onFatal: (what, error) => {
      throw new Error(what, { cause: error });
    },
  });
  sequencer.start();
  const { lineage } = disk.journal;
  await sequencer.submit({ type: 'BeginReign', lineage, epoch: state.epoch + 1, version: 'test' });
  const upkeep = new Upkeep({
    dataFolder: config.dataFolder,
    retention: config.retention,
    disk,
    sequencer,
    clock,
    recentNames: new RecentNames(),
    retainLogs: async () => 0,
    describeRun: (run) => ({ id: run.id, state: run.end?.state }),
    log,
  });
  const close = async (): Promise<void> => {
    await upkeep.close();
    await sequencer.close();
    await disk.close();
  };
  return { disk, state, sequencer, upkeep, logged, clock, close };
}

function folderFor(t: { teardown(work: () => unknown): void }): string {
  const folder = mkdtempSync(join(tmpdir(), 'lockstep-upkeep-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const setParam = (name: string, value: unknown, secret = false): Command => ({
  type: 'SetParam',
  scope: { cluster: 'c' },
  name,
  value,
  secret,
  by: 'x',
});

const pipelineText = `kind: pipeline
name: test
params: { key: { type: string, secret: true } }
roles: { all: { select: 'true' } }
steps: [{ id: a, on: all, with: { key: "\${{ params.key }}" }, run: 'true' }]
`;

async function createRun({ sequencer }: House, params: Record<string, string>): Promise<void> {
  const parsed = parsePipeline({ file: 'test.yaml', text: pipelineText });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.diagnostics));
  const more = { cluster: 'default', params, generated: {}, limit: null, checkOnly: false, by: 'x' };
  await sequencer.submit({ type: 'CreateRun', pipeline: parsed.pipeline, ...more });
}

/** A run from its creation to its end. */
async function runOnce(house: House, number: number): Promise<void> {
  const { sequencer } = house;
  await createRun(house, { key: 'hush' });
  await sequencer.submit({ type: 'PullJobs', node: 'n1', credit: 1 });
  await new Promise((resolve) => setTimeout(resolve, 50));
  await sequencer.submit({ type: 'ReportResult', node: 'n1', number, result: resultOf(`r${number}/a/n1#1`) });
  await new Promise((resolve) => setTimeout(resolve, 50));
}

t.test('a snapshot and the rest of the journal give the state that was', async (t) => {
  const folder = folderFor(t);
  const house = await openHouse(folder);
  for (let index = 0; index < 60; index += 1)
    await house.sequencer.submit(setParam(`p${index % 7}`, 'x'.repeat(200)));
  const { journal, snapshots } = house.disk.places;
  t.ok(readdirSync(journal).length > 3, 'there are sealed segments');
  await house.upkeep.once();
  t.same(
    house.logged.filter((line) => /"level":(40|50)/.test(line)),
    [],
  );
  const [first] = readdirSync(snapshots);
  t.ok(Number(first) > 40, `the snapshot is at ${first}`);
  t.equal(
    readdirSync(journal).filter((name) => name.endsWith('.jsonl')).length,
    1,
    'what it covers is archived',
  );

  for (let index = 0; index < 60; index += 1)
    await house.sequencer.submit(setParam(`q${index % 7}`, 'y'.repeat(200)));
  await house.upkeep.once();
  await house.upkeep.once();
  t.equal(readdirSync(snapshots).length, 2);
  await house.sequencer.submit(setParam('last', 1));
  const before = text(house.state);
  await house.close();

  const again = await openHouse(folder);
  const { state, snapshotSeq } = await recoverState(
    again.disk.journal,
    again.disk.places.snapshots,
    again.state.seq - 1,
  );
  t.ok(snapshotSeq > 80, `recovered from the snapshot at ${snapshotSeq}`);
  t.equal(text(state), before, 'the state before this reign');
  const whole = emptyState();
  for await (const page of again.disk.journal.read({ from: 1 }))
    for (const event of page) evolve(whole, event);
  t.equal(text(again.state), text(whole), 'which is what folding everything gives');
  await again.close();
});

t.test('while somebody copies the files nothing is archived or deleted', async (t) => {
  const house = await openHouse(folderFor(t));
  for (let index = 0; index < 60; index += 1) await house.sequencer.submit(setParam('p', 'x'.repeat(200)));
  const { journal } = house.disk.places;
  const underWay = house.upkeep.once();
  await house.upkeep.pause('a');
  await house.upkeep.pause('b');
  await underWay;
  for (let index = 0; index < 60; index += 1) await house.sequencer.submit(setParam('p', 'y'.repeat(200)));
  const before = readdirSync(journal);
  t.ok(before.length > 2);
  await house.upkeep.once();
  house.upkeep.endPause('a');
  await house.upkeep.once();
  t.same(readdirSync(journal), before, 'not before both are done');
  house.upkeep.endPause('b');
  await house.upkeep.once();
  t.equal(readdirSync(journal).filter((name) => name.endsWith('.jsonl')).length, 1);
  await house.close();
});

t.test('a snapshot of another history is refused', async (t) => {
  const [one, other] = [folderFor(t), folderFor(t)];
  for (const folder of [one, other]) {
    const house = await openHouse(folder);
    for (let index = 0; index < 40; index += 1) await house.sequencer.submit(setParam('p', folder.repeat(5)));
    await house.upkeep.once();
    await house.close();
  }
  cpSync(join(one, 'data/snapshots'), join(other, 'data/snapshots'), { recursive: true });
  rmSync(join(other, 'data/journal'), { recursive: true });
  cpSync(join(one, 'data/journal'), join(other, 'data/journal'), { recursive: true });
  await (await openHouse(other)).close();
  rmSync(join(other, 'data/journal'), { recursive: true });
  const disk = await openDisk(readConfig({ data: join(other, 'data') }, {}), pino({ enabled: false }));
  t.teardown(() => disk.close());
  await t.rejects(recoverState(disk.journal, disk.places.snapshots), {
    code: 'damaged',
    message: /does not belong to the journal/,
  });
});

t.test('ended runs beyond those kept are archived, and the secrets of all that have ended go', async (t) => {
  const house = await openHouse(folderFor(t));
  await house.sequencer.submit({ type: 'ConnectAgent', hello: helloOf('n1'), token: 't' });
  await runOnce(house, 1);
  await runOnce(house, 2);
  t.same(
    [...house.state.runs.values()].map(({ end }) => end?.state),
    ['succeeded', 'succeeded'],
  );
  t.equal(house.disk.secrets.get('r1/param/key'), '"hush"');
  await house.upkeep.once();
  t.same([...house.state.runs.keys()], ['r2'], 'the newest stays');
  const archived = house.state.archive.get('r1');
  t.match(archived, { id: 'r1', pipeline: 'test', end: { state: 'succeeded' } });
  t.match(JSON.parse((await house.disk.blobs.read(archived?.digest ?? '')).toString()), {
    id: 'r1',
    state: 'succeeded',
  });
  t.equal(house.disk.secrets.get('r1/param/key'), undefined);
  t.equal(house.disk.secrets.get('r2/param/key'), undefined);
  await house.sequencer.submit(setParam('kept', 'hush', true));
  await house.upkeep.once();
  t.equal([...house.state.clusterParams.values()].flatMap((params) => [...params.values()]).length, 1);
  const [kept] = [...house.state.clusterParams.values()].flatMap((params) => [...params.values()]);
  t.ok(kept !== undefined && 'secret' in kept && house.disk.secrets.get(kept.secret) === '"hush"');
  await house.close();
});

t.test('the secret of a param that was unset or set anew goes when no run needs it', async (t) => {
  const house = await openHouse(folderFor(t));
  t.teardown(() => house.close());
  const { sequencer, upkeep, disk } = house;
  const stored = (): readonly string[] =>
    [...disk.secrets.references()].map((name) => name.replace(/\d+$/, '#'));
  const set = (scope: ParamScope, value: string): Promise<unknown> =>
    sequencer.submit({ type: 'SetParam', scope, name: 'key', value, secret: true, by: 'x' });
  const unset = (scope: ParamScope): Promise<unknown> =>
    sequencer.submit({ type: 'UnsetParam', scope, name: 'key', by: 'x' });
  await sequencer.submit({ type: 'ConnectAgent', hello: helloOf('n1'), token: 't' });
  const cluster = { cluster: 'default' };
  await set(cluster, 'first');
  await set(cluster, 'second');
  await upkeep.once();
  t.same(
    [...disk.secrets.references()].map((name) => disk.secrets.get(name)),
    ['"second"'],
  );

  // The run froze the cluster's value, and its job was granted with the node's.
  await createRun(house, {});
  await unset(cluster);
  await upkeep.once();
  t.same(stored(), ['param/cluster/default/key/#']);
  const node = { node: 'n1' };
  await set(node, 'third');
  await sequencer.submit({ type: 'PullJobs', node: 'n1', credit: 1 });
  await new Promise((resolve) => setTimeout(resolve, 50));
  await unset(node);
  await upkeep.once();
  t.same(stored(), ['param/cluster/default/key/#', 'param/node/n1/key/#']);
  await sequencer.submit({ type: 'ReportResult', node: 'n1', number: 1, result: resultOf('r1/a/n1#1') });
  await upkeep.once();
  t.same(stored(), []);
});

t.test('a secret that was made after the state is left alone', (t) => {
  const state = { ...emptyState(), seq: 7, runsCreated: 2 };
  const made = [
    'param/cluster/c/key/7',
    'param/cluster/c/key/8',
    'generated/c/p/key/7',
    'r2/param/key',
    'r3/param/key',
  ];
  t.same(staleSecrets(made, state), ['r2/param/key', 'param/cluster/c/key/7', 'generated/c/p/key/7']);
  t.end();
});

t.test('blobs that nothing names any more are deleted', async (t) => {
  const house = await openHouse(folderFor(t));
  const { blobs, places } = house.disk;
  const file = await blobs.put('a file of a bundle');
  const manifest = await blobs.put(JSON.stringify({ files: [{ path: 'x', digest: file }] }));
  const stray = await blobs.put('nobody names this');
  await house.sequencer.submit({ type: 'ConnectAgent', hello: helloOf('n1'), token: 't' });
  const parsed = parsePipeline({ file: 'test.yaml', text: pipelineText });
  if (!parsed.ok) throw new Error('the pipeline has faults');
  const [unit] = parsed.pipeline.units;
  const pipeline = {
    ...parsed.pipeline,
    units: [
      {
        ...unit,
        steps: unit?.steps.map((step) => ({
          ...step,
          tasks: step.tasks.map((task) => ({ ...task, bundle: manifest })),
        })),
      },
    ],
  } as typeof parsed.pipeline;
  const more = {
    cluster: 'default',
    params: { key: 'k' },
    generated: {},
    limit: null,
    checkOnly: false,
    by: 'x',
  };
  await house.sequencer.submit({ type: 'CreateRun', pipeline, ...more });
  await house.sequencer.submit(setParam('old', 'z'.repeat(1_000)));
  const digest = digestOf(JSON.stringify('z'.repeat(1_000)));
  for (let index = 0; index < 40; index += 1) await house.sequencer.submit(setParam('p', 'x'.repeat(200)));
  await house.close();

  const again = await openHouse(folderOf(places.journal));
  t.teardown(() => again.close());
  for (const name of [file, manifest, stray, digest]) {
    const hex = name.slice('sha256:'.length);
    utimesSync(join(places.blobs, hex.slice(0, 2), hex), 1, 1);
  }
  await again.upkeep.once();
  t.equal(
    (await again.disk.blobs.missing([stray])).length,
    0,
    'not in the first hour: a client may be about to name it',
  );
  for (let index = 0; index < 40; index += 1) await again.sequencer.submit(setParam('q', 'x'.repeat(200)));
  again.clock.nowMs += 2 * 3_600_000;
  await again.upkeep.once();
  t.same(await again.disk.blobs.missing([file, manifest, stray, digest]), [stray]);
});

const folderOf = (journal: string): string => join(journal, '..', '..');
