/**
 * A data folder that another version wrote: taken over while nothing new was used in it, refused in words when it
 * was. What a newer version would write is written here by hand.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import * as z from 'zod';
import type { Event } from '../../coordinator/core/events.ts';
import { toShards } from '../../coordinator/core/snapshot-writing.ts';
import * as resources from '../../coordinator/http/resources.ts';
import { listSegments } from '../../coordinator/journal/segment-folder.ts';
import { writeSnapshot } from '../../coordinator/journal/snapshots.ts';
import { type Disk, openDisk } from '../../coordinator/sequence/disk.ts';
import { recoverState } from '../../coordinator/sequence/recovery.ts';
import { present } from '../../shared/assert.ts';
import { CoordinatorProcess } from './coordinator-process.ts';
import { SmallAgent } from './small-agent.ts';

const nodes = z.object({ items: z.array(z.looseObject({ name: z.string(), version: z.string() })) });

/** A coordinator that one node has joined, and that was ended in order. */
async function usedFolder(t: Test): Promise<CoordinatorProcess> {
  const coordinator = await CoordinatorProcess.start(t);
  const { json } = await coordinator.ask('POST', '/api/tokens', { kind: 'join' });
  const agent = await SmallAgent.join(coordinator.url, resources.tokenCreated.parse(json).token, 'n1');
  t.equal(await coordinator.end('SIGTERM'), 0);
  await agent.closed;
  return coordinator;
}

async function withDisk<T>(
  { data, folder }: CoordinatorProcess,
  work: (disk: Disk) => Promise<T>,
): Promise<T> {
  const disk = await openDisk({ dataFolder: data, keyFile: join(folder, 'key') }, pino({ enabled: false }));
  try {
    return await work(disk);
  } finally {
    await disk.close();
  }
}

/** What a newer version reigned and wrote. */
function appendAsNewer(coordinator: CoordinatorProcess, ...bodies: readonly object[]): Promise<void> {
  return withDisk(coordinator, async ({ journal }) => {
    const reign = { type: 'ReignBegan', lineage: journal.lineage, epoch: 2, version: '9.1.0' };
    const events = [reign, ...bodies].map(
      (body, index): Event =>
        JSON.parse(JSON.stringify({ ...body, seq: journal.last.seq + 1 + index, at: 1 })),
    );
    await journal.append(events);
  });
}

function writeAsNewer(coordinator: CoordinatorProcess, change: (head: object) => object): Promise<void> {
  return withDisk(coordinator, async ({ journal, places }) => {
    const { state } = await recoverState(journal, places.snapshots);
    const shards = [...toShards(state)].map(([name, shard]): [string, object] => [
      name,
      name === 'head' ? change(Object(shard)) : Object(shard),
    ]);
    await writeSnapshot(places.snapshots, { ...journal.last, lineage: journal.lineage }, shards);
  });
}

async function refused(coordinator: CoordinatorProcess): Promise<string> {
  await coordinator.start().catch(() => undefined);
  return `${await coordinator.ended()}: ${coordinator.output}`;
}

t.test('the version before takes over what a newer one did with what both know', async (t) => {
  const coordinator = await usedFolder(t);
  const connected = {
    type: 'NodeConnected',
    node: 'n1',
    boot: 'b',
    counter: 2,
    version: '9.0.0',
    address: null,
  };
  await appendAsNewer(coordinator, { ...connected, diskless: false, labels: {}, mood: 'new' });
  await writeAsNewer(coordinator, (head) => ({ ...head, mood: 'new' }));
  await coordinator.start();
  t.match(nodes.parse((await coordinator.ask('GET', '/api/nodes')).json).items, [
    { name: 'n1', version: '9.0.0' },
  ]);
  t.notMatch(coordinator.output, /cannot use the snapshot/);
});

t.test('an event of an unknown type is refused with its seq, its version and what to do', async (t) => {
  const coordinator = await usedFolder(t);
  const { seq } = await withDisk(coordinator, async ({ journal }) => journal.last);
  await appendAsNewer(coordinator, { type: 'NodeHibernated', node: 'n1' });
  const said = await refused(coordinator);
  t.match(said, new RegExp(`^2: .*event ${seq + 2} is of type NodeHibernated`, 's'));
  t.match(said, /Start version 9\.1\.0 or a newer one/);
  t.notMatch(said, /\n {4}at /);
});

t.test('a snapshot of an unknown format is passed over while the journal says the same', async (t) => {
  const coordinator = await usedFolder(t);
  await writeAsNewer(coordinator, () => ({ format: 99, version: '9.1.0' }));
  await coordinator.start();
  t.match(coordinator.output, /format 99 and this version knows up to 1; version 9\.1\.0 had written it/);
  t.match(nodes.parse((await coordinator.ask('GET', '/api/nodes')).json).items, [{ name: 'n1' }]);
});

t.test('a snapshot that rests on unknown events is refused when nothing else is left', async (t) => {
  const coordinator = await usedFolder(t);
  await appendAsNewer(coordinator);
  await writeAsNewer(coordinator, (head) => ({ ...head, types: ['NodeJoined', 'NodeHibernated'] }));
  await withDisk(coordinator, async ({ journal, places }) => {
    await journal.seal();
    const [oldest] = await listSegments(places.journal);
    rmSync(present(oldest, 'the oldest segment').file);
  });
  const said = await refused(coordinator);
  t.match(said, /^2: .*does not know \(NodeHibernated\); version 9\.1\.0 had written it/s);
  t.match(said, /Start the version that wrote it, or a newer one/);
  t.notMatch(said, /\n {4}at /);
});
